"""The hospital's program: verifies, extracts, computes, passes the gate, signs, sends."""
