"""The audit log's entry, and what is wrong with a log that doesn't add up. Its mathematics are `dure.wire.merkle`."""

from dure.wire.codec import Moment, message
from dure.wire.problems import Problem


class BrokenLog(Problem):
    """An audit log that doesn't add up: an entry was changed, lost or put in, or history was rewritten."""

    slug, title, status, exit_code = "broken-log", "The audit log has been tampered with", 500, 46


@message
class Entry:
    """One thing that happened. It holds names and digests, never a number about people.

    Attributes:
        what: the kind of event ("study submitted").
        who: the member, or the member and user, whose act it was; "hub" where time alone did it.
        about: what it concerns: digests, ids, reasons that the asker is shown.
    """

    at: Moment
    what: str
    who: str
    about: dict[str, str]
