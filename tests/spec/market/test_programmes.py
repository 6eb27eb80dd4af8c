"""Funds and programmes: from 38.5 billion won to a start-up's study and back, and every way in which a step is denied."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dure.market import deal as deals
from dure.market import programmes
from dure.market.ledger import BANKS, Account, Books, Heading
from dure.market.prices import Way
from dure.market.problems import BadTerms, NotNow, NotPosted
from dure.market.programmes import Outcome, Programme, allot, apply, deposit, payout
from dure.market.quote import Voucher
from dure.market.settlement import purse
from tests.spec.market.deal import NOW, YEAR, numbers, quote, report
from tests.spec.market.test_deal import ALL, ARAM, SAEBOM, STUDY, Market

FUND = Account(heading=Heading.FUND, owner="nation")
MONTH = NOW + timedelta(days=30)
PROGRAMME = Programme(
    id="start-ups",
    title="First studies of start-ups",
    fund="nation",
    won=2_000_000_000,
    basis_points=8000,
    most_won=10_000_000,
    ways=(Way.PER_STUDY, Way.SELF_SERVE),
    opens=NOW,
    closes=MONTH,
    ends=YEAR,
    report_days=60,
)
VOUCHER = Voucher(award="award-1", programme="start-ups")


def funded():
    books = Books()
    paid = (
        deposit(FUND, 38_500_000_000, reference="bank-1"),
        deposit(purse("saebom"), 5_000_000, reference="bank-2"),
    )
    books.post(*paid, allot(PROGRAMME), at=NOW, who="nation")
    return books


def applied(award="award-1", firm="saebom", won=8_000_000, programme=PROGRAMME):
    return apply(programme, award=award, firm=firm, won=won, purpose="Who has atopic skin?", now=NOW)


def granted(books, won=8_000_000, others=(), **named):
    award, moved = programmes.grant(applied(**named), won, books, others, by="nation", now=NOW)
    books.post(moved, at=NOW, who="nation")
    return award


def spent(books, award):
    """A study on the award's voucher, from request to won."""
    market = Market(quote(voucher=VOUCHER))
    market.books = books
    market.signed().do(deals.fund, books, award=award, by=SAEBOM, now=NOW)
    market.do(deals.start, STUDY, ALL, revoked=(), now=NOW)
    market.do(deals.release, 1, report(numbers(5)), books, revoked=(), now=NOW)
    market.do(deals.pay, 1, books).do(deals.finish).do(deals.close, books)
    return market


def test_from_a_fund_to_a_study_and_back():
    books = funded()
    award = granted(books)
    spent(books, award)
    supply = 3_240_000
    assert books.balance(award.account) == 8_000_000 - supply * 80 // 100
    assert books.balance(purse("saebom")) == 5_000_000 - supply * 20 // 100 - supply // 10
    assert books.balance(purse("aram")) == 1_000_000
    award, moved = programmes.lapse(award, books, now=YEAR)
    books.post(*moved, at=YEAR, who="hub")
    outcome = Outcome(award="award-1", spent_won=2_592_000, text="It is common.", reports=("sha256:report",))
    award = programmes.report(award, outcome, by="saebom")
    award = programmes.decide(
        programmes.report(programmes.decide(award, accepted=False, by="nation"), outcome, by="saebom"),
        accepted=True,
        by="nation",
    )
    assert (award.state, books.balance(award.account)) == ("closed", 0)
    programme, moved = programmes.close(PROGRAMME, books, (award,), by="nation", now=YEAR)
    books.post(*moved, at=YEAR, who="nation")
    assert programme.state == "closed"
    assert books.balance(FUND) == 38_500_000_000 - 2_592_000
    books.post(payout(purse("aram"), 1_000_000, reference="bank-3"), at=YEAR, who="narae")
    assert books.balance(BANKS) == -(38_500_000_000 + 5_000_000 - 1_000_000)
    assert sum(won for _, won in books.accounts) == 0


