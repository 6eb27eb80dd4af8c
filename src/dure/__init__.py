"""Dure: a network for medical data in which only sums leave. The house plan is in docs/architecture.md."""

from importlib.metadata import version

__version__ = version("dure")
