"""What may leave: the gate, the register of rules, suppression."""
