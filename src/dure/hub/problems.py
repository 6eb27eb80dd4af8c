"""What can go wrong at the hub, as a user meets it. `docs/hub.md` lists them; a test holds the two together."""

from datetime import datetime
from typing import Any

from dure.govern.policy import Fired
from dure.wire.problems import Problem


class BadSettings(Problem):
    """Settings that are missing, misspelt or contradict each other."""

    slug, title, status, exit_code = "bad-settings", "The hub cannot start with these settings", 500, 60


class NotSignedIn(Problem):
    """No token, a wrong or ended one, or a wrong password."""

    slug, title, status, exit_code = "not-signed-in", "You are not signed in", 401, 61


class NotAllowed(Problem):
    """A signed-in user asks for what its role or organisation may not have."""

    slug, title, status, exit_code = "not-allowed", "You may not do this", 403, 62


class TooManyAttempts(Problem):
    """Too many failed sign-ins."""

    slug, title, status, exit_code = "too-many-attempts", "Too many attempts", 429, 63


class CodeRefused(Problem):
    """An enrolment code that is wrong, used up or too old."""

    slug, title, status, exit_code = "code-refused", "The enrolment code is refused", 403, 64


class ClockSkew(Problem):
    """The sender's clock and the hub's are too far apart. The document carries both times."""

    slug, title, status, exit_code = "clock-skew", "The clocks differ too much", 400, 65

    @classmethod
    def between(cls, sent: datetime, now: datetime, *, where: str) -> "ClockSkew":
        """The problem for a message that says `sent` and arrives at `now`."""
        return cls(
            f"The message says {sent:%Y-%m-%d %H:%M:%S} UTC; the hub's clock says {now:%Y-%m-%d %H:%M:%S} UTC.",
            where=where,
            mend="Set this machine's clock by a time server, then try again.",
        )


class TooLarge(Problem):
    """A body over the limit of its door."""

    slug, title, status, exit_code = "too-large", "The body is too large", 413, 66


class Unknown(Problem):
    """There is no such study, report, user or page."""

    slug, title, status, exit_code = "unknown", "There is no such thing here", 404, 67


class Forbidden(Problem):
    """A rule of the negative list forbids the study. The document names the rule and its basis."""

    slug, title, status, exit_code = "forbidden", "A rule forbids this study", 403, 68
    rule: str | None = None
    basis: str | None = None

    @classmethod
    def by(cls, fired: Fired) -> "Forbidden":
        """The problem for a rule that fired."""
        problem = cls(fired.reason, where=f"rule {fired.rule} ({fired.basis})", mend=fired.mend)
        problem.rule, problem.basis = fired.rule, fired.basis
        return problem

    def document(self) -> dict[str, Any]:
        return {**super().document(), "rule": self.rule, "basis": self.basis}


class Settled(Problem):
    """Something that was decided, used or received before, and can't be again or differently."""

    slug, title, status, exit_code = "settled", "This is already settled", 409, 69


class Unavailable(Problem):
    """The hub can't serve this now: no directory yet, an expired one, no database, a full disk."""

    slug, title, status, exit_code = "unavailable", "The hub cannot do this now", 503, 107
