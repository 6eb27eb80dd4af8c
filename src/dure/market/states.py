"""What state a request, quote, contract, delivery or award may be in, and what leads from one to another: as data.

A transition names who may take it and on what conditions. What isn't in a table can't be done; a denial says why, and what can be done
instead. `docs/market-states.md` is made from these tables.

Responsible for: the tables and the judgement of a step. Not responsible for: whether a condition holds (`deal`, `programmes`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from dure.market.problems import NotNow


class Party(StrEnum):
    """Who takes a step. The hub takes those that follow from time and from what has happened."""

    BUYER = "buyer"
    HOSPITAL = "hospital"
    INTERMEDIARY = "intermediary"
    REGULATOR = "regulator"
    FUND = "fund"
    HUB = "hub"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What must hold for a step.

    Attributes:
        denial: what is said where it doesn't.
        mend: what to do then.
    """

    name: str
    denial: str
    mend: str


def _condition(name: str, denial: str, mend: str) -> Condition:
    return Condition(name=name, denial=denial, mend=mend)


QUOTE_HOLDS = _condition(
    "the quote holds", "The quote's date is over, or it is of later.", "Ask for a new one."
)
QUOTE_OVER = _condition("the quote is over", "The quote still holds.", "Wait for its date.")
MATCHES = _condition(
    "it is for this request", "The quote is for another buyer or study.", "Quote what was asked."
)
ITS_BUYER = _condition("the buyer is this one", "Another buyer's.", "Sign in as the buyer that asked.")
PARTY = _condition("a party of it", "Only a party of it can.", "Ask a party.")
SIGNATURE = _condition(
    "with its own valid signature",
    "The envelope bears no valid signature of that party.",
    "Sign this contract.",
)
ALL_SIGNED = _condition("all parties signed", "A party hasn't signed.", "Wait for all signatures.")
AWARD_FITS = _condition(
    "a voucher's award is this buyer's, live, and pays for this",
    "No live award of this buyer pays for this.",
    "Apply to the programme, or pay without a voucher.",
)
ENOUGH = _condition(
    "purse and credit suffice", "There aren't enough won to set aside.", "Pay in, or ask for less."
)
IN_TIME = _condition("before its end", "The contract's end is over.", "Make a new contract.")
OVER = _condition("after its end", "The contract's end is not over.", "Wait, or revoke it.")
SUSPENDER = _condition(
    "by who suspended it", "Another party suspended it.", "Ask the party that suspended it."
)
ALL_SETTLED = _condition(
    "all deliveries settled", "Not all deliveries are settled.", "Run them, or close it."
)
NO_RUN = _condition("no delivery under way", "A delivery is under way.", "Let it end, or stop it.")
ACTIVE = _condition(
    "the contract is active", "The contract isn't active.", "Fund it, have it resumed, or make a new one."
)
NOT_ALL = _condition(
    "a delivery is left", "All deliveries of the contract are under way or settled.", "Make a new contract."
)
DUE = _condition("it is due", "The standing query isn't due yet.", "Wait for its day.")
PERMITS = _condition(
    "each hospital's permit is live",
    "A permit is missing, over, revoked, or for another study.",
    "Ask the board for a permit.",
)
RELEASED = _condition(
    "the report shows numbers of this study",
    "Nothing of this study was released.",
    "Let the delivery fail; it can be run again.",
)
UNSETTLED = _condition("this report wasn't settled", "The report was settled before.", "Nothing to do here.")
ELSEWHERE = _condition(
    "this report was settled under another contract", "The report isn't settled yet.", "Settle it."
)
BROKEN = _condition(
    "a permit or the contract ended", "Its permits and contract are live.", "Nothing to do here."
)


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One step: from a state by an action to a state."""

    source: str
    action: str
    target: str
    by: tuple[Party, ...]
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """All steps of one thing. `start`: the state in which it begins."""

    thing: str
    start: str
    transitions: tuple[Transition, ...]

    @property
    def states(self) -> tuple[str, ...]:
        """All states, the first one first."""
        found = [self.start]
        for one in self.transitions:
            found += [state for state in (one.source, one.target) if state not in found]
        return tuple(found)

    @property
    def ends(self) -> tuple[str, ...]:
        """States that nothing leads out of."""
        sources = {one.source for one in self.transitions}
        return tuple(state for state in self.states if state not in sources)


def _steps(*rows: tuple[str, str, str, tuple[Party, ...], tuple[Condition, ...]]) -> tuple[Transition, ...]:
    """Rows of sources (separated by blanks), action, target, parties, conditions."""
    return tuple(
        Transition(source=source, action=action, target=target, by=by, conditions=conditions)
        for sources, action, target, by, conditions in rows
        for source in sources.split()
    )


_BUYER, _HUB = (Party.BUYER,), (Party.HUB,)
_SELLER = (Party.INTERMEDIARY,)
_SIGNERS = (Party.BUYER, Party.INTERMEDIARY, Party.HOSPITAL)
_WATCHERS = (Party.HOSPITAL, Party.REGULATOR)

REQUEST = Table(
    thing="request",
    start="open",
    transitions=_steps(
        ("open quoted", "quote", "quoted", _SELLER, (MATCHES,)),
        ("quoted", "lapse", "open", _HUB, (QUOTE_OVER,)),
        ("quoted", "accept", "contracted", _BUYER, (ITS_BUYER, QUOTE_HOLDS)),
        ("open quoted", "withdraw", "withdrawn", _BUYER, (ITS_BUYER,)),
        ("contracted", "close", "closed", _HUB, ()),
    ),
)
QUOTE = Table(
    thing="quote",
    start="offered",
    transitions=_steps(
        ("offered", "accept", "accepted", _BUYER, (ITS_BUYER, QUOTE_HOLDS)),
        ("offered", "replace", "replaced", _SELLER, (MATCHES,)),
        ("offered", "lapse", "lapsed", _HUB, (QUOTE_OVER,)),
        ("offered", "withdraw", "withdrawn", _BUYER, (ITS_BUYER,)),
    ),
)
CONTRACT = Table(
    thing="contract",
    start="drawn",
    transitions=_steps(
        ("drawn", "sign", "drawn", _SIGNERS, (PARTY, SIGNATURE, IN_TIME)),
        ("drawn", "complete", "signed", _HUB, (ALL_SIGNED,)),
        ("drawn signed", "cancel", "cancelled", _SIGNERS, (PARTY,)),
        ("signed", "fund", "active", _BUYER, (ITS_BUYER, IN_TIME, AWARD_FITS, ENOUGH)),
        ("active", "suspend", "suspended", _WATCHERS, (PARTY,)),
        ("suspended", "resume", "active", _WATCHERS, (SUSPENDER, IN_TIME)),
        ("active suspended", "revoke", "revoked", _WATCHERS, (PARTY,)),
        ("active", "finish", "finished", _HUB, (ALL_SETTLED,)),
        ("drawn signed active suspended", "expire", "expired", _HUB, (OVER,)),
        ("cancelled revoked finished expired", "close", "closed", _HUB, (NO_RUN,)),
    ),
)
DELIVERY = Table(
    thing="delivery",
    start="asked",
    transitions=_steps(
        ("asked", "run", "running", _HUB, (ACTIVE, NOT_ALL, DUE, PERMITS)),
        ("running", "release", "released", _HUB, (ACTIVE, PERMITS, RELEASED, UNSETTLED)),
        ("running", "fail", "failed", _HUB, ()),
        ("running", "stop", "stopped", _HUB, (BROKEN,)),
        ("released", "settle", "settled", _HUB, (UNSETTLED,)),
        ("released", "drop", "failed", _HUB, (ELSEWHERE,)),
    ),
)


OPEN = _condition("applications are open", "The programme takes no applications now.", "Look at its dates.")
ITS_FIRM = _condition("the firm is this one", "Another firm's.", "Sign in as the firm that applied.")
ITS_FUND = _condition("the fund is this one", "Another fund's.", "Sign in as the programme's fund.")
WITHIN = _condition(
    "within what the programme has, and grants to one firm",
    "It is more than the programme has left, or grants to one firm.",
    "Ask for less, or grant less.",
)
NO_DEBT = _condition(
    "the firm owes no outcome report", "The firm owes an outcome report.", "File the report first."
)
CREDIT_OVER = _condition(
    "after the credit's end", "The credit's end is not over.", "Wait, or let the firm end it."
)
NOTHING_HELD = _condition(
    "none of its credit is set aside",
    "Part of its credit is set aside under a contract.",
    "Settle and close the contract first.",
)
SAYS_SPENT = _condition(
    "it says what the ledger says was spent",
    "The report says another amount than the ledger.",
    "Take the amount of the award's statement.",
)
ALL_OVER = _condition(
    "its time is over and all its awards", "The programme runs, or an award of it does.", "Wait for its end."
)

AWARD = Table(
    thing="award",
    start="applied",
    transitions=_steps(
        ("applied", "grant", "granted", (Party.FUND,), (ITS_FUND, WITHIN, NO_DEBT)),
        ("applied", "refuse", "refused", (Party.FUND,), (ITS_FUND,)),
        ("applied", "withdraw", "withdrawn", _BUYER, (ITS_FIRM,)),
        ("granted", "end", "lapsed", _BUYER, (ITS_FIRM, NOTHING_HELD)),
        ("granted", "lapse", "lapsed", _HUB, (CREDIT_OVER, NOTHING_HELD)),
        ("lapsed", "report", "reported", _BUYER, (ITS_FIRM, SAYS_SPENT)),
        ("reported", "accept", "closed", (Party.FUND,), (ITS_FUND,)),
        ("reported", "return", "lapsed", (Party.FUND,), (ITS_FUND,)),
    ),
)
PROGRAMME = Table(
    thing="programme",
    start="running",
    transitions=_steps(
        ("running", "apply", "running", _BUYER, (OPEN,)),
        ("running", "close", "closed", (Party.FUND,), (ITS_FUND, ALL_OVER)),
    ),
)
TABLES = (REQUEST, QUOTE, CONTRACT, DELIVERY, PROGRAMME, AWARD)


def judge(table: Table, state: str, action: str, *, by: Party, holds: Collection[Condition]) -> Transition:
    """The transition that an action takes.

    Args:
        holds: the conditions that hold.

    Raises:
        NotNow: the table has no such step, it is another's to take, or a condition doesn't hold.
    """
    found = next((one for one in table.transitions if (one.source, one.action) == (state, action)), None)
    where = f"{table.thing}, {action}"
    if found is None:
        can = sorted({one.action for one in table.transitions if one.source == state})
        raise NotNow(
            f"A {table.thing} that is {state} has no step {action!r}.",
            where=where,
            mend=f"What can be done: {', '.join(can)}." if can else "Nothing can be done; it is over.",
        )
    if by not in found.by:
        raise NotNow(
            f"The {by} can't {action} a {table.thing}.",
            where=where,
            mend=f"It is up to: {', '.join(found.by)}.",
        )
    for condition in found.conditions:
        if condition not in holds:
            raise NotNow(condition.denial, where=where, mend=condition.mend)
    return found
