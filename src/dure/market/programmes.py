"""Funds and programmes: applications, awards, credit that can pay for studies only, its end and return, outcome reports.

A fund allots won to a programme, the programme grants an award to a firm, and the award's credit pays its part of contracts whose quote has a voucher
(`quote.Voucher`). Credit never becomes a firm's own: the ledger has no such route. What isn't spent goes back to the programme, and from there to the fund.

Responsible for: programmes and awards, and the steps of both. Not responsible for: choosing among applications (people do), contracts (`deal`).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dure.market.ledger import BANKS, Account, Books, Cause, Heading, Movement, move
from dure.market.prices import WHOLE, Way
from dure.market.problems import BadTerms
from dure.market.quote import Quote
from dure.market.states import (
    ALL_OVER,
    AWARD,
    CREDIT_OVER,
    ITS_FIRM,
    ITS_FUND,
    NO_DEBT,
    NOTHING_HELD,
    OPEN,
    PROGRAMME,
    SAYS_SPENT,
    WITHIN,
    Condition,
    Party,
    judge,
)
from dure.wire.codec import Moment, message

OVER = frozenset({"refused", "withdrawn", "closed"})


@message
class Programme:
    """What a fund pays for.

    Attributes:
        fund: who runs it.
        basis_points: its part of what is bought before tax: 8,000 are 80 %.
        most_won: what one firm is granted at most.
        ways: how studies may be bought with it.
        opens, closes: between them firms apply.
        ends: when credit ends.
        report_days: within which a firm reports after its credit has ended.
    """

    id: str
    title: str
    fund: str
    won: int
    basis_points: int
    most_won: int
    ways: tuple[Way, ...]
    opens: Moment
    closes: Moment
    ends: Moment
    report_days: int
    state: str = PROGRAMME.start

    def check(self) -> None:
        """Raise BadTerms where it contradicts itself."""
        lawful = (
            0 < self.most_won <= self.won
            and 0 < self.basis_points <= WHOLE
            and self.opens < self.closes <= self.ends
            and self.report_days > 0
            and bool(self.ways)
        )
        if not lawful:
            raise BadTerms(
                "The programme's amounts, part, ways or dates make no sense.",
                where=f"programme {self.id}",
                mend="Grant more than nothing and no more than there is; open, close, then end.",
            )

    @property
    def account(self) -> Account:
        """Where its won lie."""
        return Account(heading=Heading.PROGRAMME, owner=self.id, matter=self.fund)


@message
class Outcome:
    """What a firm reports when its credit has ended.

    Attributes:
        spent_won: what of the award paid for deliveries.
        text: what came of it.
        reports: digests of the studies' reports.
    """

    award: str
    spent_won: int
    text: str
    reports: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Award:
    """A firm's application, and what came of it.

    Attributes:
        asked_won: what it asks for; `won`: what it was granted.
        purpose: what it wants to find out.
        lapsed: when its credit went back.
    """

    id: str
    programme: Programme
    firm: str
    asked_won: int
    purpose: str
    state: str = AWARD.start
    won: int = 0
    lapsed: datetime | None = None
    returned_won: int = 0
    outcome: Outcome | None = None

    @property
    def account(self) -> Account:
        """Where its credit lies."""
        return Account(heading=Heading.CREDIT, owner=self.id, matter=self.programme.id)

    def late(self, now: datetime) -> bool:
        """Whether its outcome report is overdue."""
        days = timedelta(days=self.programme.report_days)
        return self.state == "lapsed" and self.lapsed is not None and now >= self.lapsed + days


def pays_for(award: Award, quote: Quote, *, now: datetime) -> bool:
    """Whether an award pays a quote's voucher now."""
    voucher, programme = quote.voucher, award.programme
    return (
        voucher is not None
        and (voucher.award, voucher.programme, voucher.basis_points)
        == (award.id, programme.id, programme.basis_points)
        and award.firm == quote.buyer
        and award.state == "granted"
        and quote.way in programme.ways
        and now < programme.ends
    )


def deposit(account: Account, won: int, *, reference: str) -> Movement:
    """Won that a bank says have come in for a member or a fund. `reference`: the bank's."""
    return move(Cause.DEPOSIT, reference, (BANKS, -won), (account, won))


def payout(account: Account, won: int, *, reference: str) -> Movement:
    """Won that a bank was told to pay to a member, or to the tax office. `reference`: the bank's."""
    return move(Cause.PAYOUT, reference, (account, -won), (BANKS, won))


def allot(programme: Programme) -> Movement:
    """A fund gives a programme its won."""
    programme.check()
    fund = Account(heading=Heading.FUND, owner=programme.fund)
    return move(Cause.ALLOCATE, programme.id, (fund, -programme.won), (programme.account, programme.won))


