"""What can be done at the hub: one file a noun. Each action takes a unit of work and the time; pages and API share them."""
