"""Figures that the README and the manual quote. Each file is one command: `python -m benchmarks.<name>`."""
