"""What an engine is: the one way in which everything above reads a hospital's database.

Responsible for: the Protocol and its promises. Not responsible for: any one database, or what is asked of it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import pyarrow as pa
from sqlglot import exp

from dure.engines.dataset import Dataset
from dure.omop.tables import ColumnType


class Engine(Protocol):
    """A CDM that can only be read. Trees are sqlglot's; table and column names in them are plain lower-case names.

    Every engine promises: a tree that isn't a SELECT, a set operation of SELECTs, or either under WITH is refused with
    `PlanRefused`, and so is one that names a table which `has` doesn't know or a function outside the closed list of
    `engines.allowed`; nothing that a tree says can read or write a file, open a connection, or change a setting.
    A tree is used up by being asked: make another to ask again.
    """

    @property
    def name(self) -> str:
        """Which engine this is, such as "duckdb"; also sqlglot's name of its dialect."""
        ...

    @property
    def dataset(self) -> Dataset:
        """What the database holds, as it was stamped when it was made."""
        ...

    def unchanged(self) -> bool:
        """Whether the database still holds what `dataset` says; if not, it is to be opened again.

        Raises a Problem of the engine where there is nothing to be opened.
        """
        ...

    def has(self, table: str) -> bool:
        """Whether a table of the CDM, or a temporary one, of this name can be read."""
        ...

    def columns(self, table: str) -> Mapping[str, ColumnType]:
        """The columns of a table of the CDM or a temporary one, in order. Raises `PlanRefused` if there is none."""
        ...

    def query(self, tree: exp.Query) -> pa.Table:
        """The rows of a tree: integers as int64, numbers as float64, dates as date32, datetimes as timestamp[us]."""
        ...

    def temporary(self, name: str, tree: exp.Query) -> None:
        """Keep the rows of a tree under `name` for later trees; replaces a temporary table of that name.

        Where the database lets nothing be kept, later trees find the same rows by asking again.

        Raises `PlanRefused` if `name` is a table of the CDM or isn't a plain lower-case name.
        """
        ...

    def drop(self, name: str) -> None:
        """Forget a temporary table; one that isn't there is forgotten already."""
        ...

    def close(self) -> None:
        """Give up connection, memory and disk. Nothing may be asked afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class TakesNumbers(Protocol):
    """An engine that takes many numbers at once, and so runs a set of cohorts as one graph. Others run them one by one."""

    def temporary_numbers(self, name: str, columns: Mapping[str, Sequence[int]]) -> None:
        """Keep whole numbers under `name` for later trees, as `Engine.temporary` does with rows."""
        ...

    def written(self, name: str, tree: exp.Query, *, coming: Collection[str]) -> "Written":
        """What `temporary` would run, judged and parsed: by another thread, while the engine works on the one before.

        Args:
            coming: temporary tables that will be there when it is run.
        """
        ...

    def temporary_written(self, written: "Written") -> None:
        """As `Engine.temporary`, of what is written already."""
        ...


@dataclass(frozen=True, kw_only=True)
class Written:
    """The making of a temporary table, as a statement that only the engine that wrote it reads."""

    name: str
    statement: object


@runtime_checkable
class Interruptible(Protocol):
    """An engine whose running query can be stopped from another thread, or from a signal handler."""

    def interrupt(self) -> None:
        """Stop what is running: the call that waits for it raises `QueryCancelled`. Nothing happens where nothing runs."""
        ...
