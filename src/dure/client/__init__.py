"""The asker's program: signs a study with a key the hub never sees, submits it, watches it, reads the result."""
