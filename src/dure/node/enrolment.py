"""Enrolment: making a node's folder and asking the hub to be listed, whole or not at all.

Responsible for: keys made on this machine, the sealed declaration and enrolment, DIR.partial renamed to DIR once the
hub has taken the enrolment. Not responsible for: being listed: the root does that, after people compared fingerprints.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from dure.node import keys
from dure.node.config import NodeConfig, check, write
from dure.node.declaration import declare, look
from dure.node.hub_link import HubLink
from dure.node.journal import DATASET, Journal
from dure.node.place import BOARD_KEY, NODE_KEY
from dure.node.problems import BadSetup, HubRefused
from dure.wire.codec import decode, encode, message
from dure.wire.envelope import BadKey, Envelope, fingerprint, public_key, public_text, seal
from dure.wire.messages import DatasetDeclaration, Enrolment

DOOR, FILE = "/v1/enrolments", "enrolment.json"
MOST_SKEW = timedelta(minutes=5)


@message
class Application:
    """The body of an enrolment: the one-time code and what both keys signed."""

    code: str
    enrolment: Envelope


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """What is to be read to the root, and what was declared."""

    board: str
    node: str
    declaration: DatasetDeclaration


def root_key(text: str) -> str:
    """The root's public key from its text, or from a file that holds it.

    Raises:
        BadSetup: neither.
    """
    path = Path(text)
    try:
        found = path.read_text(encoding="utf-8").strip() if path.is_file() else text.strip()
        public_key(found)
    except (BadKey, OSError, UnicodeDecodeError):
        raise BadSetup(
            "This is no public key.",
            where=f"--root {text[:60]}",
            mend="Give the root's public key (base64 of 32 bytes), or a file that holds it.",
        ) from None
    return found


def enrol(
    folder: Path, config: NodeConfig, *, code: str, passphrase: str | None, link: HubLink, now: datetime
) -> Enrolled:
    """Make the node in `folder` and hand its enrolment in.

    Args:
        config: as the user gave it; the board key's place in it is filled here.
        passphrase: locks the board key.

    Raises:
        BadSetup: the folder exists, the settings can't be, or the clocks differ.
        HubUnreachable, HubRefused: the hub; nothing is left behind, except where it can't be known whether the hub
            took it: then DIR.partial stays, and the same command goes on with the same keys.
        Problem: of the database.
    """
    if folder.exists():
        raise BadSetup(
            f"{folder} exists.",
            where=str(folder),
            mend="Name another folder; a node is never made over another.",
        )
    check(config, where="dure node init")
    dataset = look(config.cdm)
    declaration = declare(
        dataset, hospital=config.hospital, provenance=config.provenance, where=config.cdm, now=now
    )
    _check_clock(link)
    partial = folder.with_name(folder.name + ".partial")
    application = _unfinished(partial, config, code) or _make(
        partial, config, declaration, code=code, passphrase=passphrase, now=now
    )
    try:
        link.post(DOOR, encode(application))
    except HubRefused as problem:
        if problem.http_status < 500:
            shutil.rmtree(partial)
        raise
    partial.replace(folder)
    told: Enrolment = decode(Enrolment, application.enrolment.payload, where=FILE)
    return Enrolled(
        board=fingerprint(told.board_key),
        node=fingerprint(told.node_key),
        declaration=decode(DatasetDeclaration, told.declaration.payload, where=FILE),
    )


def _check_clock(link: HubLink) -> None:
    off = link.clock_difference()
    if abs(off) > MOST_SKEW:
        way = "ahead of" if off > timedelta(0) else "behind"
        raise BadSetup(
            f"This machine's clock is {abs(off).total_seconds() / 60:.0f} minutes {way} the hub's.",
            where="clock",
            mend="Set it by a time server, then try again.",
        )


def _unfinished(partial: Path, config: NodeConfig, code: str) -> Application | None:
    """An enrolment for the same hospital that was made before and may have reached the hub."""
    try:
        kept: Application = decode(Application, (partial / FILE).read_bytes(), where=str(partial / FILE))
    except FileNotFoundError:
        return None
    told: Enrolment = decode(Enrolment, kept.enrolment.payload, where=str(partial / FILE))
    same = (told.hospital, told.name, told.affiliation) == (config.hospital, config.name, config.affiliation)
    if not same:
        raise BadSetup(
            f"{partial} holds an unfinished enrolment of {told.hospital}.",
            where=str(partial),
            mend="Finish it with the same settings, or remove that folder.",
        )
    return replace(kept, code=code)


def _make(
    partial: Path,
    config: NodeConfig,
    declaration: DatasetDeclaration,
    *,
    code: str,
    passphrase: str | None,
    now: datetime,
) -> Application:
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700, parents=True)
        return _fill(partial, config, declaration, code=code, passphrase=passphrase, now=now)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise BadSetup(
            f"{partial} can't be written: {error.strerror}.",
            where=str(partial),
            mend="Free room on that disk, or name a folder elsewhere.",
        ) from None


def _fill(
    partial: Path,
    config: NodeConfig,
    declaration: DatasetDeclaration,
    *,
    code: str,
    passphrase: str | None,
    now: datetime,
) -> Application:
    node, board = keys.make(partial / NODE_KEY), keys.make(partial / BOARD_KEY, passphrase)
    write(partial, replace(config, board_key=public_text(board)))
    journal = Journal(partial, make=True)
    with journal.writing():
        journal.keep_fact(DATASET, declaration.dataset_version.encode())
    journal.close()
    enrolment = Enrolment(
        hospital=config.hospital,
        name=config.name,
        affiliation=config.affiliation,
        board_key=public_text(board),
        node_key=public_text(node),
        declaration=seal(declaration, "declaration", board),
        created=now,
    )
    application = Application(code=code, enrolment=seal(enrolment, "enrolment", board, node))
    path = partial / FILE
    path.touch(mode=0o600)
    path.write_bytes(encode(application))
    return application
