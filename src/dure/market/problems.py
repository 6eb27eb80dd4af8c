"""What can go wrong in the market. Who signed what is `wire.envelope`'s."""

from dure.wire.problems import Problem


class BrokenBooks(Problem):
    """A ledger that doesn't add up: a byte was changed, an entry lost or put in, or history was rewritten."""

    slug, title, status, exit_code = "broken-books", "The ledger has been tampered with", 500, 112


class NotPosted(Problem):
    """A movement of won that the ledger doesn't take: unbalanced, twice, over the balance, or along no route."""

    slug, title, status, exit_code = "not-posted", "The ledger does not take this", 409, 113


class BadTerms(Problem):
    """Prices, shares or a quote that contradict themselves or each other."""

    slug, title, status, exit_code = "bad-terms", "These terms make no sense", 422, 114


class NotNow(Problem):
    """A step that the table of states doesn't have here, or whose condition doesn't hold."""

    slug, title, status, exit_code = "not-now", "This cannot be done now", 409, 115
