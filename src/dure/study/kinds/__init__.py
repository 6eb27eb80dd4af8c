"""The kinds of study, one file each. `KINDS` is the register."""
