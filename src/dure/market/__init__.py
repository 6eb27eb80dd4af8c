"""What can be had and what was delivered: the catalogue and the meter."""
