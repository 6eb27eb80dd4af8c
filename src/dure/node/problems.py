"""What can go wrong at a hospital's node, each with its slug and exit code (70 to 79)."""

from dure.wire.problems import Problem


class BadSetup(Problem):
    """What `dure node init` was given, or what node.yaml says, can't make a node."""

    slug, title, status, exit_code = "bad-node-setup", "This cannot make a node", 422, 70


class NoNode(Problem):
    """A folder that isn't a node's."""

    slug, title, status, exit_code = "no-node", "There is no node here", 404, 71


class HubUnreachable(Problem):
    """No answer from the hub: down, a wrong address, a proxy or a certificate in between."""

    slug, title, status, exit_code = "hub-unreachable", "The hub cannot be reached", 503, 72


class HubRefused(Problem):
    """The hub answered no, or something that no hub of Dure says."""

    slug, title, status, exit_code = "hub-refused", "The hub said no", 502, 73

    def __init__(self, what: str, *, where: str, mend: str, told: str = "", http_status: int = 0) -> None:
        """Keep, beside the words, the problem's slug and the status that the hub answered with."""
        super().__init__(what, where=where, mend=mend)
        self.told = told
        self.http_status = http_status


class NodeBusy(Problem):
    """Another `dure node run` works in this folder."""

    slug, title, status, exit_code = "node-busy", "This node is already running", 409, 74


class BadKeyFile(Problem):
    """A key file that is missing, open to others, not a key, or locked with another passphrase."""

    slug, title, status, exit_code = "bad-key-file", "This key file cannot be used", 422, 75


class NoSuchRequest(Problem):
    """A study that isn't waiting for this hospital's decision."""

    slug, title, status, exit_code = "no-such-request", "No such request waits here", 404, 76


class NotSignable(Problem):
    """A permit that this hospital's own rules don't let its board sign."""

    slug, title, status, exit_code = "not-signable", "This cannot be signed", 409, 77


class NoSandbox(Problem):
    """The calculator can't be shut in on this machine."""

    slug, title, status, exit_code = "no-sandbox", "The calculator cannot be shut in", 500, 78


class WorkFailed(Problem):
    """The extractor or the calculator died, hung, or answered nonsense, and did so again."""

    slug, title, status, exit_code = "work-failed", "The answer could not be computed", 500, 79
