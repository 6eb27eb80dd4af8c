"""The journal: all that a node must not forget, in one SQLite file (WAL, synchronous=FULL).

Responsible for: what was seen, decided and answered, each kept in the transaction of its effect, so that a crash at any
point loses and repeats nothing. Not responsible for: judging (`worker`), sending (`courier`).
"""

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dure.node.problems import BadSetup, NoNode
from dure.wire.codec import decode, digest, encode
from dure.wire.envelope import Envelope
from dure.wire.messages import Exchange, Position, Task

FILE = "journal.db"
DATASET = "dataset version"
"""The fact under which the declared dataset version is kept."""
VERSION = 4
"""Of the schema below: a journal of a version that is neither this nor among `STEPS` is not guessed at."""
PARTY = "CREATE TABLE party (run TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT"
CHARGE = """CREATE TABLE charge (run TEXT NOT NULL, step INTEGER NOT NULL, round INTEGER NOT NULL, exchange TEXT NOT NULL,
  dataset TEXT NOT NULL, rho REAL NOT NULL, at TEXT NOT NULL, PRIMARY KEY (run, step, round, exchange)) STRICT"""
STEPS = {
    1: ("ALTER TABLE answer ADD COLUMN carried TEXT NOT NULL DEFAULT ''", PARTY),
    2: (
        "ALTER TABLE population ADD COLUMN ref TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE population ADD COLUMN size INTEGER NOT NULL DEFAULT -1",
        "ALTER TABLE population ADD COLUMN members TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE population ADD COLUMN outside TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE population ADD COLUMN by_hospital INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE population ADD COLUMN same INTEGER",
    ),
    3: (CHARGE,),
}
"""What brings a journal of a version to the next one."""
SCHEMA = f"""
PRAGMA user_version = {VERSION};
CREATE TABLE fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE offer (study TEXT PRIMARY KEY, envelope BLOB NOT NULL, seen TEXT NOT NULL, closed INTEGER NOT NULL DEFAULT 0,
  fault TEXT NOT NULL DEFAULT '', judged TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE decision (study TEXT PRIMARY KEY, envelope BLOB NOT NULL, payload TEXT NOT NULL, yes INTEGER NOT NULL,
  who TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE seat (run TEXT PRIMARY KEY, study TEXT NOT NULL, permit TEXT NOT NULL, offer BLOB NOT NULL,
  at TEXT NOT NULL, closed INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE answer (run TEXT NOT NULL, permit TEXT NOT NULL, step INTEGER NOT NULL, round INTEGER NOT NULL,
  exchange TEXT NOT NULL, task TEXT NOT NULL, state TEXT NOT NULL, numbers INTEGER NOT NULL, rule TEXT NOT NULL,
  letter INTEGER NOT NULL REFERENCES letter, at TEXT NOT NULL, carried TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run, step, round, exchange)) STRICT;
CREATE TABLE release (question TEXT PRIMARY KEY, layout TEXT NOT NULL, numbers BLOB NOT NULL, shown BLOB,
  dataset TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE population (id INTEGER PRIMARY KEY, dataset TEXT NOT NULL, question TEXT NOT NULL, name TEXT NOT NULL,
  people BLOB NOT NULL, ref TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT -1, members TEXT NOT NULL DEFAULT '[]',
  outside TEXT NOT NULL DEFAULT '[]', by_hospital INTEGER NOT NULL DEFAULT 1, same INTEGER)
  STRICT;
CREATE TABLE letter (id INTEGER PRIMARY KEY, door TEXT NOT NULL, body BLOB NOT NULL, about TEXT NOT NULL,
  written TEXT NOT NULL, sent TEXT, returned TEXT) STRICT;
{PARTY};
{CHARGE};
CREATE INDEX letter_to_send ON letter (id) WHERE sent IS NULL AND returned IS NULL;
CREATE INDEX answer_permit ON answer (permit);
"""
EXCHANGES = {exchange: place for place, exchange in enumerate(Exchange)}


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A study put before this hospital.

    Attributes:
        fault: why it can't be signed, if it can't.
        judged: by which directory and standing yes it was found to wait for a person; "" while it wasn't.
    """

    study: str
    envelope: Envelope
    seen: datetime
    closed: bool
    fault: str
    judged: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A board's yes or no. `payload` is the digest of the signed bytes; `who` is "board" or "rule"."""

    study: str
    envelope: Envelope
    payload: str
    yes: bool
    who: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A released answer to a question that may be asked again."""

    layout: str
    numbers: bytes
    shown: bytes | None


@dataclass(frozen=True, kw_only=True)
class Given:
    """An answer that was given: where, to which task, state and carried results (digests), in which letter."""

    position: Position
    task: str
    state: str
    rule: str
    letter: int
    at: datetime
    carried: str


@dataclass(frozen=True, kw_only=True)
class Population:
    """People of whom numbers were given, as they are kept; see `dure.guard.populations.Past`.

    Attributes:
        id: by which the people are read; size: how many they are, -1 where an older version didn't keep it.
    """

    id: int
    ref: str
    size: int
    members: tuple[str, ...]
    outside: tuple[str, ...]
    by_hospital: bool


def digest_carried(task: Task) -> str:
    """By which a task's carried results and comparisons are known again; "" where there are none."""
    told = (task.carried, task.compare)
    return digest(encode(told, tuple[tuple[bytes, ...], tuple[str, ...]])) if any(told) else ""


