"""A user's connection to a hub: sign, submit, watch, read.

Responsible for: the doors that a user has (docs/protocol.md), signing with the asker's own key, the directory under the
pinned root. Not responsible for: HTTP (`transport`), checking a report (`verification`), files.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.client import keys, login, study_file, verification
from dure.client.problems import NoReport, NoSignIn
from dure.client.result import Result
from dure.client.study_file import StudyFile
from dure.client.transport import Transport
from dure.market.catalogue import Listing
from dure.study.report import Report
from dure.study.spec import Study
from dure.wire.answers import Event, Events, Session, StudyNow, Submitted, Summary
from dure.wire.codec import decode, encode
from dure.wire.directory import Directory, Member, open_directory
from dure.wire.envelope import Envelope, fingerprint, public_text, seal

WAIT_SECONDS = 25


class Client:
    """One user at one hub. Close it, or use it as a context."""

    def __init__(
        self,
        transport: Transport,
        *,
        root: str | None = None,
        key: Ed25519PrivateKey | Path | str | None = None,
        least_version: int = 0,
    ) -> None:
        """`dure.connect` is the way to make one.

        Args:
            root: the root's public key, pinned.
            key: the asker's key or its file; the user's own file if not given. Read only when something is signed.
            least_version: of the directory, as seen before.
        """
        self._transport = transport
        self._root = root
        self._key = key
        self._least_version = least_version
        self._directory: Directory | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection go."""
        self._transport.close()

    def submit(self, study: Study | StudyFile | Path | str) -> str:
        """Sign a study and put it before the hospitals.

        Args:
            study: a study, a study file that was read, or the path of one.

        Returns:
            The study's digest, by which it is watched and read. Submitting the same study again changes nothing.

        Raises:
            Problem: the file, the key, the directory, the hub's policy.
        """
        if isinstance(study, Path | str):
            study = study_file.read(study)
        key = self._asker_key()
        if isinstance(study, StudyFile):
            study = study.study(asker=self.asker().id)
        study.check()
        body = self._transport.post("/v1/studies", encode(seal(study, "study", key)))
        return decode(Submitted, body, where="the hub's answer to POST /v1/studies").study

    def watch(self, digest: str, *, after: int = 0) -> Iterator[Event]:
        """Everything that happens to a study, from the beginning or after an event, until it is over."""
        while True:
            path = f"/v1/studies/{digest}/events"
            body = self._transport.get(path, wait=WAIT_SECONDS, after=after, wait_seconds=WAIT_SECONDS)
            answer: Events = decode(Events, body, where=f"the hub's answer to GET {path}")
            for event in answer.events:
                after = max(after, event.number)
                yield event
            if answer.over:
                return

    def studies(self) -> tuple[Summary, ...]:
        """The studies of the user's organisation, newest first."""
        found: tuple[Summary, ...] = self._get(tuple[Summary, ...], "/v1/studies")
        return found

    def study(self, digest: str) -> StudyNow:
        """A study as it is now."""
        now: StudyNow = self._get(StudyNow, f"/v1/studies/{digest}")
        return now

    def withdraw(self, digest: str) -> None:
        """Take a study back, if it isn't over."""
        self._transport.post(f"/v1/studies/{digest}/withdraw", b"")

    def report(self, digest: str) -> Report:
        """The report, checked against the study, manifest and permits that were signed.

        Raises:
            NoReport: there is none, or not yet.
            Unverified: the hub's answer doesn't match what was signed.
        """
        now = self.study(digest)
        if now.state != "reported":
            raise NoReport(
                now.reason or f"Its state is {now.state}.",
                where=f"study {digest}",
                mend="Ask again differently." if now.over else f"Wait for it: dure study watch {digest}",
            )
        report: Report = self._get(Report, f"/v1/studies/{digest}/report")
        verification.verify(report, now, digest=digest, directory=self.directory())
        return report

    def result(self, digest: str) -> Result:
        """The answer: `.tables`, `.hidden`, `.arrow`, `.charts()`, `.report`, `.to_html(path)`.

        Raises:
            NoReport, Unverified: as `report`.
        """
        report = self.report(digest)
        return Result(report, {member.id: member.name for member in self.directory().members})

    def directory(self) -> Directory:
        """The directory, if the pinned root signed it and it is fresh. Fetched once.

        Raises:
            NoSignIn: no root is pinned.
            Forged, Untrusted: it can't be trusted.
        """
        if self._root is None:
            raise NoSignIn(
                "The root's key isn't pinned, so nothing that the hub says could be checked.",
                where="root",
                mend="Get the key from the root by another way than the hub, then: dure study login --root KEY",
            )
        if self._directory is None:
            envelope = self._get(Envelope, "/v1/directory")
            self._directory = open_directory(
                envelope,
                root=self._root,
                now=datetime.now(UTC),
                least_version=self._least_version,
                where="the hub's directory",
            )
            login.remember(self._transport.url, self._directory.version)
        return self._directory

    def asker(self) -> Member:
        """The member whose asker key this client holds.

        Raises:
            NoSignIn: the directory doesn't list the key.
        """
        own = public_text(self._asker_key())
        for member in self.directory().members:
            if member.asker_key == own:
                return member
        raise NoSignIn(
            f"The directory (version {self.directory().version}) doesn't list your key {fingerprint(own)}.",
            where="the hub's directory",
            mend="Tell the root the fingerprint and ask to be listed.",
        )

    def hospitals(self) -> tuple[Listing, ...]:
        """The catalogue: hospitals and what their boards declare, as the hub tells it."""
        found: tuple[Listing, ...] = self._get(tuple[Listing, ...], "/v1/hospitals")
        return found

    def _asker_key(self) -> Ed25519PrivateKey:
        if not isinstance(self._key, Ed25519PrivateKey):
            self._key = keys.read(Path(self._key) if self._key is not None else None)
        return self._key

    def _get(self, kind: Any, path: str) -> Any:
        return decode(kind, self._transport.get(path), where=f"the hub's answer to GET {path}")


def sign_in(transport: Transport, *, email: str, password: str) -> Session:
    """A token for an account at the hub.

    Raises:
        NoSignIn: wrong email or password.
    """
    body = json.dumps({"email": email, "password": password}).encode()
    return decode(
        Session, transport.post("/v1/sessions", body), where="the hub's answer to POST /v1/sessions"
    )
