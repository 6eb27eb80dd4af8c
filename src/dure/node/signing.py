"""Signing: from a board's decision to a letter in the outbox, in one transaction.

Not responsible for: what a permit says (`decision`), where keys come from (`keys`).
"""

import sqlite3
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.govern.permit import verify_permit, verify_study
from dure.node.config import NodeConfig
from dure.node.decision import decline as compose_decline
from dure.node.decision import permit as compose_permit
from dure.node.journal import DATASET, Journal
from dure.node.problems import BadKeyFile, NoSuchRequest
from dure.study.spec import Study
from dure.wire.codec import Malformed, encode
from dure.wire.directory import Directory
from dure.wire.envelope import Envelope, open_sealed, peek, public_text, seal
from dure.wire.messages import Decline, Permit
from dure.wire.rules import Rules

DECISIONS = "/v1/node/decisions"


def dataset_version(journal: Journal) -> str:
    """The version that the board has declared."""
    return (journal.fact(DATASET) or b"").decode()


def compose(
    envelope: Envelope,
    config: NodeConfig,
    journal: Journal,
    directory: Directory,
    *,
    rules: Rules | None,
    consent_by_hospital: bool,
    now: datetime,
) -> Permit:
    """The permit, not signed yet. Raises NotSignable, NoiseMissing, or what is wrong with the study."""
    study = verify_study(envelope, directory, now=now, where="study")
    return compose_permit(
        envelope.digest,
        study,
        directory,
        config,
        dataset_version=dataset_version(journal),
        rules=rules,
        consent_by_hospital=consent_by_hospital,
        now=now,
        spent=journal.spent(),
    )


def sign(
    envelope: Envelope,
    config: NodeConfig,
    journal: Journal,
    directory: Directory,
    key: Ed25519PrivateKey,
    *,
    rules: Rules | None,
    consent_by_hospital: bool,
    who: str,
    now: datetime,
) -> Permit:
    """Sign the permit for a study and put it into the outbox.

    Raises:
        NotSignable: see `decision.permit`. BadKeyFile: the key isn't this hospital's board key.
        NoSuchRequest: it was decided before.
    """
    _check_key(key, config)
    permit = compose(
        envelope, config, journal, directory, rules=rules, consent_by_hospital=consent_by_hospital, now=now
    )
    _decide(journal, envelope, seal(permit, "permit", key), yes=True, who=who, now=now)
    return permit


def take_signed(
    sealed: Envelope, config: NodeConfig, journal: Journal, directory: Directory, *, now: datetime
) -> Permit:
    """Put a permit that was signed on another machine into the outbox, if it is exactly what this node would ask for.

    Raises:
        Forged, NotPermitted: not the board's. NotSignable: it says more than this hospital's rules allow.
        NoSuchRequest: for no study that waits here.
    """
    permit = verify_permit(sealed, directory, now=now, where="signed permit")
    offer = journal.offer(permit.study)
    if offer is None:
        raise NoSuchRequest(
            "The permit is for a study that was never put before this node.",
            where=f"study {permit.study}",
            mend="Check that it is this hospital's: dure node requests",
        )
    expected = compose(
        offer.envelope,
        config,
        journal,
        directory,
        rules=permit.rules,
        consent_by_hospital=True,
        now=permit.issued,
    )
    if encode(expected) != encode(permit):
        raise NoSuchRequest(
            "The signed permit isn't the one that was prepared here.",
            where=f"study {permit.study}",
            mend="Prepare it again: dure node sign STUDY --prepare FILE",
        )
    _decide(journal, offer.envelope, sealed, yes=True, who="board", now=now)
    return permit


def decline(
    envelope: Envelope,
    config: NodeConfig,
    journal: Journal,
    key: Ed25519PrivateKey,
    *,
    reason: str,
    now: datetime,
) -> Decline:
    """Sign the no to a study and put it into the outbox. Raises as `sign`."""
    _check_key(key, config)
    message = compose_decline(envelope.digest, config, reason, now=now)
    _decide(journal, envelope, seal(message, "decline", key), yes=False, who="board", now=now)
    return message


def is_by_hand(envelope: Envelope) -> bool:
    """Whether a study's answers, and the decision on it, leave in files. One that can't be read came through the hub."""
    try:
        return peek(Study, envelope, where="study").by_hand is not None
    except Malformed:
        return False


def open_decline(sealed: Envelope, board_key: str) -> Decline:
    """A decline, verified: to show its reason."""
    return open_sealed(Decline, sealed, "decline", board_key, where="journal")


def _check_key(key: Ed25519PrivateKey, config: NodeConfig) -> None:
    if public_text(key) != config.board_key:
        raise BadKeyFile(
            "The key isn't this hospital's board key.", where="board key", mend="Give the one made at init."
        )


def _decide(
    journal: Journal, envelope: Envelope, sealed: Envelope, *, yes: bool, who: str, now: datetime
) -> None:
    study = envelope.digest
    try:
        with journal.writing():
            journal.decide(study, sealed, yes=yes, who=who, now=now)
            if not is_by_hand(envelope):
                about = f"decision {sealed.digest}"
                journal.write_letter(DECISIONS, encode(sealed), about=about, now=now)
    except sqlite3.IntegrityError:
        raise NoSuchRequest(
            "The study was decided before.", where=f"study {study}", mend="See: dure node requests --all"
        ) from None
