"""A whole run in one process, for notebooks and tests: the same gate, no server."""
