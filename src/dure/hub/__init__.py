"""The relay: keeps studies, permits and runs, adds up sums. It never touches rows."""