def test_an_award_that_is_not_spent_goes_back_whole():
    books = funded()
    award, moved = programmes.end(granted(books), books, by="saebom", now=MONTH)
    books.post(*moved, at=MONTH, who="hub")
    assert (award.returned_won, books.balance(PROGRAMME.account)) == (8_000_000, 2_000_000_000)


def test_credit_waits_for_the_contracts_that_hold_it():
    books = funded()
    award = granted(books)
    market = Market(quote(voucher=VOUCHER))
    market.books = books
    market.signed().do(deals.fund, books, award=award, by=SAEBOM, now=NOW)
    for step in (
        lambda: programmes.lapse(award, books, now=YEAR),
        lambda: programmes.end(award, books, by="saebom", now=NOW),
    ):
        with pytest.raises(NotNow, match="set aside under a contract"):
            step()
    market.do(deals.revoke, by=ARAM).do(deals.close, books)
    assert programmes.lapse(award, books, now=YEAR)[0].returned_won == 8_000_000


def test_a_programme_s_credit_never_becomes_the_firm_s_own():
    books = funded()
    award = granted(books)
    with pytest.raises(NotPosted, match="taken from credit"):
        books.post(payout(award.account, 1, reference="bank-9"), at=NOW, who="narae")


WRONG_AWARDS = (
    ("none", lambda award: None, NOW, quote(voucher=VOUCHER)),
    ("another firm's", lambda award: replace(award, firm="other"), NOW, quote(voucher=VOUCHER)),
    ("another award", lambda award: replace(award, id="award-2"), NOW, quote(voucher=VOUCHER)),
    ("only applied for", lambda award: replace(award, state="applied"), NOW, quote(voucher=VOUCHER)),
    ("lapsed", lambda award: replace(award, state="lapsed"), NOW, quote(voucher=VOUCHER)),
    ("over", lambda award: award, YEAR - timedelta(seconds=1), quote(voucher=VOUCHER)),
    ("for another part", lambda award: award, NOW, quote(voucher=replace(VOUCHER, basis_points=9000))),
    ("for another way", lambda award: award, NOW, quote(Way.STANDING, voucher=VOUCHER)),
    ("of another programme", lambda award: award, NOW, quote(voucher=replace(VOUCHER, programme="others"))),
)  # fmt: skip


@pytest.mark.parametrize(("change", "now", "made"), [row[1:] for row in WRONG_AWARDS], ids=[row[0] for row in WRONG_AWARDS])  # fmt: skip
def test_a_voucher_pays_only_for_what_its_programme_is_for(change, now, made):
    books = funded()
    award = change(granted(books))
    if award is not None and now > NOW:
        award = replace(award, programme=replace(PROGRAMME, ends=now))
    market = Market(made)
    market.books = books
    market.signed()
    with pytest.raises(NotNow, match="No live award"):
        market.do(deals.fund, books, award=award, by=SAEBOM, now=now)


def test_a_voucher_without_credit_is_not_funded():
    books = funded()
    award = granted(books, won=2_851_199)
    market = Market(quote(voucher=VOUCHER))
    market.books = books
    with pytest.raises(NotNow, match="aren't enough won"):
        market.signed().do(deals.fund, books, award=award, by=SAEBOM, now=NOW)


LATE = NOW + timedelta(days=60)
REPORT = Outcome(award="award-1", spent_won=0, text="t", reports=())


def lapsed(books):
    award, moved = programmes.end(granted(books), books, by="saebom", now=NOW)
    books.post(*moved, at=NOW, who="hub")
    return award


