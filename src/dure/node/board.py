"""The board's desk: requests to read, decisions to take, and what has left. What the command line and the console share.

Not responsible for: words on a screen (`dure.cli.node`, `dure.console`), the checks (`dure.govern.permit`).
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.govern.permit import verify_study
from dure.node import signing
from dure.node.budget import Purse
from dure.node.courier import deliver
from dure.node.hub_link import HubLink
from dure.node.journal import Decision, Offer
from dure.node.place import Place
from dure.node.problems import HubRefused, HubUnreachable, NoSuchRequest
from dure.node.request import Request, describe
from dure.node.trust import Trust
from dure.study.spec import Study
from dure.wire.codec import message
from dure.wire.directory import Directory
from dure.wire.envelope import Envelope, peek, seal
from dure.wire.messages import Permit
from dure.wire.problems import Problem
from dure.wire.rules import Rules


@message
class Prepared:
    """A permit to be signed on another machine, with the study as its asker signed it."""

    study: Envelope
    permit: Permit


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A request and where it stands. `request` is None where the study can't be shown; `fault` says why."""

    offer: Offer
    title: str
    request: Request | None
    decision: Decision | None
    fault: str


class Board:
    """The desk of the board of the node in a place."""

    def __init__(self, place: Place, *, node_key: str) -> None:
        self.place = place
        self.trust = Trust(place.config, place.journal, node_key)

    def directory(self, now: datetime) -> Directory:
        """The directory known. Raises Untrusted."""
        return self.trust.directory(now=now)

    def requests(self, *, now: datetime, everything: bool = False) -> list[Pending]:
        """Requests, newest first: those that wait, or all."""
        found = [self._pending(offer, now) for offer in self.place.journal.offers()]
        return [one for one in found if everything or (one.decision is None and not one.offer.closed)]

    def request(self, name: str, *, now: datetime, rules: Rules | None = None) -> Pending:
        """The request whose digest is, or begins with, `name` (at least four digits; `sha256:` may be left out).

        Args:
            rules: stricter than the node's own, under which it is to be shown.

        Raises:
            NoSuchRequest: none, or several.
        """
        digits = name.removeprefix("sha256:").lower()
        offers = self.place.journal.offers()
        found = [
            one for one in offers if len(digits) >= 4 and one.study.removeprefix("sha256:").startswith(digits)
        ]
        if len(found) != 1:
            raise NoSuchRequest(
                f"{len(found)} requests begin with {name!r}.",
                where="STUDY",
                mend="Copy the name from: dure node requests --all",
            )
        return self._pending(found[0], now, rules)

    def sign(
        self,
        name: str,
        key: Ed25519PrivateKey,
        *,
        rules: Rules | None,
        consent_by_hospital: bool,
        now: datetime,
    ) -> Permit:
        """Sign the permit and put it into the outbox. Raises as `signing.sign`."""
        pending = self._waiting(name, now)
        return signing.sign(
            pending.offer.envelope,
            self.place.config,
            self.place.journal,
            self.directory(now),
            key,
            rules=rules,
            consent_by_hospital=consent_by_hospital,
            who="board",
            now=now,
        )

    def prepare(
        self, name: str, *, rules: Rules | None, consent_by_hospital: bool, now: datetime
    ) -> Prepared:
        """The permit to be signed on another machine. Raises as `sign`."""
        envelope = self._waiting(name, now).offer.envelope
        permit = signing.compose(
            envelope,
            self.place.config,
            self.place.journal,
            self.directory(now),
            rules=rules,
            consent_by_hospital=consent_by_hospital,
            now=now,
        )
        return Prepared(study=envelope, permit=permit)

    def take_signed(self, sealed: Envelope, *, now: datetime) -> Permit:
        """Put a permit signed elsewhere into the outbox. Raises as `signing.take_signed`."""
        return signing.take_signed(
            sealed, self.place.config, self.place.journal, self.directory(now), now=now
        )

    def decline(self, name: str, key: Ed25519PrivateKey, *, reason: str, now: datetime) -> None:
        """Sign the no and put it into the outbox. Raises as `signing.decline`."""
        pending = self._waiting(name, now)
        signing.decline(
            pending.offer.envelope, self.place.config, self.place.journal, key, reason=reason, now=now
        )

    def send(self, link: HubLink, *, clock: datetime) -> bool:
        """Send what is in the outbox now; False: the hub can't be reached, and the running node will."""
        try:
            deliver(self.place.journal, link, clock=lambda: clock)
        except (HubUnreachable, HubRefused):
            return False
        return True

    def _waiting(self, name: str, now: datetime) -> Pending:
        pending = self.request(name, now=now)
        if pending.decision is not None or pending.offer.closed:
            raise NoSuchRequest(
                "It was decided before." if pending.decision else "It is closed.",
                where=f"study {pending.offer.study}",
                mend="See: dure node requests --all",
            )
        return pending

    def _pending(self, offer: Offer, now: datetime, rules: Rules | None = None) -> Pending:
        request, fault = None, ""
        title = ""
        try:
            title = peek(Study, offer.envelope, where="study").title
            directory = self.directory(now)
            study = verify_study(offer.envelope, directory, now=now, where="study")
            purse = Purse(budget=self.place.config.budget, spent=self.place.journal.spent())
            request = describe(offer.study, study, directory, rules or self.place.config.rules, purse)
        except Problem as problem:
            fault = problem.what
        return Pending(
            offer=offer,
            title=title,
            request=request,
            decision=self.place.journal.decision(offer.study),
            fault=fault,
        )


def seal_prepared(prepared: Prepared, key: Ed25519PrivateKey) -> Envelope:
    """Sign a prepared permit: on the machine that holds the board key.

    Raises:
        NoSuchRequest: the permit is bound to another study than the one shown.
    """
    if prepared.permit.study != prepared.study.digest:
        raise NoSuchRequest(
            "The permit isn't for the study that the file shows.",
            where="the prepared file",
            mend="Prepare it again on the node's machine; trust no other copy.",
        )
    return seal(prepared.permit, "permit", key)
