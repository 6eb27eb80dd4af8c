"""The audit log as regulators read it: checkpoint, entries, proofs; and the check of the whole.

Not responsible for: appending (every unit of work does), the mathematics (`dure.wire.merkle`).
"""

from sqlalchemy import select

from dure.govern.log import BrokenLog, Entry
from dure.hub.problems import Unknown
from dure.hub.store.tables import entries, head
from dure.hub.store.work import Work, frontier_of
from dure.wire.codec import Malformed, decode, message
from dure.wire.merkle import Checkpoint, Frontier, consistency, continues, frontier, inclusion, leaf_hash

PAGE = 500
MEND = "Compare with a backup and with checkpoints that others keep; docs/hub.md says how."


@message
class Logged:
    """One entry and its number. `body` is the exact bytes that were hashed."""

    number: int
    body: bytes


@message
class Proof:
    """Hashes that lead from an entry, or from an older log, to a checkpoint. Each 64 hexadecimal digits."""

    checkpoint: Checkpoint
    hashes: tuple[str, ...]


def checkpoint(work: Work) -> Checkpoint:
    """The log's head."""
    return frontier_of(work.one(select(head))).checkpoint


def entries_after(work: Work, after: int) -> tuple[Logged, ...]:
    """At most PAGE entries with a higher number; -1 for the first ones."""
    rows = work.rows(select(entries).where(entries.c.number > after).order_by(entries.c.number).limit(PAGE))
    return tuple(Logged(number=row.number, body=bytes(row.body)) for row in rows)


def prove_inclusion(work: Work, number: int, size: int) -> Proof:
    """That entry `number` is in the log of `size` entries. Raises Unknown where there is none."""
    leaves = _leaves(work, size)
    try:
        path = inclusion(leaves, number)
    except IndexError:
        raise _no_entry(number, size) from None
    return _proof(leaves, path)


def prove_consistency(work: Work, old: int, size: int) -> Proof:
    """That the log of `size` entries continues the one of `old`. Raises Unknown where there is none."""
    leaves = _leaves(work, size)
    try:
        path = consistency(leaves, old)
    except IndexError:
        raise _no_entry(old, size) from None
    return _proof(leaves, path)


def verify(work: Work, known: Checkpoint | None = None) -> Checkpoint:
    """Recompute the whole log from its entries' bytes; its checkpoint.

    Args:
        known: a checkpoint that was kept elsewhere, which the log must continue.

    Raises:
        BrokenLog: an entry was changed, lost or put in, or the log doesn't continue `known`.
    """
    edge, leaves = Frontier(), []
    for number, row in enumerate(work.rows(select(entries).order_by(entries.c.number))):
        here = f"entry {number}"
        if row.number != number:
            raise BrokenLog(f"Entry {number} is missing.", where=here, mend=MEND)
        if leaf_hash(row.body) != row.leaf:
            raise BrokenLog("Its bytes don't give its hash.", where=here, mend=MEND)
        try:
            decode(Entry, row.body, where=here)
        except Malformed as problem:
            raise BrokenLog(problem.what, where=here, mend=MEND) from None
        edge = edge.append(row.leaf)
        leaves.append(row.leaf)
    kept = checkpoint(work)
    if kept != edge.checkpoint:
        raise BrokenLog(
            f"The entries give {edge.checkpoint.size}, {edge.checkpoint.root}; the head says {kept.size}, {kept.root}.",
            where="head",
            mend=MEND,
        )
    if known is not None and known.size > 0:
        fits = known.size <= len(leaves) and continues(known, kept, consistency(leaves, known.size))
        if not fits:
            raise BrokenLog(
                f"The log does not continue the one of {known.size} entries with root {known.root}.",
                where="checkpoint",
                mend=MEND,
            )
    return kept


def _leaves(work: Work, size: int) -> list[bytes]:
    rows = work.rows(select(entries.c.leaf).where(entries.c.number < size).order_by(entries.c.number))
    if len(rows) != size:
        raise _no_entry(size - 1, len(rows))
    return [bytes(row.leaf) for row in rows]


def _proof(leaves: list[bytes], path: tuple[bytes, ...]) -> Proof:
    edge = Frontier()
    for leaf in leaves:
        edge = edge.append(leaf)
    return Proof(checkpoint=frontier(leaves).checkpoint, hashes=tuple(part.hex() for part in path))


def _no_entry(number: int, size: int) -> Unknown:
    return Unknown(
        f"The log of {size} entries has no {number}.", where="GET /v1/log/proof", mend="Entries count from 0."
    )
