"""The second body for answers that are carried by hand: it adds one share of each hospital's numbers. It has no network."""
