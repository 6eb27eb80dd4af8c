"""A national network on one machine: synthetic people, hospitals, a hub and studies. It is a simulation and says so."""
