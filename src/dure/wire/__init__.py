"""What crosses a wall: sums, rules, permits, messages, their codec, envelopes and problems."""