def apply(programme: Programme, *, award: str, firm: str, won: int, purpose: str, now: datetime) -> Award:
    """A firm applies."""
    judge(
        PROGRAMME,
        programme.state,
        "apply",
        by=Party.BUYER,
        holds={OPEN} if programme.opens <= now < programme.closes else (),
    )
    return Award(id=award, programme=programme, firm=firm, asked_won=won, purpose=purpose)


def grant(
    award: Award, won: int, books: Books, others: tuple[Award, ...], *, by: str, now: datetime
) -> tuple[Award, Movement]:
    """The fund grants `won`, or less than was asked.

    Args:
        others: all awards of all programmes.
    """
    programme = award.programme
    mine = [one for one in others if one.firm == award.firm and one.id != award.id]
    had = sum(one.won for one in mine if one.programme.id == programme.id)
    holds = _fund(award, by)
    if 0 < won <= min(award.asked_won, programme.most_won - had, books.balance(programme.account)):
        holds.add(WITHIN)
    if not any(one.late(now) for one in mine):
        holds.add(NO_DEBT)
    state = judge(AWARD, award.state, "grant", by=Party.FUND, holds=holds).target
    given = replace(award, state=state, won=won)
    return given, move(Cause.AWARD, award.id, (programme.account, -won), (award.account, won))


def refuse(award: Award, *, by: str) -> Award:
    """The fund says no."""
    return replace(
        award, state=judge(AWARD, award.state, "refuse", by=Party.FUND, holds=_fund(award, by)).target
    )


def withdraw(award: Award, *, by: str) -> Award:
    """The firm takes its application back."""
    return replace(
        award, state=judge(AWARD, award.state, "withdraw", by=Party.BUYER, holds=_firm(award, by)).target
    )


def end(award: Award, books: Books, *, by: str, now: datetime) -> tuple[Award, tuple[Movement, ...]]:
    """The firm needs no more: the rest goes back to the programme."""
    holds = _firm(award, by) | _nothing_held(award, books)
    return _lapsed(award, books, judge(AWARD, award.state, "end", by=Party.BUYER, holds=holds).target, now)


def lapse(award: Award, books: Books, *, now: datetime) -> tuple[Award, tuple[Movement, ...]]:
    """The credit's time is over: the rest goes back to the programme."""
    holds = _nothing_held(award, books) | ({CREDIT_OVER} if now >= award.programme.ends else set())
    return _lapsed(award, books, judge(AWARD, award.state, "lapse", by=Party.HUB, holds=holds).target, now)


def report(award: Award, outcome: Outcome, *, by: str) -> Award:
    """The firm says what came of it."""
    holds = _firm(award, by)
    if (outcome.award, outcome.spent_won) == (award.id, award.won - award.returned_won):
        holds.add(SAYS_SPENT)
    state = judge(AWARD, award.state, "report", by=Party.BUYER, holds=holds).target
    return replace(award, state=state, outcome=outcome)


def decide(award: Award, *, accepted: bool, by: str) -> Award:
    """The fund takes an outcome report, or returns it to be written again."""
    action = "accept" if accepted else "return"
    return replace(
        award, state=judge(AWARD, award.state, action, by=Party.FUND, holds=_fund(award, by)).target
    )


def close(
    programme: Programme, books: Books, awards: tuple[Award, ...], *, by: str, now: datetime
) -> tuple[Programme, tuple[Movement, ...]]:
    """All that a programme has left goes back to its fund."""
    holds: set[Condition] = {ITS_FUND} if by == programme.fund else set()
    mine = [award for award in awards if award.programme.id == programme.id]
    if now >= programme.ends and all(award.state in OVER for award in mine):
        holds.add(ALL_OVER)
    state = judge(PROGRAMME, programme.state, "close", by=Party.FUND, holds=holds).target
    left = books.balance(programme.account)
    fund = Account(heading=Heading.FUND, owner=programme.fund)
    back = move(Cause.CLOSE, programme.id, (programme.account, -left), (fund, left))
    return replace(programme, state=state), (back,) if left else ()


def _lapsed(award: Award, books: Books, state: str, now: datetime) -> tuple[Award, tuple[Movement, ...]]:
    left = books.balance(award.account)
    back = move(Cause.LAPSE, award.id, (award.account, -left), (award.programme.account, left))
    return replace(award, state=state, lapsed=now, returned_won=left), (back,) if left else ()


def _nothing_held(award: Award, books: Books) -> set[Condition]:
    held = sum(
        won
        for account, won in books.accounts
        if account.heading is Heading.HELD_CREDIT and account.owner == award.id
    )
    return set() if held else {NOTHING_HELD}


def _fund(award: Award, by: str) -> set[Condition]:
    return {ITS_FUND} if by == award.programme.fund else set()


def _firm(award: Award, by: str) -> set[Condition]:
    return {ITS_FIRM} if by == award.firm else set()
