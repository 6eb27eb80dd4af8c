"""Dure: a network for medical data in which only sums leave. The house plan is in docs/architecture.md."""