class Journal:
    """The journal of the node in `folder`. Several processes may open it; each write is one transaction."""

    def __init__(self, folder: Path, *, make: bool = False) -> None:
        path = folder / FILE
        if make:
            path.touch(mode=0o600)
        elif not path.is_file():
            raise NoNode(
                f"{folder} holds no {FILE}.", where=str(path), mend="Restore it, or make the node anew."
            )
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-2000;"
        )
        if make:
            self._db.executescript(SCHEMA)
        version = self._brought_over()
        if version != VERSION:
            self._db.close()
            raise BadSetup(
                f"{FILE} was written by another version of Dure.",
                where=str(path),
                mend="Run the version that wrote it; the release notes say how a journal is brought over.",
            )

    def _brought_over(self) -> int:
        """The schema's version, after what leads from an older one to this."""
        while True:
            row = self._row("PRAGMA user_version")
            version = 0 if row is None else int(row[0])
            if version not in STEPS:
                return version
            with self.writing():
                if self._row("PRAGMA user_version") == (version,):
                    for statement in STEPS[version]:
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {version + 1}")

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[None]:
        """One transaction: all of it, or, after an error or a crash, none.

        Args:
            durable: whether it is on the disk when this returns. What may be forgotten needs no wait: a letter whose
                receipt is lost with the power goes out again as the same bytes.

        Raises:
            DiskFull: no room.
        """
        try:
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                from dure.engines.problems import DiskFull

                raise DiskFull(
                    "The journal can't be written.",
                    where=str(self._path),
                    mend="Free room on that disk; the node goes on by itself.",
                ) from error
            raise
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    # facts

    def fact(self, name: str) -> bytes | None:
        row = self._row("SELECT value FROM fact WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def keep_fact(self, name: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    # offers and decisions

    def add_offer(self, envelope: Envelope, *, fault: str, now: datetime) -> bool:
        """Keep an offer; whether it is new. The same study offered again changes only its fault."""
        added = self._db.execute(
            "INSERT INTO offer (study, envelope, seen, fault) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (envelope.digest, encode(envelope), now.isoformat(), fault),
        ).rowcount
        if not added:
            self._db.execute(
                "UPDATE offer SET fault = ?, closed = 0 WHERE study = ? AND (fault != ? OR closed)",
                (fault, envelope.digest, fault),
            )
        return bool(added)

    def offers(self) -> list[Offer]:
        """All offers, newest first."""
        rows = self._db.execute(
            "SELECT study, envelope, seen, closed, fault, judged FROM offer ORDER BY seen DESC, study"
        )
        return [_offer(row) for row in rows]

    def mark_judged(self, study: str, basis: str) -> None:
        """An offer waits for a person, judged by so much."""
        self._db.execute("UPDATE offer SET judged = ? WHERE study = ?", (basis, study))

    def undecided(self) -> int:
        """How many open offers wait for the board."""
        row = self._row(
            "SELECT count(*) FROM offer LEFT JOIN decision USING (study) WHERE NOT closed AND payload IS NULL"
        )
        return int(row[0]) if row is not None else 0

    def offer(self, study: str) -> Offer | None:
        row = self._row(
            "SELECT study, envelope, seen, closed, fault, judged FROM offer WHERE study = ?", study
        )
        return None if row is None else _offer(row)

    def decide(self, study: str, envelope: Envelope, *, yes: bool, who: str, now: datetime) -> None:
        """Keep a decision; raises sqlite3.IntegrityError if there is one."""
        self._db.execute(
            "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?)",
            (study, encode(envelope), envelope.digest, int(yes), who, now.isoformat()),
        )

    def decision(self, study: str) -> Decision | None:
        row = self._row("SELECT * FROM decision WHERE study = ?", study)
        if row is None:
            return None
        return Decision(
            study=row[0],
            envelope=_envelope(row[1]),
            payload=row[2],
            yes=bool(row[3]),
            who=row[4],
            at=datetime.fromisoformat(row[5]),
        )

    def close_all(self, names: tuple[str, ...]) -> None:
        """Mark studies or runs as over."""
        for name in names:
            self._db.execute("UPDATE offer SET closed = 1 WHERE study = ? AND NOT closed", (name,))
            self._db.execute(
                "UPDATE seat SET closed = 1 WHERE (run = ? OR study = ?) AND NOT closed", (name, name)
            )
            self._db.execute("DELETE FROM party WHERE run = ?", (name,))

    # seats and answers

    def seat(self, run: str) -> bytes | None:
        """The encoded RunOffer of a seat that was taken."""
        row = self._row("SELECT offer FROM seat WHERE run = ?", run)
        return None if row is None else bytes(row[0])

    def take_seat(self, run: str, study: str, permit: str, offer: bytes, *, now: datetime) -> None:
        self._db.execute(
            "INSERT INTO seat (run, study, permit, offer, at) VALUES (?, ?, ?, ?, ?)",
            (run, study, permit, offer, now.isoformat()),
        )

    def given(self, run: str) -> list[Given]:
        """The answers given in a run, in order."""
        rows = self._db.execute(
            "SELECT step, round, exchange, task, state, rule, letter, at, carried FROM answer WHERE run = ?",
            (run,),
        ).fetchall()
        found = [
            Given(
                position=Position(step=row[0], round=row[1], exchange=Exchange(row[2])),
                task=row[3],
                state=row[4],
                rule=row[5],
                letter=row[6],
                at=datetime.fromisoformat(row[7]),
                carried=row[8],
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: order(one.position))

    def give(self, task: Task, permit: str, *, numbers: int, rule: str, letter: int, now: datetime) -> None:
        """Keep that a task was answered. `numbers` is how many bytes of numbers left; `rule` is set for a refusal."""
        place = task.position
        self._db.execute(
            "INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                task.run,
                permit,
                place.step,
                place.round,
                place.exchange.value,
                digest(encode(task)),
                digest(task.state or b""),
                numbers,
                rule,
                letter,
                now.isoformat(),
                digest_carried(task),
            ),
        )

    def party(self, run: str) -> bytes | None:
        """What this hospital remembers of a run's masks, encoded; it goes when the run is over."""
        row = self._row("SELECT state FROM party WHERE run = ?", run)
        return None if row is None else bytes(row[0])

    def keep_party(self, run: str, party: bytes) -> None:
        """Remember it, in the transaction of the answer that it belongs to."""
        self._db.execute("INSERT OR REPLACE INTO party VALUES (?, ?)", (run, party))

    def rounds_spent(self, permit: str, *, besides: Task) -> int:
        """Rounds answered under a permit, over all runs, the round of `besides` not counted."""
        place = besides.position
        row = self._row(
            "SELECT count(*) FROM (SELECT DISTINCT run, step, round FROM answer WHERE permit = ? AND exchange != ?"
            " AND NOT (run = ? AND step = ? AND round = ?))",
            permit,
            Exchange.ACCEPT.value,
            besides.run,
            place.step,
            place.round,
        )
        return int(row[0]) if row is not None else 0

    def runs_answered(self, permit: str) -> set[str]:
        """The runs in which numbers have left under a permit."""
        rows = self._db.execute("SELECT DISTINCT run FROM answer WHERE permit = ? AND numbers > 0", (permit,))
        return {row[0] for row in rows}

    def releases(self, run: str, step: int) -> list[bytes]:
        """The sealed contributions of one step, `by_hospital`, in the order of their rounds."""
        rows = self._db.execute(
            "SELECT l.body FROM answer a JOIN letter l ON l.id = a.letter"
            " WHERE a.run = ? AND a.step = ? AND a.exchange = 'release' AND a.numbers > 0 ORDER BY a.round",
            (run, step),
        )
        return [bytes(row[0]) for row in rows]

    def letters_under(self, permit: str) -> list[tuple[int, bytes]]:
        """The letters of all answers given under a permit, in order: id, body."""
        rows = self._db.execute(
            "SELECT l.id, l.body FROM answer a JOIN letter l ON l.id = a.letter WHERE a.permit = ? ORDER BY l.id",
            (permit,),
        )
        return [(row[0], bytes(row[1])) for row in rows]

    def departures(self) -> list[tuple[str, ...]]:
        """What has left, newest first: at, study, run, step, round, exchange, bytes of numbers, rule, sent."""
        rows = self._db.execute(
            "SELECT a.at, coalesce(s.study, ''), a.run, a.step, a.round, a.exchange, a.numbers, a.rule, coalesce(l.sent, '')"
            " FROM answer a LEFT JOIN seat s ON s.run = a.run JOIN letter l ON l.id = a.letter ORDER BY l.id DESC"
        )
        return [tuple(str(part) for part in row) for row in rows]

    # repeats and populations

    def kept(self, question: str) -> Kept | None:
        row = self._row("SELECT layout, numbers, shown FROM release WHERE question = ?", question)
        return None if row is None else Kept(layout=row[0], numbers=row[1], shown=row[2])

    def keep(self, question: str, kept: Kept, *, dataset: str, now: datetime) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO release VALUES (?, ?, ?, ?, ?, ?)",
            (question, kept.layout, kept.numbers, kept.shown, dataset, now.isoformat()),
        )

    def populations(self) -> list[Population]:
        """All of whom numbers were given, oldest first, over all dataset versions."""
        rows = self._db.execute(
            "SELECT id, ref, size, members, outside, by_hospital FROM population WHERE by_hospital OR ref != '' ORDER BY id"
        )
        return [
            Population(
                id=row[0],
                ref=row[1],
                size=row[2],
                members=tuple(json.loads(row[3])),
                outside=tuple(json.loads(row[4])),
                by_hospital=bool(row[5]),
            )
            for row in rows
        ]

    def people(self, population: int) -> bytes:
        """The people of a population, compressed."""
        row = self._row(
            "SELECT p.people FROM population n JOIN population p ON p.id = coalesce(n.same, n.id) WHERE n.id = ?",
            population,
        )
        assert row is not None
        return bytes(row[0])

    def people_of(self, question: str) -> dict[str, bytes]:
        """The populations of an answered question, by name, compressed; none where no support of it was given."""
        rows = self._db.execute(
            "SELECT n.name, p.people FROM population n JOIN population p ON p.id = coalesce(n.same, n.id)"
            " WHERE n.question = ? AND NOT n.by_hospital AND n.ref = ''",
            (question,),
        )
        return {row[0]: bytes(row[1]) for row in rows}

    def add_population(
        self,
        dataset: str,
        question: str,
        name: str,
        people: bytes,
        *,
        size: int,
        ref: str = "",
        members: tuple[str, ...] = (),
        outside: tuple[str, ...] = (),
        by_hospital: bool,
    ) -> None:
        """Keep a population. The same people are kept once, however often they are asked about.

        Args:
            ref: of a total that values were given of; "" where so far only its support was, or `by_hospital`.
        """
        same = self._row("SELECT id FROM population WHERE people = ? AND same IS NULL", people)
        if by_hospital and self._row(
            "SELECT 1 FROM population WHERE by_hospital AND dataset = ? AND coalesce(same, id) = ?",
            dataset,
            None if same is None else same[0],
        ):
            return
        if ref and self._row("SELECT 1 FROM population WHERE ref = ?", ref):
            return
        if (
            not by_hospital
            and not ref
            and self._row(
                "SELECT 1 FROM population WHERE question = ? AND name = ? AND ref = '' AND NOT by_hospital",
                question,
                name,
            )
        ):
            return
        self._db.execute(
            "INSERT INTO population (dataset, question, name, people, ref, size, members, outside, by_hospital, same)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                dataset,
                question,
                name,
                people if same is None else b"",
                ref,
                size,
                json.dumps(members),
                json.dumps(outside),
                int(by_hospital),
                None if same is None else same[0],
            ),
        )

    # noise

    def spend(self, task: Task, rho: float, *, dataset: str, now: datetime) -> None:
        """Keep what a noised answer tells, in the transaction of the answer."""
        place = task.position
        self._db.execute(
            "INSERT INTO charge VALUES (?, ?, ?, ?, ?, ?, ?)",
            (task.run, place.step, place.round, place.exchange.value, dataset, rho, now.isoformat()),
        )

    def spent(self, run: str | None = None) -> float:
        """What noised answers have told: all of them, over all dataset versions, or those of one run."""
        rows = self._db.execute("SELECT rho FROM charge WHERE ? IS NULL OR run = ?", (run, run))
        return math.fsum(row[0] for row in rows)

    # letters: what is to be sent, and was

    def write_letter(self, door: str, body: bytes, *, about: str, now: datetime) -> int:
        """Put a letter into the outbox; it is sent until the hub has taken or returned it."""
        cursor = self._db.execute(
            "INSERT INTO letter (door, body, about, written) VALUES (?, ?, ?, ?)",
            (door, body, about, now.isoformat()),
        )
        return int(cursor.lastrowid or 0)

    def to_send(self) -> list[tuple[int, str, bytes, str]]:
        """Letters not yet taken, oldest first: id, door, body, about."""
        rows = self._db.execute(
            "SELECT id, door, body, about FROM letter WHERE sent IS NULL AND returned IS NULL ORDER BY id"
        )
        return [(row[0], row[1], bytes(row[2]), row[3]) for row in rows]

    def letter_about(self, about: str) -> int | None:
        """The newest letter about something."""
        row = self._row("SELECT max(id) FROM letter WHERE about = ?", about)
        return None if row is None else row[0]

    def mark_sent(self, letter: int, *, now: datetime) -> None:
        self._db.execute("UPDATE letter SET sent = ? WHERE id = ?", (now.isoformat(), letter))

    def mark_returned(self, letter: int, why: str) -> None:
        self._db.execute("UPDATE letter SET returned = ? WHERE id = ?", (why, letter))

    def returned(self) -> list[tuple[str, str]]:
        """Letters that the hub refused: what about, and its words; newest first."""
        rows = self._db.execute(
            "SELECT about, returned FROM letter WHERE returned IS NOT NULL ORDER BY id DESC"
        )
        return [(row[0], row[1]) for row in rows]

    def send_again(self, letter: int) -> None:
        """The hub still asks: the same bytes go once more."""
        self._db.execute("UPDATE letter SET sent = NULL, returned = NULL WHERE id = ?", (letter,))

    def _row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row


def order(position: Position) -> tuple[int, int, int]:
    """Positions in the order in which a run asks them."""
    return (position.step, position.round, EXCHANGES[position.exchange])


def _envelope(data: bytes) -> Envelope:
    return decode(Envelope, bytes(data), where="journal")


def _offer(row: tuple[Any, ...]) -> Offer:
    return Offer(
        study=row[0],
        envelope=_envelope(row[1]),
        seen=datetime.fromisoformat(row[2]),
        closed=bool(row[3]),
        fault=row[4],
        judged=row[5],
    )
