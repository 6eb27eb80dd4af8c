"""What the hub's doors answer to a user, as messages: written by the hub, read by the client.

Responsible for: their fields. Not responsible for: fetching them, verifying what was signed.
"""

from enum import StrEnum

from dure.wire.codec import Moment, message
from dure.wire.envelope import Envelope


class StudyState(StrEnum):
    """Where a study is. All but the first two are final."""

    OFFERED = "offered"
    RUNNING = "running"
    REPORTED = "reported"
    FORBIDDEN = "forbidden"
    UNPERMITTED = "unpermitted"
    WITHDRAWN = "withdrawn"


class What(StrEnum):
    """Kinds of events. Those from STARTED on are about the study, the others about one hospital."""

    OFFERED = "offered"
    SIGNED = "signed"
    DECLINED = "declined"
    SILENT = "silent"
    VOID = "void"
    ACCEPTED = "accepted"
    ANSWERING = "answering"
    ANSWERED = "answered"
    DROPPED = "dropped"
    STARTED = "started"
    REPORTED = "reported"
    UNPERMITTED = "unpermitted"
    FORBIDDEN = "forbidden"
    WITHDRAWN = "withdrawn"


@message
class Session:
    """A sign-in: the token is told once."""

    token: str
    expires: Moment


@message
class Submitted:
    """A study was taken."""

    study: str


@message
class Summary:
    """One line of the list of studies."""

    study: str
    title: str
    kind: str
    mode: str
    state: StudyState
    created: Moment


@message
class PartNow:
    """Where a hospital stands: what its board said or, in the run, what its node does."""

    hospital: str
    name: str
    state: str
    reason: str


@message
class StudyNow:
    """A study as it is.

    Attributes:
        envelope: as the asker signed it.
        manifest, permits: of its run, once there is one, by which a report can be checked.
        over: nothing will change any more.
    """

    study: str
    envelope: Envelope
    state: StudyState
    reason: str
    over: bool
    parts: tuple[PartNow, ...]
    manifest: bytes | None
    permits: tuple[Envelope, ...]


@message
class Event:
    """Something that happened to a study.

    Attributes:
        number: grows by one, from 1.
        detail: a reason, or which step and round.
    """

    number: int
    at: Moment
    what: What
    hospital: str | None = None
    detail: str = ""


@message
class Events:
    """Events after a number, and whether there will be no more."""

    events: tuple[Event, ...]
    over: bool
