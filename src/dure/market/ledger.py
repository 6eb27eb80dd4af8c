"""The ledger: double entry in whole won, only ever appended to, in a Merkle tree that shows any changed byte.

Every transaction sums to zero, and so do all balances together. Won come from and go to banks only (`Heading.BANK`, whose balance is
minus all that is inside); no other account is ever below zero, so nobody spends what isn't there and nobody's claim rests on another's
debt. Won move along `ROUTES` and no other way: a programme's credit can be held for a contract or go back, and nothing else.

Responsible for: which movements are lawful, balances, the tree, the check of a whole ledger. Not responsible for: how much
anybody is owed (`settlement`, `programmes`), keeping entries (the hub's store), whether a bank's transfer took place (whoever records it).
"""

from collections import ChainMap
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from dure.market.problems import BrokenBooks, NotPosted
from dure.wire.codec import Malformed, Moment, decode, encode, message
from dure.wire.merkle import Checkpoint, Frontier, consistency, continues, leaf_hash

MEND = "Compare with a backup and with checkpoints that others keep."


class Heading(StrEnum):
    """What an account is for."""

    BANK = "bank"
    PURSE = "purse"
    HELD = "held"
    VAT = "vat"
    FUND = "fund"
    PROGRAMME = "programme"
    CREDIT = "credit"
    HELD_CREDIT = "held-credit"


@message
class Account:
    """Where won lie.

    Attributes:
        owner: a member (PURSE, HELD, VAT), a fund, a programme, or an award (CREDIT, HELD_CREDIT); "banks" for BANK.
        matter: what they are bound to: a contract (HELD, HELD_CREDIT), a programme (CREDIT), a fund (PROGRAMME).
    """

    heading: Heading
    owner: str
    matter: str = ""


BANKS = Account(heading=Heading.BANK, owner="banks")


@message
class Posting:
    """Won that an account gains, or loses where it is negative."""

    account: Account
    won: int


class Cause(StrEnum):
    """Why won move."""

    DEPOSIT = "deposit"
    PAYOUT = "payout"
    ALLOCATE = "allocate"
    AWARD = "award"
    HOLD = "hold"
    HOLD_CREDIT = "hold-credit"
    SETTLE = "settle"
    RETURN = "return"
    RETURN_CREDIT = "return-credit"
    LAPSE = "lapse"
    CLOSE = "close"


@dataclass(frozen=True, kw_only=True)
class Route:
    """Along which headings a cause moves won.

    Attributes:
        takes, gives: headings of accounts that lose and that gain.
        joined: the attribute of the losing account that must equal that attribute of the gaining one; None: they are free.
        shared: the attribute that all losing accounts must have in common.
    """

    takes: frozenset[Heading]
    gives: frozenset[Heading]
    joined: tuple[str, str] | None = None
    shared: str | None = None


def _route(
    takes: set[Heading],
    gives: set[Heading],
    joined: tuple[str, str] | None = None,
    shared: str | None = None,
) -> Route:
    return Route(takes=frozenset(takes), gives=frozenset(gives), joined=joined, shared=shared)


ROUTES = {
    Cause.DEPOSIT: _route({Heading.BANK}, {Heading.PURSE, Heading.FUND}),
    Cause.PAYOUT: _route({Heading.PURSE, Heading.VAT}, {Heading.BANK}),
    Cause.ALLOCATE: _route({Heading.FUND}, {Heading.PROGRAMME}, ("owner", "matter")),
    Cause.AWARD: _route({Heading.PROGRAMME}, {Heading.CREDIT}, ("owner", "matter")),
    Cause.HOLD: _route({Heading.PURSE}, {Heading.HELD}, ("owner", "owner")),
    Cause.HOLD_CREDIT: _route({Heading.CREDIT}, {Heading.HELD_CREDIT}, ("owner", "owner")),
    Cause.SETTLE: _route({Heading.HELD, Heading.HELD_CREDIT}, {Heading.PURSE, Heading.VAT}, shared="matter"),
    Cause.RETURN: _route({Heading.HELD}, {Heading.PURSE}, ("owner", "owner")),
    Cause.RETURN_CREDIT: _route({Heading.HELD_CREDIT}, {Heading.CREDIT}, ("owner", "owner")),
    Cause.LAPSE: _route({Heading.CREDIT}, {Heading.PROGRAMME}, ("matter", "owner")),
    Cause.CLOSE: _route({Heading.PROGRAMME}, {Heading.FUND}, ("matter", "owner")),
}


@message
class Movement:
    """Won that move together.

    Attributes:
        reference: what it was for: a bank's reference of a transfer, a contract, a report. A cause and a reference are posted once.
    """

    cause: Cause
    reference: str
    postings: tuple[Posting, ...]


@message
class Transaction:
    """A movement with its number, its time and whose act it was: a leaf of the ledger's tree."""

    number: int
    at: Moment
    who: str
    movement: Movement


def move(cause: Cause, reference: str, *changes: tuple[Account, int]) -> Movement:
    """A movement of these changes, those of one account added up and those of nothing left out."""
    total: dict[Account, int] = {}
    for account, won in changes:
        total[account] = total.get(account, 0) + won
    postings = (Posting(account=account, won=won) for account, won in total.items() if won)
    return Movement(cause=cause, reference=reference, postings=tuple(postings))