DENIED = (
    # what, the step on fresh books, why not
    ("too early", lambda b: apply(PROGRAMME, award="a", firm="f", won=1, purpose="p", now=NOW - timedelta(seconds=1)), "no applications now"),
    ("too late", lambda b: apply(PROGRAMME, award="a", firm="f", won=1, purpose="p", now=MONTH), "no applications now"),
    ("to a closed programme", lambda b: applied(programme=replace(PROGRAMME, state="closed")), "no step 'apply'"),
    ("granted by another fund", lambda b: programmes.grant(applied(), 1, b, (), by="other", now=NOW), "Another fund's"),
    ("more than asked", lambda b: programmes.grant(applied(), 8_000_001, b, (), by="nation", now=NOW), "more than the programme"),
    ("nothing", lambda b: programmes.grant(applied(), 0, b, (), by="nation", now=NOW), "more than the programme"),
    ("more than a firm may have", lambda b: programmes.grant(applied(won=10_000_001), 10_000_001, b, (), by="nation", now=NOW), "more than the programme"),
    ("more in two awards", lambda b: programmes.grant(applied("award-2"), 2_000_001, b, (granted(b),), by="nation", now=NOW), "more than the programme"),
    ("more than there is", lambda b: programmes.grant(applied(), 1, Books(), (), by="nation", now=NOW), "more than the programme"),
    ("to a firm that owes a report", lambda b: programmes.grant(applied("award-2"), 1, b, (lapsed(b),), by="nation", now=LATE), "owes an outcome report"),
    ("granted twice", lambda b: programmes.grant(granted(b), 1, b, (), by="nation", now=NOW), "granted has no step 'grant'"),
    ("refused by another fund", lambda b: programmes.refuse(applied(), by="other"), "Another fund's"),
    ("withdrawn by another", lambda b: programmes.withdraw(applied(), by="other"), "Another firm's"),
    ("granted though withdrawn", lambda b: programmes.grant(programmes.withdraw(applied(), by="saebom"), 1, b, (), by="nation", now=NOW), "withdrawn has no step"),
    ("granted though refused", lambda b: programmes.grant(programmes.refuse(applied(), by="nation"), 1, b, (), by="nation", now=NOW), "refused has no step"),
    ("ended by another", lambda b: programmes.end(granted(b), b, by="other", now=NOW), "Another firm's"),
    ("lapsed too early", lambda b: programmes.lapse(granted(b), b, now=MONTH), "is not over"),
    ("reported before its end", lambda b: programmes.report(granted(b), REPORT, by="saebom"), "granted has no step 'report'"),
    ("reported by another", lambda b: programmes.report(lapsed(b), REPORT, by="other"), "Another firm's"),
    ("another amount", lambda b: programmes.report(lapsed(b), replace(REPORT, spent_won=1), by="saebom"), "another amount"),
    ("another award's report", lambda b: programmes.report(lapsed(b), replace(REPORT, award="award-2"), by="saebom"), "another amount"),
    ("taken by another fund", lambda b: programmes.decide(programmes.report(lapsed(b), REPORT, by="saebom"), accepted=True, by="other"), "Another fund's"),
    ("closed while it runs", lambda b: programmes.close(PROGRAMME, b, (), by="nation", now=MONTH), "The programme runs"),
    ("closed while an award does", lambda b: programmes.close(PROGRAMME, b, (lapsed(b),), by="nation", now=YEAR), "an award of it does"),
    ("closed by another fund", lambda b: programmes.close(PROGRAMME, b, (), by="other", now=YEAR), "Another fund's"),
)  # fmt: skip


@pytest.mark.parametrize(("step", "why"), [row[1:] for row in DENIED], ids=[row[0] for row in DENIED])
def test_what_is_denied_and_why(step, why):
    with pytest.raises(NotNow, match=why):
        step(funded())


def test_who_filed_a_report_may_be_granted_again():
    books = funded()
    first = programmes.report(lapsed(books), REPORT, by="saebom")
    second, _ = programmes.grant(applied("award-2"), 2_000_000, books, (first,), by="nation", now=LATE)
    assert second.state == "granted"


@pytest.mark.parametrize(
    "change",
    [
        {"won": 0}, {"most_won": 0}, {"most_won": 2_000_000_001}, {"basis_points": 0}, {"basis_points": 10_001},
        {"closes": NOW}, {"ends": NOW}, {"report_days": 0}, {"ways": ()},
    ],
)  # fmt: skip
def test_a_programme_that_makes_no_sense_is_not_allotted(change):
    with pytest.raises(BadTerms):
        allot(replace(PROGRAMME, **change))
