"""What can go wrong on an asker's side, each with the place and the mend. Exit codes 80 to 89."""

from dure.wire.problems import Problem


class BadStudyFile(Problem):
    """A study file that isn't YAML, or says what no study file can."""

    slug, title, status, exit_code = "bad-study-file", "The study file cannot be read", 422, 80


class Unreadable(Problem):
    """A file that isn't there, isn't ours to read, or is too large."""

    slug, title, status, exit_code = "unreadable", "The file cannot be read", 422, 81


class BadKeyFile(Problem):
    """A key file that is missing, that others may read, or that holds something else."""

    slug, title, status, exit_code = "bad-asker-key", "The asker's key cannot be used", 422, 82


class Unreachable(Problem):
    """The hub doesn't answer."""

    slug, title, status, exit_code = "unreachable", "The hub does not answer", 503, 83


class Unexpected(Problem):
    """The hub answers something that the protocol doesn't know."""

    slug, title, status, exit_code = "unexpected-answer", "The hub answered something else", 502, 84


class NoSignIn(Problem):
    """No token, no pinned root or no address: `dure study login` keeps all three."""

    slug, title, status, exit_code = "no-sign-in", "Sign in to a hub first", 401, 85


class NoReport(Problem):
    """A study that has no report, and why."""

    slug, title, status, exit_code = "no-report", "The study has no report", 404, 86


class Unverified(Problem):
    """Something that the hub says doesn't match what was signed."""

    slug, title, status, exit_code = "unverified", "The hub's answer does not match what was signed", 502, 87


class Unwritable(Problem):
    """A file that exists already or can't be written."""

    slug, title, status, exit_code = "unwritable", "The file cannot be written", 409, 88


class BadAddress(Problem):
    """An address that isn't one, or that would show the token to everyone on the way."""

    slug, title, status, exit_code = "bad-address", "This is no address of a hub", 422, 89
