"""Databases that can answer a plan.

`ENGINES` maps a location's scheme (or a file's suffix) to the function that opens it; `open_engine` chooses. An engine
is added with one file beside this one and one line here.
"""

from collections.abc import Mapping
from typing import Protocol

from dure.engines.base import Engine
from dure.engines.dataset import Dataset
from dure.engines.problems import UnknownEngine, needs_spark
from dure.engines.server import without_secrets

__all__ = ["ENGINES", "Dataset", "Engine", "is_file", "open_engine"]


class Opener(Protocol):
    """Opens a database to be read. `location` is as the user wrote it; `threads` None means all cores."""

    def __call__(self, location: str, *, memory: str, threads: int | None) -> Engine: ...


def _duckdb(location: str, *, memory: str, threads: int | None) -> Engine:
    from dure.engines.duckdb import open_file

    return open_file(location, memory=memory, threads=threads)


def _postgresql(location: str, *, memory: str, threads: int | None) -> Engine:
    from dure.engines.postgres import open_server

    return open_server(location, memory=memory, threads=threads)


def _spark(location: str, *, memory: str, threads: int | None) -> Engine:
    with needs_spark():
        from dure.engines.spark import opened
        from dure.engines.spark_folder import opened_folder

    return opened(opened_folder(location, memory=memory, threads=threads))


def _spark_connect(location: str, *, memory: str, threads: int | None) -> Engine:
    with needs_spark():
        from dure.engines.spark import opened
        from dure.engines.spark_connect import opened_schema

    return opened(opened_schema(location))


ENGINES: Mapping[str, Opener] = {
    "duckdb": _duckdb,
    "postgresql": _postgresql,
    "spark": _spark,
    "sc": _spark_connect,
}
FILES = frozenset({"duckdb"})
"""Those of `ENGINES` whose database is a file; the others are reached over a connection."""


def open_engine(location: str, *, memory: str = "2GB", threads: int | None = None) -> Engine:
    """Open the database at `location` to be read.

    Args:
        location: a path (`path/to/file.duckdb`), or `scheme:rest` with a scheme of `ENGINES` (`duckdb:path`,
            `postgresql://role@host/database?schema=cdm`, `spark:local?path=/data/cdm`, `sc://host:15002?schema=cdm`).
        memory: the most memory that the engine may take, such as "2GB".
        threads: how many cores it may take; None means all.

    Raises:
        UnknownEngine: neither a known scheme nor a known suffix.
        Problem: of the engine that was chosen (see `dure.engines.problems`).
    """
    opener = ENGINES.get(_kind(location))
    if opener is None:
        shown = without_secrets(location)
        raise UnknownEngine(
            f"'{shown}' doesn't name a database that Dure can open",
            where=shown,
            mend=f"Name a file that ends in .duckdb, or write one of these before it: {', '.join(ENGINES)}.",
        )
    return opener(location, memory=memory, threads=threads)


def is_file(location: str) -> bool:
    """Whether a location names a file, known or not; otherwise the database is reached over a connection."""
    kind = _kind(location)
    return kind in FILES or kind not in ENGINES


def _kind(location: str) -> str:
    scheme, colon, _ = location.partition(":")
    if colon and scheme.isalpha() and len(scheme) > 1:
        return scheme.lower()
    return location.rpartition(".")[2].lower()
