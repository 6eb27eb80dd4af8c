"""The hub's web pages."""
