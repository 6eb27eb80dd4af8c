"""What the hub's doors answer to a user, as messages. Not responsible for: fetching them, verifying what was signed."""

from dure.wire.codec import Moment, message
from dure.wire.envelope import Envelope


@message
class Session:
    """A sign-in."""

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
    state: str
    created: Moment


@message
class PartNow:
    """Where a hospital stands in a study."""

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
    state: str
    reason: str
    over: bool
    parts: tuple[PartNow, ...]
    manifest: bytes | None
    permits: tuple[Envelope, ...]


@message
class Event:
    """Something that happened to a study. `number` grows by one, from 1."""

    number: int
    at: Moment
    what: str
    hospital: str | None = None
    detail: str = ""


@message
class Events:
    """Events after a number, and whether there will be more."""

    events: tuple[Event, ...]
    over: bool
