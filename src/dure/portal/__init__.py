"""The hub's web pages. `app.create` puts the hub and its pages together."""
