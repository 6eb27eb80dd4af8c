"""What it takes to stamp a CDM on a server: one Protocol, and which kind of server has it.

Responsible for: choosing by location. Not responsible for: what a stamp says (`onboard.stamp`), or any one server.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Protocol

from dure.engines.dataset import Dataset
from dure.engines.problems import UnknownEngine, needs_spark
from dure.engines.server import without_secrets


class Unstamped(Protocol):
    """A CDM on a server, opened with an account that may write one table into its schema."""

    @property
    def shown(self) -> str:
        """Where it is, fit for a message."""
        ...

    def headers(self) -> Mapping[str, Sequence[str]]:
        """The columns of the model's tables, by lower-case names."""
        ...

    def told(self, column: str) -> list[str]:
        """What the rows of `cdm_source` say in a column; nothing where they or it are missing."""
        ...

    def contents(self, cdm_version: str) -> Iterator[tuple[str, int, str]]:
        """Each table, its number of rows, and a digest of what is in them, whatever their order."""
        ...

    def observed(self, cdm_version: str) -> tuple[date | None, date | None]:
        """First and last day of any observation period."""
        ...

    def keep(self, dataset: Dataset) -> None:
        """Write the stamp. Raises StampStale where a table has changed since this was opened."""
        ...


def _postgresql(location: str) -> AbstractContextManager[Unstamped]:
    from dure.engines.postgres_stamp import opened

    return opened(location)


def _spark(location: str) -> AbstractContextManager[Unstamped]:
    with needs_spark():
        from dure.engines.spark_folder import opened_folder
        from dure.engines.spark_stamp import unstamped

    return unstamped(opened_folder(location))


def _spark_connect(location: str) -> AbstractContextManager[Unstamped]:
    with needs_spark():
        from dure.engines.spark_connect import opened_schema
        from dure.engines.spark_stamp import unstamped

    return unstamped(opened_schema(location))


STAMPS: Mapping[str, Callable[[str], AbstractContextManager[Unstamped]]] = {
    "postgresql": _postgresql,
    "spark": _spark,
    "sc": _spark_connect,
}


def unstamped(location: str) -> AbstractContextManager[Unstamped]:
    """The CDM at a location, to be stamped.

    Raises:
        UnknownEngine: no server whose CDM is stamped; a DuckDB file is stamped when it is made.
    """
    found = STAMPS.get(location.partition(":")[0])
    if found is None:
        raise UnknownEngine(
            "That isn't a server whose CDM is stamped",
            where=without_secrets(location),
            mend=f"Name one that begins with {', '.join(f'{scheme}:' for scheme in STAMPS)}; a file is stamped by `dure cdm load`.",
        )
    return found(location)
