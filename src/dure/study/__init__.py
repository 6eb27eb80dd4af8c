"""What may be asked: specifications, kinds, the protocol of a run, the report."""
