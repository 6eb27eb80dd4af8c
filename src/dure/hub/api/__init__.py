"""The hub's doors, one file a noun: thin, over `dure.hub.actions`. `docs/protocol.md` lists them."""
