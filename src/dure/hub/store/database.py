"""Where the hub keeps what it keeps: SQLite or PostgreSQL behind one Protocol.

Responsible for: connections, transactions, durability, waking other processes. Not responsible for: tables (`tables`),
the rules of a transaction (`work`), the schema's history (`migrations`).
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from dure.hub.problems import BadSettings
from dure.hub.store.work import Work

log = logging.getLogger("dure.hub.store")
CHANNEL = "dure_hub"
EVERYTHING = "*"
NOTIFY_LIMIT = 7000
"""PostgreSQL carries less than 8000 bytes in one notification."""
RECONNECT_SECONDS = 1.0
POOL = 20
Ring = Callable[[frozenset[str]], None]


class Store(Protocol):
    """What the hub needs of a database. `rung` is called with topics after each commit, here or in another process."""

    engine: Engine

    def read(self) -> AbstractContextManager[Work]:
        """A transaction that sees one state and writes nothing."""

    def write(self, *, durable: bool = True) -> AbstractContextManager[Work]:
        """A transaction that writes. `durable=False` may be lost in a power cut: for ephemeral tables only."""

    def listen(self, rung: Ring) -> None:
        """Start telling `rung` of topics."""

    def close(self) -> None:
        """Let go of every connection."""


class Sqlite:
    """One file, one process that serves. Writers wait their turn; every commit is on the disk when it returns."""

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(url, pool_size=POOL, max_overflow=POOL)
        self._turn = threading.Lock()
        self._rung: Ring | None = None
        event.listen(self.engine, "connect", self._connected)
        event.listen(self.engine, "begin", self._begin)

    @staticmethod
    def _connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @staticmethod
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    @contextmanager
    def read(self) -> Iterator[Work]:
        with self.engine.connect().execution_options(writes=False) as connection, connection.begin():
            yield Work(connection, locks=self._lock, writes=False)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Work]:
        with self._turn, self.engine.connect().execution_options(writes=True) as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            if not durable:
                raw.execute("PRAGMA synchronous=NORMAL")
            try:
                with connection.begin():
                    work = Work(connection, locks=self._lock, writes=True)
                    yield work
                    work.seal()
            finally:
                if not durable:
                    raw.execute("PRAGMA synchronous=FULL")
        if self._rung is not None and work.topics:
            self._rung(frozenset(work.topics))

    @staticmethod
    def _lock(connection: Connection, name: str) -> None:
        """Nothing to do: BEGIN IMMEDIATE already lets one writer in at a time."""

    def listen(self, rung: Ring) -> None:
        self._rung = rung

    def close(self) -> None:
        self._rung = None
        self.engine.dispose()


class Postgresql:
    """A server that several hub processes share; they wake each other by LISTEN and NOTIFY."""

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(
            url.set(drivername="postgresql+psycopg"), pool_size=POOL, max_overflow=POOL, pool_pre_ping=True
        )
        self._rung: Ring | None = None
        self._stop = threading.Event()
        self._listener: threading.Thread | None = None

    @contextmanager
    def read(self) -> Iterator[Work]:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield Work(connection, locks=self._lock, writes=False)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Work]:
        with self.engine.connect() as connection, connection.begin():
            if not durable:
                connection.execute(select(func.set_config("synchronous_commit", "off", True)))
            work = Work(connection, locks=self._lock, writes=True)
            yield work
            if work.topics:
                connection.execute(select(func.pg_notify(CHANNEL, _payload(work.topics))))
            work.seal()
        if self._rung is not None and work.topics:
            self._rung(frozenset(work.topics))

    @staticmethod
    def _lock(connection: Connection, name: str) -> None:
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(key)))

    def listen(self, rung: Ring) -> None:
        self._rung = rung
        self._listener = threading.Thread(target=self._hear, args=(rung,), name="dure-listen", daemon=True)
        self._listener.start()

    def _hear(self, rung: Ring) -> None:
        import psycopg  # an extra: a hub on SQLite doesn't have it

        address = self.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._stop.is_set():
            try:
                with psycopg.connect(address, autocommit=True) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    rung(frozenset({EVERYTHING}))
                    while not self._stop.is_set():
                        for note in connection.notifies(timeout=RECONNECT_SECONDS):
                            rung(frozenset(note.payload.split("\n")))
            except psycopg.OperationalError:
                log.warning("lost the database's notifications; trying again")
                self._stop.wait(RECONNECT_SECONDS)

    def close(self) -> None:
        self._stop.set()
        self._rung = None
        if self._listener is not None:
            self._listener.join(timeout=2 * RECONNECT_SECONDS)
        self.engine.dispose()


def _payload(topics: set[str]) -> str:
    text = "\n".join(sorted(topics))
    return text if len(text.encode()) <= NOTIFY_LIMIT else EVERYTHING


def open_store(address: str) -> Sqlite | Postgresql:
    """The store at a database URL: `sqlite:////path/hub.sqlite` or `postgresql://user@host/database`.

    Raises:
        BadSettings: anything else.
    """
    try:
        url = make_url(address)
        match url.get_backend_name():
            case "sqlite" if url.database and url.database != ":memory:":
                return Sqlite(url)
            case "postgresql":
                return Postgresql(url)
    except ArgumentError:
        pass
    raise BadSettings(
        "This is neither the address of an SQLite file nor of a PostgreSQL database.",
        where="database (or DURE_HUB_DATABASE)",
        mend="Write sqlite:////absolute/path/hub.sqlite or postgresql://user:password@host/database.",
    )
