"""Statistics made of sums, one file each. `ALL` is the register."""
