"""From a released report to won: what is metered, who is paid, what goes back; and that no payment tells what a report hides."""

from dataclasses import replace

import numpy as np
import pytest

from dure.guard.gate import Withheld, judge_total, release_hospital
from dure.market.ledger import BANKS, Account, Books, Heading
from dure.market.problems import NotNow
from dure.market.quote import Royalty, Voucher
from dure.market.settlement import closing, credits_of, funding, held, movements, purse, settle
from dure.market.shares import Band, Rule, Split, divide
from dure.stats.base import Frame, Nothing
from dure.stats.counts import Counts, CountsParams
from dure.stats.strata import Strata
from dure.study.report import Part, Table
from dure.wire import ring
from dure.wire.codec import encode
from dure.wire.messages import unpack
from dure.wire.rules import Mode, Rules
from tests.spec.market.deal import HOSPITALS, NOW, contract, numbers, paid_in, quote, report

EQUAL, LISTED = Split(rule=Rule.EQUAL), Split(rule=Rule.LISTED)
BANDS = Split(rule=Rule.BANDS, bands=(Band(people=0, weight=1), Band(people=100_000, weight=2)))
READS = {"table": "ratios", "low": "low", "high": "high", "log": True}
INFORMATION, SHAPLEY = (Split(rule=rule, **READS) for rule in (Rule.INFORMATION, Rule.SHAPLEY))
VOUCHER = Voucher(award="award-1", programme="start-ups")
TEMPLATE = Royalty(to="dasom", work="sha256:template", basis_points=500)


@pytest.mark.parametrize(
    ("shown", "hidden", "answered", "earned"),
    [
        # shown numbers, hidden ones, who answered: what hospitals earn (1,000,000 each to 50 numbers, 20,000 a further block, 5 at most)
        (1, 0, HOSPITALS, 3_000_000),
        (50, 0, HOSPITALS, 3_000_000),
        (50, 500, HOSPITALS, 3_000_000),
        (51, 0, HOSPITALS, 3_060_000),
        (60, 0, HOSPITALS, 3_060_000),
        (61, 0, HOSPITALS, 3_120_000),
        (5_000, 0, HOSPITALS, 3_300_000),
        (10, 0, HOSPITALS[:2], 2_000_000),
        (10, 0, HOSPITALS[:1], 1_000_000),
    ],
)
def test_hospitals_earn_by_shown_numbers_and_hidden_ones_count_for_nothing(shown, hidden, answered, earned):
    made = settle(contract(), report(numbers(shown, hidden=hidden), answered=answered))
    assert made.bill.hospitals == earned
    assert sum(made.hospitals.values()) == earned


@pytest.mark.parametrize(
    ("split", "shares"),
    [
        # rule: what aram (1.2 million people published), byeol (150,000) and chorok (42,000, not answering here) get of 2,000,000
        (LISTED, {"aram": 1_000_000, "byeol": 1_000_000}),
        (EQUAL, {"aram": 1_000_000, "byeol": 1_000_000}),
        (BANDS, {"aram": 1_000_000, "byeol": 1_000_000}),
    ],
)
def test_only_hospitals_that_answered_share(split, shares):
    out = (("chorok", Part.REFUSED),)
    assert settle(contract(quote(split=split)), report(numbers(5), answered=HOSPITALS[:2], out=out)).hospitals == shares  # fmt: skip


def ratios(*rows):
    return Table(name="ratios", title="t", columns=("hospital", "ratio", "low", "high"), rows=rows)


TOLD = ratios(("aram", 1.0, 0.5, 2.0), ("byeol", 1.0, 0.25, 4.0), ("chorok", None, None, None))


@pytest.mark.parametrize(
    ("split", "shares"),
    [
        # the widths (in logarithms) are 1 to 2, so information is 4 to 1; chorok's interval is hidden and so are its numbers
        (LISTED, {"aram": 1_000_000, "byeol": 1_000_000}),
        (INFORMATION, {"aram": 1_600_000, "byeol": 400_000}),
        (SHAPLEY, {"aram": 1_447_214, "byeol": 552_786}),
    ],
)
def test_by_hospital_what_was_told_may_be_paid(split, shares):
    made = settle(contract(quote(split=split, mode=Mode.BY_HOSPITAL)), report(TOLD, mode=Mode.BY_HOSPITAL))
    assert made.hospitals == shares


