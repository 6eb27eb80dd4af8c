"""Who may ask what: purposes, permits, the policy and the audit log."""
