"""The unit of work: one transaction, in which no lasting write goes without its audit entry.

Responsible for: the only door to the tables, the log's append, what is rung after the commit. Not responsible for: which
database (`database`), what is written (`dure.hub.actions`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Row, Select, Table, insert, select, update
from sqlalchemy.sql.dml import Delete, Insert, Update

from dure.govern.log import Entry
from dure.hub.store import tables
from dure.wire.codec import encode
from dure.wire.merkle import Frontier, leaf_hash

HASH_BYTES = 32


class Unaudited(RuntimeError):
    """A lasting write without an audit entry: a bug in an action, found before anything is committed."""


class Locks(Protocol):
    """How a database makes one transaction wait for another over a name."""

    def __call__(self, connection: Connection, name: str) -> None: ...


class Work:
    """One transaction.

    Attributes:
        topics: what to ring once it is committed.
    """

    def __init__(self, connection: Connection, *, locks: Locks, writes: bool) -> None:
        self._connection = connection
        self._locks = locks
        self._writes = writes
        self._wrote: set[str] = set()
        self._entries: list[Entry] = []
        self.topics: set[str] = set()

    def rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        """All rows of a query."""
        return self._connection.execute(statement).all()

    def one(self, statement: Select[Any]) -> Row[Any] | None:
        """The first row of a query."""
        return self._connection.execute(statement).first()

    def write(self, statement: Insert | Update | Delete, rows: Sequence[dict[str, Any]] | None = None) -> int:
        """Change rows; the number of rows changed.

        Raises:
            TypeError: in a unit of work that only reads.
        """
        if not self._writes:
            raise TypeError("this unit of work only reads")
        table = statement.table
        if not (isinstance(table, Table) and table.info.get("ephemeral")):
            self._wrote.add(str(table))
        done = self._connection.execute(statement, rows) if rows else self._connection.execute(statement)
        return done.rowcount

    def lock(self, name: str) -> None:
        """Wait until no other transaction holds this name; held until the end."""
        self._locks(self._connection, name)

    def record(self, what: str, *, who: str, at: datetime, **about: str) -> None:
        """Put an entry into the audit log, in this transaction. `about` holds names and digests only."""
        self._entries.append(Entry(at=at, what=what, who=who, about=about))

    def ring(self, *topics: str) -> None:
        """Wake whoever waits for these topics, once this is committed."""
        self.topics.update(topics)

    def seal(self) -> None:
        """Append the entries to the log: the last thing before the commit, so that the log is locked shortly.

        Raises:
            Unaudited: something lasting was written and nothing recorded.
        """
        if not self._entries:
            if self._wrote:
                raise Unaudited(f"written without an audit entry: {', '.join(sorted(self._wrote))}")
            return
        edge = frontier_of(self.one(select(tables.head).with_for_update()))
        rows = []
        for entry in self._entries:
            body = encode(entry)
            leaf = leaf_hash(body)
            rows.append({"number": edge.size, "body": body, "leaf": leaf})
            edge = edge.append(leaf)
        self._connection.execute(insert(tables.entries), rows)
        self._connection.execute(update(tables.head).values(size=edge.size, peaks=b"".join(edge.peaks)))


def frontier_of(row: Row[Any] | None) -> Frontier:
    """The log's right edge as it is kept in the table `head`."""
    if row is None:
        raise RuntimeError("the table head has no row: the database was not set up by its migrations")
    peaks = tuple(row.peaks[i : i + HASH_BYTES] for i in range(0, len(row.peaks), HASH_BYTES))
    return Frontier(row.size, peaks)