class Books:
    """Balances and the tree's edge: all that is needed to post. One writer at a time."""

    def __init__(self) -> None:
        self._balances: dict[Account, int] = {}
        self._posted: set[tuple[Cause, str]] = set()
        self._edge = Frontier()

    @property
    def checkpoint(self) -> Checkpoint:
        """The ledger's head, to be put into the audit log with every posting."""
        return self._edge.checkpoint

    @property
    def accounts(self) -> tuple[tuple[Account, int], ...]:
        """All accounts that ever were posted to, with their balances."""
        return tuple(self._balances.items())

    def balance(self, account: Account) -> int:
        """Won on an account; 0 for one that never was."""
        return self._balances.get(account, 0)

    def has(self, cause: Cause, reference: str) -> bool:
        """Whether this was posted."""
        return (cause, reference) in self._posted

    def post(self, *movements: Movement, at: Moment, who: str) -> tuple[bytes, ...]:
        """Post movements, all or none. The transactions' bytes, to be stored as they are.

        Raises:
            NotPosted: one of them isn't lawful after those before it. Nothing was posted.
        """
        balances = ChainMap({}, self._balances)
        posted: set[tuple[Cause, str]] = set()
        for movement in movements:
            key = (movement.cause, movement.reference)
            if key in self._posted or key in posted:
                _refuse("It was posted before.", movement)
            posted.add(key)
            _apply(movement, balances)
        bodies: list[bytes] = []
        for movement in movements:
            transaction = Transaction(number=self._edge.size + len(bodies), at=at, who=who, movement=movement)
            bodies.append(encode(transaction))
        self._balances.update(balances.maps[0])
        self._posted |= posted
        for body in bodies:
            self._edge = self._edge.append(leaf_hash(body))
        return tuple(bodies)


def _apply(movement: Movement, balances: MutableMapping[Account, int]) -> None:
    route = ROUTES[movement.cause]
    if len(movement.postings) < 2 or sum(posting.won for posting in movement.postings) != 0:
        _refuse("Its postings don't sum to zero over two accounts or more.", movement)
    if len({posting.account for posting in movement.postings}) != len(movement.postings):
        _refuse("An account stands in it twice.", movement)
    ends: tuple[set[str], set[str]] = (set(), set())
    for posting in movement.postings:
        account = posting.account
        if posting.won == 0:
            _refuse("A posting is of no won.", movement)
        if account.heading is Heading.BANK and account != BANKS:
            _refuse("There is one account of banks.", movement)
        lawful = route.gives if posting.won > 0 else route.takes
        if account.heading not in lawful:
            _refuse(f"No won may be {_way(posting)} {account.heading} by {movement.cause}.", movement)
        if route.joined is not None:
            end = posting.won > 0
            ends[end].add(getattr(account, route.joined[end]))
        balance = balances.get(account, 0) + posting.won
        if balance < 0 and account != BANKS:
            _refuse(f"{account.heading} of {account.owner} lacks {-balance:,} won.", movement)
        balances[account] = balance
    if route.joined is not None and (ends[0] != ends[1] or len(ends[0]) != 1):
        _refuse("The accounts don't belong together.", movement)
    if route.shared is not None:
        losing = [posting.account for posting in movement.postings if posting.won < 0]
        if len({getattr(account, route.shared) for account in losing}) > 1:
            _refuse("The accounts don't belong together.", movement)


def _way(posting: Posting) -> str:
    return "put into" if posting.won > 0 else "taken from"


def _refuse(what: str, movement: Movement) -> NoReturn:
    raise NotPosted(
        what,
        where=f"{movement.cause} for {movement.reference}",
        mend="Look at the statements of the accounts.",
    )


def verify(bodies: Iterable[bytes], *, head: Checkpoint, known: Checkpoint | None = None) -> Books:
    """The books, from the exact bytes of all transactions, posted again one by one.

    Args:
        head: what the audit log says of the ledger.
        known: an older checkpoint that was kept elsewhere, which the ledger must continue.

    Raises:
        BrokenBooks: a byte was changed, a transaction lost, put in, or isn't lawful, or the ledger doesn't continue `known`.
    """
    books, leaves = Books(), []
    for number, body in enumerate(bodies):
        here = f"transaction {number}"
        try:
            transaction: Transaction = decode(Transaction, body, where=here)
            again = books.post(transaction.movement, at=transaction.at, who=transaction.who)
        except (Malformed, NotPosted) as problem:
            raise BrokenBooks(problem.what, where=here, mend=MEND) from None
        if again != (body,):
            raise BrokenBooks("It isn't written as it is posted.", where=here, mend=MEND)
        leaves.append(leaf_hash(body))
    if books.checkpoint != head:
        raise BrokenBooks(
            f"The transactions give {books.checkpoint.size}, {books.checkpoint.root}; the log says {head.size}, {head.root}.",
            where="head",
            mend=MEND,
        )
    if known is not None and known.size > 0:
        fits = known.size <= len(leaves) and continues(known, head, consistency(leaves, known.size))
        if not fits:
            raise BrokenBooks(
                f"The ledger does not continue the one of {known.size} transactions with root {known.root}.",
                where="checkpoint",
                mend=MEND,
            )
    return books


@message
class Line:
    """One line of a statement: a transaction as one account sees it."""

    number: int
    at: Moment
    cause: Cause
    reference: str
    won: int
    balance: int


def statement(bodies: Iterable[bytes], account: Account) -> tuple[Line, ...]:
    """All that happened on an account, with its balance after each."""
    lines: list[Line] = []
    balance = 0
    for number, body in enumerate(bodies):
        transaction: Transaction = decode(Transaction, body, where=f"transaction {number}")
        for posting in transaction.movement.postings:
            if posting.account == account:
                balance += posting.won
                lines.append(
                    Line(
                        number=transaction.number,
                        at=transaction.at,
                        cause=transaction.movement.cause,
                        reference=transaction.movement.reference,
                        won=posting.won,
                        balance=balance,
                    )
                )
    return tuple(lines)
