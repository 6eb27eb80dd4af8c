"""Dure: a network for medical data in which only sums leave. The house plan is in docs/architecture.md."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("dure")


def __getattr__(name: str) -> Any:
    """`dure.connect`, read only when it is asked for: a node doesn't carry the client's libraries."""
    if name == "connect":
        return import_module("dure.client").connect
    raise AttributeError(f"module 'dure' has no attribute {name!r}")
