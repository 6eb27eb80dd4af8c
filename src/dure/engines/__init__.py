"""Databases that can answer a plan.

`ENGINES` maps a location's scheme (or a file's suffix) to the function that opens it; `open_engine` chooses. An engine
is added with one file beside this one and one line here.
"""

from collections.abc import Mapping
from typing import Protocol

from dure.engines.base import Engine
from dure.engines.dataset import Dataset
from dure.engines.problems import UnknownEngine

__all__ = ["ENGINES", "Dataset", "Engine", "open_engine"]


class Opener(Protocol):
    """Opens a database to be read. `location` is as the user wrote it; `threads` None means all cores."""

    def __call__(self, location: str, *, memory: str, threads: int | None) -> Engine: ...


def _duckdb(location: str, *, memory: str, threads: int | None) -> Engine:
    from dure.engines.duckdb import open_file

    return open_file(location, memory=memory, threads=threads)


ENGINES: Mapping[str, Opener] = {"duckdb": _duckdb}


def open_engine(location: str, *, memory: str = "2GB", threads: int | None = None) -> Engine:
    """Open the database at `location` (`path/to/file.duckdb`, `duckdb:path`) to be read.

    Args:
        location: a path, or `scheme:rest` with a scheme of `ENGINES`.
        memory: the most memory that the engine may take, such as "2GB".
        threads: how many cores it may take; None means all.

    Raises:
        UnknownEngine: neither a known scheme nor a known suffix.
        Problem: of the engine that was chosen (see `dure.engines.problems`).
    """
    scheme, colon, _ = location.partition(":")
    if colon and scheme.isalpha() and len(scheme) > 1:
        kind = scheme.lower()
    else:
        kind = location.rpartition(".")[2].lower()
    opener = ENGINES.get(kind)
    if opener is None:
        raise UnknownEngine(
            f"'{location}' doesn't name a database that Dure can open",
            where=location,
            mend=f"Name a file that ends in .duckdb, or write one of these before it: {', '.join(ENGINES)}.",
        )
    return opener(location, memory=memory, threads=threads)
