"""A node behind a wall that no wire crosses: what came is read from a file, and what it says is written into one.

Responsible for: the two ends of a carried file, at the hospital. Not responsible for: whether anything in it may be done
(`worker`, as if the hub had said it), what is said (`worker`), carrying.
"""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from dure.node.board import Board
from dure.node.journal import Journal
from dure.node.loop import Node
from dure.node.place import Place, working
from dure.node.problems import BadSetup, NoSuchRequest
from dure.wire.by_hand import Mail
from dure.wire.codec import decode, encode
from dure.wire.envelope import Envelope
from dure.wire.messages import Exchange, PollAnswer, Task

MOST_BYTES = 256 * 2**20
Say = Callable[[str], None]


def take(place: Place, node: Node, file: Path, *, say: Say) -> None:
    """Do what a file asks for, as far as this node would if the hub had asked.

    Raises:
        NoSuchRequest: the file can't be read, or something in it was left alone. Untrusted: its directory, or none.
        Malformed: it is no such file. NodeBusy: the node runs now.
    """
    told: PollAnswer = decode(PollAnswer, _read(file), where=str(file))
    with working(place.folder):
        node.worker.hear(told)
    for offer in told.offers:
        say(f"Request {offer.study.digest}: dure node show {offer.study.digest[7:19]}")
    alone = [task for task in told.tasks if not _answered(place.journal, task)]
    if alone:
        raise NoSuchRequest(
            f"{len(alone)} of {len(told.tasks)} questions of the file were left alone: the lines above say why.",
            where=str(file),
            mend="Give the file that was made for this hospital's permit, and this run's first before its second.",
        )
    for run in sorted({task.run for task in told.tasks}):
        given = [one for one in place.journal.given(run) if one.position.exchange is not Exchange.ACCEPT]
        refused = sum(bool(one.rule) for one in given)
        say(f"Run {run}: {len(given) - refused} answers, {refused} refusals. Next: dure node export")


def give(place: Place, board: Board, name: str, out: Path, *, now: datetime, say: Say) -> None:
    """Write all that this hospital has said of a study into a file to be carried.

    Raises:
        NoSuchRequest: none, or nothing was said yet. BadSetup: the file can't be written.
    """
    pending = board.request(name, now=now)
    study, decision = pending.offer.study, pending.decision
    if decision is None:
        raise NoSuchRequest(
            "The board hasn't decided yet.",
            where=f"study {study}",
            mend=f"First: dure node sign {study[7:19]}",
        )
    letters = place.journal.letters_under(decision.payload) if decision.yes else []
    said: tuple[Envelope, ...] = tuple(decode(Envelope, body, where="journal") for _, body in letters)
    mail = Mail(hospital=place.config.hospital, study=study, envelopes=(decision.envelope, *said))
    partial = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(encode(mail))
        partial.replace(out)
    except OSError as error:
        raise BadSetup(
            f"{out} can't be written: {error.strerror}.", where=str(out), mend="Name another."
        ) from None
    with place.journal.writing():
        for letter, _ in letters:
            place.journal.mark_sent(letter, now=now)
    say(f"{out}: the decision and {len(said)} answers. Carry it to the asker.")


def _answered(journal: Journal, task: Task) -> bool:
    return any(one.position == task.position for one in journal.given(task.run))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise NoSuchRequest(
            f"{file} can't be read: {error.strerror}.", where=str(file), mend="Check the path."
        ) from None
    if len(data) > MOST_BYTES:
        raise NoSuchRequest(
            f"{file} is longer than {MOST_BYTES} bytes.", where=str(file), mend="It is no file of Dure's."
        )
    return data