def test_where_no_interval_is_shown_all_who_delivered_share_alike():
    only_counts = Table(name="other", title="t", columns=("hospital", "people"), rows=(("aram", 40), ("byeol", 50)))  # fmt: skip
    made = settle(
        contract(quote(split=INFORMATION, mode=Mode.BY_HOSPITAL)), report(only_counts, mode=Mode.BY_HOSPITAL)
    )
    assert made.hospitals == {"aram": 1_000_000, "byeol": 1_000_000}


@pytest.mark.parametrize(
    ("made", "why"),
    [
        # no settlement without a release
        (report(), "Nothing was released"),
        (report(numbers(0, hidden=9)), "Nothing was released"),
        (report(numbers(9), answered=()), "Nothing was released"),
        (report(numbers(9), answered=(), out=(("aram", Part.DROPPED),)), "Nothing was released"),
        (report(numbers(9), study="sha256:other"), "another study"),
        (report(numbers(9), asker="other"), "another study, buyer"),
        (report(numbers(9), mode=Mode.BY_HOSPITAL), "way of release"),
        (report(numbers(9), answered=(*HOSPITALS, "dalbit")), "dalbit answered"),
    ],
)
def test_what_is_not_settled(made, why):
    with pytest.raises(NotNow, match=why):
        settle(contract(), made)


STORIES = (
    # quote, shown numbers, answered: purses after it, tax, what went back to the buyer and to the award
    (quote(), 55, HOSPITALS, {"aram": 1_020_000, "byeol": 1_020_000, "chorok": 1_020_000, "narae": 244_800}, 330_480, 285_120, 0),
    (quote(voucher=VOUCHER), 55, HOSPITALS, {"aram": 1_020_000, "byeol": 1_020_000, "chorok": 1_020_000, "narae": 244_800}, 330_480, 77_760, 207_360),
    (quote(royalties=(TEMPLATE,)), 5, HOSPITALS[:1], {"aram": 1_000_000, "narae": 80_000, "dasom": 50_000}, 113_000, 2_858_900, 0),
)  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=["plain", "voucher", "royalty, one answers"])
def test_won_go_from_what_was_set_aside_to_everybody_and_the_rest_back(story):
    made, shown, answered, purses, vat, back, credit_back = story
    deal, books = contract(made), paid_in(Books(), saebom=5_000_000, award=3_000_000)
    books.post(*funding(deal), at=NOW, who="saebom")
    own, credit = made.most_won - made.most_credit, made.most_credit
    assert books.balance(purse("saebom")) == 5_000_000 - own
    assert books.balance(held(deal)) == own
    done = settle(deal, report(numbers(shown), answered=answered))
    books.post(*movements(deal, done), at=NOW, who="hub")
    for name, won in purses.items():
        assert books.balance(purse(name)) == won, name
    assert sum(won for account, won in books.accounts if account.heading is Heading.VAT) == vat
    assert books.balance(purse("saebom")) == 5_000_000 - own + back
    assert books.balance(held(deal)) == 0
    if credit:
        source, aside = credits_of(deal)
        assert (books.balance(source), books.balance(aside)) == (3_000_000 - credit + credit_back, 0)
    assert sum(won for _, won in books.accounts) == 0
    assert books.balance(BANKS) == -8_000_000


def test_suppliers_tax_adds_up_to_the_buyer_s_and_follows_what_they_get():
    made = settle(contract(quote(royalties=(TEMPLATE,))), report(numbers(55)))
    assert made.paid == {**made.hospitals, "narae": made.bill.fee, "dasom": made.bill.royalties["dasom"]}
    assert sum(made.paid.values()) == made.bill.supply
    assert sum(made.vat.values()) == made.bill.vat == made.bill.supply // 10
    assert all(abs(made.vat[name] - won / 10) < 1 for name, won in made.paid.items())


def test_closing_gives_back_what_no_delivery_used():
    deal, books = contract(quote(voucher=VOUCHER)), paid_in(Books(), saebom=5_000_000, award=3_000_000)
    before = books.accounts
    books.post(*funding(deal), at=NOW, who="saebom")
    _, aside = credits_of(deal)
    books.post(*closing(deal, books.balance(held(deal)), books.balance(aside)), at=NOW, who="hub")
    assert {pair for pair in books.accounts if pair[1]} == {pair for pair in before if pair[1]}


