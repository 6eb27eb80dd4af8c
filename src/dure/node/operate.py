"""What an operator does at a node, one function a verb: what `dure.cli.node` calls.

Responsible for: putting the parts together for one command, and its words. Not responsible for: reading arguments,
tables on a screen (`plain_words`).
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.guard.accounting import NoiseMissing
from dure.node import keys
from dure.node.budget import Purse
from dure.node.config import NodeConfig
from dure.node.hub_link import HubLink
from dure.node.journal import DATASET
from dure.node.loop import Node, utc_now
from dure.node.place import Place, is_running, working
from dure.node.problems import BadSetup, NoSuchRequest
from dure.node.trust import Trust
from dure.wire.codec import decode, encode
from dure.wire.directory import Untrusted
from dure.wire.envelope import Envelope, fingerprint, public_text
from dure.wire.envelope import seal as seal_message
from dure.wire.rules import Noise, Rules

if TYPE_CHECKING:
    from rich.console import Console

    from dure.node.board import Board

Say = Callable[[str], None]


def init(folder: Path, config: NodeConfig, *, code: str, passphrase: str | None, say: Say) -> None:
    """Make the node and say what is to be read to the root. Raises as `enrolment.enrol`."""
    from dure.node import enrolment

    config = replace(config, root_key=enrolment.root_key(config.root_key))
    link = link_of(config)
    try:
        done = enrolment.enrol(folder, config, code=code, passphrase=passphrase, link=link, now=utc_now())
    finally:
        link.close()
    told = done.declaration
    say(f"{folder} is the node of {config.hospital}. The hub has its enrolment.")
    say(
        f"Declared: {told.provenance.value} data, CDM {told.cdm_version}, version {told.dataset_version}, about"
        f" {told.people_about:,} people, {told.first_date.year} to {told.last_date.year}."
    )
    say(
        "Read these fingerprints to the root, by telephone or in person; it lists the hospital when they agree:"
    )
    say(f"  board {done.board}")
    say(f"  node  {done.node}")
    say(f"Then start it: dure node run --dir {folder}")


def run(place: Place, *, once: bool, until_idle: bool) -> None:
    """Work. Raises NodeBusy; with `once` or `until_idle`, also what keeps the node from working.

    A node that has been idle after work replaces its process by a new one, of the same number and arguments.
    """
    _log_to_standard_error()
    signal.signal(signal.SIGTERM, _end)
    with working(place.folder):
        node = Node(place, link_of(place.config))
        try:
            if once:
                node.turn(wait_seconds=0)
            elif until_idle:
                node.run_until_idle()
            else:
                node.run()
        finally:
            node.close()
    if not (once or until_idle):
        place.journal.close()
        logging.getLogger("dure.node").info("starts afresh, to give back memory")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same program again


def status(place: Place, *, now: datetime) -> list[tuple[str, str]]:
    """Titles and values: who this node is, whom it trusts, what waits."""
    config, journal = place.config, place.journal
    node_key = public_text(keys.read(place.node_key))
    trust = Trust(config, journal, node_key)
    try:
        directory = trust.directory(now=now)
        trust.me(directory)
        listed = f"listed in directory version {directory.version}, which holds until {directory.expires:%Y-%m-%d %H:%M} UTC"
    except Untrusted as problem:
        listed = f"{problem.what} {problem.mend}"
    offers = journal.offers()
    waiting = [one for one in offers if not one.closed and journal.decision(one.study) is None]
    last = journal.departures()[:1]
    lines = [
        ("hospital", f"{config.hospital} ({config.name}), {config.affiliation}"),
        ("hub", config.hub),
        ("root", fingerprint(config.root_key)),
        ("keys", f"board {fingerprint(config.board_key)}, node {fingerprint(node_key)}"),
        ("listed", listed),
        ("dataset", f"{config.provenance.value}, version {(journal.fact(DATASET) or b'').decode()}"),
        ("rules", words(config.rules)),
        ("noise", _budget(Purse(budget=config.budget, spent=journal.spent()))),
        ("running", "yes" if is_running(place.folder) else "no"),
        ("requests", f"{len(waiting)} wait for the board, {len(offers)} in all"),
        ("to send", f"{len(journal.to_send())} letters"),
        ("last answer", f"{last[0][0]} run {last[0][2]}" if last else "none yet"),
    ]
    returned = journal.returned()
    return [*lines, *(("returned", f"{about}: {why}") for about, why in returned)]


def requests(place: Place, console: "Console", *, everything: bool, now: datetime) -> None:
    """Print the requests."""
    from dure.node.plain_words import print_requests

    print_requests(_board(place).requests(now=now, everything=everything), console)


def show(place: Place, study: str, console: "Console", *, rules: Rules | None, now: datetime) -> None:
    """Print one request, under the node's own rules or stricter ones. Raises NoSuchRequest."""
    from dure.node.plain_words import print_request

    print_request(_board(place).request(study, now=now, rules=rules), console)


