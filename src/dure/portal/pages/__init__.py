"""The hub's pages, one file each: an address, its template, the same actions as the API."""
