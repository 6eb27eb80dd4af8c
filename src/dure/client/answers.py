"""What the hub's doors answer to a user, as messages. Not responsible for: fetching them, what was signed."""