def stricter(
    own: Rules,
    least_people: int | None,
    round_to: int | None,
    least_hospitals: int | None,
    noise: Noise | None = None,
) -> Rules | None:
    """The node's own rules with what was given; None where nothing was."""
    given: dict[str, Any] = {
        "least_people": least_people,
        "round_to": round_to,
        "least_hospitals": least_hospitals,
        "noise": noise,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(own, **chosen) if chosen else None


def sign(
    place: Place,
    study: str,
    *,
    rules: Rules | None,
    consent_by_hospital: bool,
    key: Callable[[], Ed25519PrivateKey],
    prepare: Path | None,
    signed: Path | None,
    now: datetime,
    say: Say,
) -> None:
    """Sign here, write what is to be sealed elsewhere, or take what was. Raises as `signing.sign`."""
    board = _board(place)
    if prepare is not None:
        made = board.prepare(study, rules=rules, consent_by_hospital=consent_by_hospital, now=now)
        _write(prepare, encode(made))
        say(
            f"{prepare}: carry it to the machine that keeps the board key, and there: dure node seal {prepare.name}"
        )
        return
    if signed is not None:
        sealed: Envelope = decode(Envelope, _bytes(signed), where=str(signed))
        permit = board.take_signed(sealed, now=now)
    else:
        permit = board.sign(study, key(), rules=rules, consent_by_hospital=consent_by_hospital, now=now)
    say(
        f"Signed: {permit.study}, {permit.mode.value}, {words(permit.rules)}, at most {permit.rounds} rounds."
    )
    _send(place, board, now, say, study=permit.study)


def decline(
    place: Place, study: str, key: Ed25519PrivateKey, *, reason: str, now: datetime, say: Say
) -> None:
    """Say no. Raises as `signing.decline`."""
    board = _board(place)
    named = board.request(study, now=now).offer.study
    board.decline(study, key, reason=reason, now=now)
    say("Declined.")
    _send(place, board, now, say, study=named)


def seal(
    prepared: Path, *, key: Callable[[], Ed25519PrivateKey], out: Path, agreed: Callable[[], bool], say: Say
) -> None:
    """Show a prepared permit and sign it.

    Raises:
        Malformed, NoSuchRequest: the file isn't one. BadKeyFile: the key.
    """
    from dure.node.board import Prepared, seal_prepared
    from dure.study.spec import Study
    from dure.wire.envelope import peek

    made: Prepared = decode(Prepared, _bytes(prepared), where=str(prepared))
    study, permit = peek(Study, made.study, where=str(prepared)), made.permit
    say(f"{study.title}\n  asked by {permit.asker}: {study.purpose.value}: {study.purpose_text}")
    say(
        f"  {permit.mode.value}, {words(permit.rules)}, at most {permit.rounds} rounds, until {permit.expires:%Y-%m-%d}"
    )
    say(f"  study {permit.study}, dataset version {permit.dataset_version}")
    if not agreed():
        say("Not signed.")
        return
    _write(out, encode(seal_prepared(made, key())))
    say(f"{out}: carry it back, and there: dure node sign {permit.study} --signed {out.name}")


def declare(place: Place, key: Ed25519PrivateKey, *, now: datetime, say: Say) -> None:
    """Declare the database's present version. Raises the engine's Problems, HubUnreachable, HubRefused."""
    from dure.node.declaration import declare as compose
    from dure.node.declaration import look

    config, journal = place.config, place.journal
    if public_text(key) != config.board_key:
        raise BadSetup(
            "The key isn't this hospital's board key.", where="board key", mend="Give the one made at init."
        )
    told = compose(
        look(config.cdm), hospital=config.hospital, provenance=config.provenance, where=config.cdm, now=now
    )
    with journal.writing():
        journal.keep_fact(DATASET, told.dataset_version.encode())
        about = f"declaration of {told.dataset_version}"
        journal.write_letter(
            "/v1/declarations", encode(seal_message(told, "declaration", key)), about=about, now=now
        )
    say(
        f"Declared: version {told.dataset_version}, about {told.people_about:,} people. Start the node again."
    )
    _send(place, _board(place), now, say)


def link_of(config: NodeConfig) -> HubLink:
    """The link that the settings describe."""
    return HubLink(config.hub, proxy=config.proxy, ca_file=config.ca_file)


def words(rules: Rules) -> str:
    """Rules in a few words."""
    if rules.off and rules.noise is None:
        return "rules off"
    noise = "" if rules.noise is None else f", {noise_words(rules.noise)}"
    return (
        f"at least {rules.least_people} people, counts by hospital to the nearest {rules.round_to},"
        f" totals of at least {rules.least_hospitals} hospitals{noise}"
    )


def noise_words(noise: Noise) -> str:
    """Noise in a few words."""
    return f"noise: epsilon {noise.epsilon:g}, delta {noise.delta:g}, {noise.colluders} colluders"


def _budget(purse: Purse) -> str:
    """What noised answers may tell, and have told."""
    try:
        return purse.sentence()
    except NoiseMissing as problem:
        return f"{problem.what} {problem.mend}"


def _board(place: Place) -> "Board":
    from dure.node.board import Board

    return Board(place, node_key=public_text(keys.read(place.node_key)))


def take(place: Place, file: Path, *, say: Say) -> None:
    """Do what a file asks for. Raises as `by_hand.take`."""
    from dure.node.by_hand import take as take_file

    _log_to_standard_error()
    node = Node(place, link_of(place.config))
    try:
        take_file(place, node, file, say=say)
    finally:
        node.close()


def give(place: Place, study: str, out: Path, *, now: datetime, say: Say) -> None:
    """Write what this hospital has said of a study into a file. Raises as `by_hand.give`."""
    from dure.node.by_hand import give as give_file

    give_file(place, _board(place), study, out, now=now, say=say)


def _send(place: Place, board: "Board", now: datetime, say: Say, *, study: str = "") -> None:
    from dure.node.signing import is_by_hand

    offer = place.journal.offer(study)
    if offer is not None and is_by_hand(offer.envelope):
        say("It is carried by hand: dure node export")
        return
    link = link_of(place.config)
    try:
        sent = board.send(link, clock=now)
    finally:
        link.close()
    say("The hub has it." if sent else "The hub can't be reached now; the running node sends it.")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoSuchRequest(
            f"{path} can't be read: {error.strerror}.", where=str(path), mend="Check the path."
        ) from None


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadSetup(
            f"{path} can't be written: {error.strerror}.", where=str(path), mend="Name another."
        ) from None


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _log_to_standard_error() -> None:
    """One line an event: time (UTC), level, words. Digests, names and counts of bytes; never a value of the data."""
    handler = logging.StreamHandler(sys.stderr)
    line = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ")
    line.converter = time.gmtime
    handler.setFormatter(line)
    log = logging.getLogger("dure.node")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