def test_a_hospital_that_is_also_an_author_is_paid_for_both():
    made = settle(contract(quote(royalties=(replace(TEMPLATE, to="aram"),))), report(numbers(5)))
    assert made.paid["aram"] == 1_000_000 + 150_000
    assert made.hospitals["aram"] == 1_000_000


PARAMS = CountsParams(stages=("in cohort",), strata=(Strata(name="site", levels=("one", "two", "three")),))
EXACT = (4_200, 2_600)
HIDDEN = range(1, 11)


def counted(*people):
    """A hospital's answer where so many people are at each of three places."""
    site = np.repeat(np.arange(3), people)
    frame = Frame(person=np.arange(sum(people)), columns={"reached": np.ones(sum(people)), "site": site})
    return Counts().local(frame, PARAMS, Nothing())


def shown_by(mask, values, place):
    names = ("all", "one", "two", "three")
    return [
        (place, name, int(value) if is_open else None)
        for name, value, is_open in zip(names, values, mask, strict=True)
    ]


def people_table(rows):
    return Table(name="people", title="t", columns=("hospital", "site", "people"), rows=tuple(rows))


def test_a_pool_that_is_split_by_exact_counts_tells_the_hidden_one():
    """The trap, as it is without us: 10,000,000 won by 4,200, 2,600 and a hidden count."""
    for hidden in HIDDEN:
        invoice = divide(10_000_000, dict(zip("abc", (*EXACT, hidden), strict=True)))
        guessed = [
            n for n in HIDDEN if divide(10_000_000, dict(zip("abc", (*EXACT, n), strict=True))) == invoice
        ]
        assert guessed == [hidden]


@pytest.mark.parametrize("split", [LISTED, INFORMATION, SHAPLEY, EQUAL, BANDS], ids=lambda split: split.rule)
def test_by_hospital_no_settlement_depends_on_a_hidden_count(split):
    """Through the real gate: whatever the hidden count is, all that is billed and paid is the same."""
    layout, bills, deal = Counts().layout(PARAMS), set(), contract(quote(split=split, mode=Mode.BY_HOSPITAL))
    for hidden in HIDDEN:
        rows = []
        for place, people in (
            ("aram", (4_200, 2_600, hidden)),
            ("byeol", (1_000, 30, 40)),
            ("chorok", (hidden, 0, 0)),
        ):
            told = release_hospital(layout, counted(*people), Rules())
            if isinstance(told, Withheld):
                continue
            mask = unpack(told.shown, len(layout.cells), where="test")
            values = ring.integers(ring.from_bytes(told.numbers, 2 * len(layout.cells)))[len(layout.cells) :]
            rows += shown_by(mask, values, place)
        assert ("aram", "three", None) in rows
        released = report(people_table(rows), TOLD, mode=Mode.BY_HOSPITAL, answered=HOSPITALS[:2])
        made = settle(deal, released)
        bills.add(encode(replace(made, report="")))
    assert len(bills) == 1


@pytest.mark.parametrize("split", [LISTED, EQUAL, BANDS], ids=lambda split: split.rule)
def test_in_total_no_settlement_depends_on_who_had_how_many(split):
    layout, bills, deal = Counts().layout(PARAMS), set(), contract(quote(split=split))
    for hidden in HIDDEN:
        for mine in ((4_200, 2_600, hidden), (hidden, 2_600, 4_200)):
            # The network's total is the same whoever has the people.
            rest = (6_000 - mine[0], 4_000 - mine[1], 4_210 - mine[2])
            support = counted(*mine).support + counted(*rest).support
            mask = judge_total(layout, support, Rules(), hospitals=3)
            assert not isinstance(mask, Withheld)
            bills.add(
                encode(
                    replace(settle(deal, report(people_table(shown_by(mask, support, "network")))), report="")
                )
            )
    assert len(bills) == 1


def test_nothing_that_a_settlement_reads_can_hold_an_exact_count():
    """It is computed from the report and the contract, so two runs with the same release settle alike to the byte."""
    one, other = (settle(contract(), report(numbers(30, hidden=3))) for _ in range(2))
    assert encode(one) == encode(other)
    assert {delivery.numbers for delivery in one.metered} == {30}


def test_the_vat_account_is_the_supplier_s():
    deal, books = contract(), paid_in(Books(), saebom=5_000_000)
    books.post(*funding(deal), at=NOW, who="saebom")
    books.post(*movements(deal, settle(deal, report(numbers(5)))), at=NOW, who="hub")
    assert books.balance(Account(heading=Heading.VAT, owner="aram")) == 100_000
