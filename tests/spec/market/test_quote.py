"""What a study costs, as tables: prices, the fee that both see, royalties, tax, vouchers; and quotes that aren't what was signed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.market.bill import bill
from dure.market.prices import Price, Way, open_fee, open_price_list
from dure.market.problems import BadTerms
from dure.market.quote import Offer, Royalty, Voucher, matches
from dure.market.shares import Band, Rule, Split
from dure.market.works import Work
from dure.wire.codec import decode, encode
from dure.wire.envelope import Forged, seal
from dure.wire.rules import Mode
from tests.spec.market.deal import FEE, HOSPITALS, LATER, NOW, PEOPLE, YEAR, directory, key, price_list, quote

TEMPLATE = Royalty(to="dasom", work="sha256:template", basis_points=500)
VOUCHER = Voucher(award="award-1", programme="start-ups")


@pytest.mark.parametrize(
    ("numbers", "blocks"), [(0, 0), (50, 0), (51, 1), (60, 1), (61, 2), (150, 10), (151, 11)]
)
def test_shown_numbers_beyond_what_a_price_covers_are_paid_for_in_started_blocks_of_ten(numbers, blocks):
    assert Price(way=Way.PER_STUDY, won=1, covers=50, block_won=7).blocks(numbers) == blocks
    assert Price(way=Way.PER_STUDY, won=1, covers=50).blocks(numbers) == 0


@pytest.mark.parametrize(
    ("hospitals", "royalty", "fee", "royalties", "vat", "total"),
    [
        # what hospitals earn, an author's basis points: the fee (8 %, at least 20,000), royalties, tax, total
        (3_000_000, 0, 240_000, 0, 324_000, 3_564_000),
        (3_000_000, 500, 240_000, 150_000, 339_000, 3_729_000),
        (250_000, 0, 20_000, 0, 27_000, 297_000),
        (0, 500, 20_000, 0, 2_000, 22_000),
        (1_000_009, 333, 80_000, 33_300, 111_330, 1_224_639),
    ],
)
def test_a_bill(hospitals, royalty, fee, royalties, vat, total):
    made = bill(hospitals, fee_basis_points=800, fee_least_won=20_000, royalties={"dasom": royalty})
    assert (made.fee, sum(made.royalties.values()), made.vat, made.total) == (fee, royalties, vat, total)


@pytest.mark.parametrize(
    ("made", "most", "credit"),
    [
        # a quote for three hospitals; what it costs at most with tax; what of it a programme pays
        (quote(), 3_920_400, 0),
        (quote(royalties=(TEMPLATE,)), 4_101_900, 0),
        (quote(voucher=VOUCHER), 3_920_400, 2_851_200),
        (quote(Way.SELF_SERVE), 320_760, 0),
        (quote(Way.STANDING, deliveries=4), 4 * 1_247_400, 0),
        (quote(Way.SUBSCRIPTION, deliveries=12), 12 * 1_425_600, 0),
        (quote(Way.SUBSCRIPTION, deliveries=12, voucher=VOUCHER), 12 * 1_425_600, 12 * 1_036_800),
    ],
)
def test_a_quote_says_what_it_costs_at_most(made, most, credit):
    made.check()
    assert (made.most_won, made.most_credit) == (most, credit)
    assert decode(type(made), encode(made), where="quote") == made


def test_a_programme_pays_80_percent_before_tax_and_the_buyer_the_rest_and_all_tax():
    made = quote(voucher=VOUCHER)
    delivery = made.most
    assert made.credit(delivery) * 100 == delivery.supply * 80
    assert delivery.total - made.credit(delivery) == delivery.supply // 5 + delivery.vat


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=2), st.integers(0, 10_000), st.integers(0, 10**6))
def test_a_bill_never_grows_where_less_is_earned(earned, points, least):
    less, more = (
        bill(won, fee_basis_points=points, fee_least_won=least, royalties={"a": points // 2})
        for won in sorted(earned)
    )
    assert less.total <= more.total
    assert less.fee <= more.fee
    assert less.vat <= more.vat


SELF = quote(Way.SELF_SERVE)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (quote(offers=()), "one line for each"),
        (quote(offers=quote().offers * 2), "one line for each"),
        (quote(offers=(replace(quote().offers[0], won=-1),)), "below its meaning"),
        (quote(offers=(replace(quote().offers[0], weight=0),)), "below its meaning"),
        (quote(study=None), "A subscription is for any study"),
        (quote(Way.SUBSCRIPTION, study="sha256:study"), "A subscription is for any study"),
        (quote(deliveries=0), "0 deliveries"),
        (quote(deliveries=2), "2 deliveries per-study"),
        (replace(SELF, deliveries=2), "2 deliveries self-serve"),
        (quote(every_months=3), "every 1 to 12 months"),
        (quote(Way.STANDING, every_months=0), "every 1 to 12 months"),
        (quote(Way.STANDING, every_months=13), "every 1 to 12 months"),
        (quote(until=NOW), "ends before"),
        (quote(royalties=(replace(TEMPLATE, basis_points=9_300),)), "above the hospitals' prices"),
        (quote(royalties=(replace(TEMPLATE, basis_points=-1),)), "below 0"),
        (quote(royalties=(TEMPLATE, TEMPLATE)), "stands twice"),
        (quote(id=""), "A word of it"),
        (quote(id="q-1\n\n10. The buyer pays nothing"), "A word of it"),
        (quote(study="sha256:\u202estudy"), "A word of it"),
        (quote(buyer="s" * 201), "A word of it"),
        (quote(royalties=(replace(TEMPLATE, work="a\rb"),)), "A word of it"),
        (quote(voucher=replace(VOUCHER, award="a\tb")), "A word of it"),
        (
            quote(mode=Mode.BY_HOSPITAL, split=Split(rule=Rule.SHAPLEY, table="t\n", low="l", high="h")),
            "A word of it",
        ),
        (quote(intermediary="saebom"), "neither buys nor sells"),
        (quote(intermediary="aram"), "neither buys nor sells"),
        (quote(voucher=replace(VOUCHER, basis_points=0)), "voucher pays"),
        (quote(voucher=replace(VOUCHER, basis_points=10_001)), "voucher pays"),
        (quote(split=Split(rule=Rule.INFORMATION, table="t", low="l", high="h")), "total. releases none"),
        (replace(SELF, mode=Mode.BY_HOSPITAL), "released in total"),
        (replace(SELF, offers=quote().offers), "100,000 to 1,000,000"),
        (replace(SELF, offers=SELF.offers[:1], fee_least_won=0, fee_basis_points=0), "100,000 to 1,000,000"),
    ],
)
def test_a_quote_that_contradicts_itself(made, said):
    with pytest.raises(BadTerms, match=said):
        made.check()


BANDS = Split(rule=Rule.BANDS, bands=(Band(people=0, weight=1), Band(people=100_000, weight=2)))


def lists():
    return {name: seal(price_list(name), "price-list", key(name)) for name in HOSPITALS}


WORK = Work(author="dasom", title="Atopic skin", content="sha256:x", basis_points=500, since=NOW, until=LATER)
SIGNED = seal(WORK, "work", key("dasom"))
OF_WORK = Royalty(to="dasom", work=SIGNED.digest, basis_points=500)


def held_against(made, signed=None, fee=FEE, people=PEOPLE, now=NOW, works=(SIGNED,)):
    matches(made, signed or lists(), seal(fee, "fee", key("narae")), works, people, directory(), now=now)


def test_a_quote_is_held_against_what_was_signed_and_published():
    held_against(quote())
    held_against(quote(split=BANDS))
    assert [line.weight for line in quote(split=BANDS).offers] == [2, 2, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: replace(one, fee_basis_points=700), "fee"),
        (lambda one: replace(one, fee_least_won=0), "fee"),
        (lambda one: replace(one, fee="sha256:other"), "fee"),
        (
            lambda one: replace(one, offers=(replace(one.offers[0], price_list="sha256:other"),)),
            "line of aram",
        ),
        (lambda one: replace(one, offers=(replace(one.offers[0], won=1),)), "line of aram"),
        (lambda one: replace(one, offers=(replace(one.offers[0], covers=60),)), "line of aram"),
        (lambda one: replace(one, offers=(replace(one.offers[0], weight=5),)), "line of aram"),
    ],
)
def test_a_quote_that_says_other_than_the_signed_lists_is_refused(change, said):
    with pytest.raises(BadTerms, match=said):
        held_against(change(quote(split=BANDS)))


def test_a_quote_by_lists_that_are_over_forged_or_of_other_profiles_is_refused():
    with pytest.raises(BadTerms, match="It holds from"):
        held_against(quote(), now=YEAR)
    with pytest.raises(Forged):
        held_against(quote(), lists() | {"byeol": seal(price_list("byeol"), "price-list", key("aram"))})
    with pytest.raises(BadTerms, match="line of aram"):
        held_against(quote(), lists() | {"aram": seal(price_list("byeol"), "price-list", key("byeol"))})
    with pytest.raises(BadTerms, match="line of chorok"):
        held_against(quote(split=BANDS), people={**PEOPLE, "chorok": 100_000})


def test_a_royalty_is_what_the_signed_work_says():
    held_against(quote(royalties=(OF_WORK,)))
    for wrong in (
        replace(OF_WORK, basis_points=499),
        replace(OF_WORK, to="narae"),
        replace(OF_WORK, work="sha256:other"),
    ):
        with pytest.raises(BadTerms, match="A royalty isn't"):
            held_against(quote(royalties=(wrong,)))
    with pytest.raises(BadTerms, match="A royalty isn't"):
        held_against(quote(royalties=(OF_WORK,)), works=())
    with pytest.raises(BadTerms, match="It is offered from"):
        held_against(quote(royalties=(OF_WORK,)), now=LATER)
    with pytest.raises(BadTerms, match="No such royalty"):
        held_against(quote(), works=(seal(replace(WORK, basis_points=10_001), "work", key("dasom")),))
    with pytest.raises(Forged):
        held_against(quote(), works=(seal(WORK, "work", key("narae")),))
    hospital = seal(replace(WORK, author="aram"), "work", key("aram"))
    held_against(quote(royalties=(replace(OF_WORK, to="aram", work=hospital.digest),)), works=(hospital,))


def test_a_hospital_without_a_price_is_left_out_by_name():
    only = price_list("aram", prices=price_list("aram").prices[:1])
    with pytest.raises(BadTerms, match="aram has no price for standing"):
        only.price(Way.STANDING)


@pytest.mark.parametrize(
    "prices",
    [
        (Price(way=Way.PER_STUDY, won=1, covers=1), Price(way=Way.PER_STUDY, won=2, covers=1)),
        (Price(way=Way.PER_STUDY, won=-1, covers=1),),
        (Price(way=Way.PER_STUDY, won=1, covers=1, block_won=-1),),
        (Price(way=Way.SELF_SERVE, won=1, covers=1, block_won=1),),
    ],
)
def test_a_price_list_that_makes_no_sense(prices):
    with pytest.raises(BadTerms):
        price_list("aram", prices).check()


def test_lists_and_fees_are_signed_and_hold_for_a_time():
    book = directory()
    listed = seal(price_list("aram"), "price-list", key("aram"))
    assert open_price_list(listed, book, now=NOW, where="list") == price_list("aram")
    assert open_fee(seal(FEE, "fee", key("narae")), book, now=NOW, where="fee") == FEE
    for now in (NOW - timedelta(seconds=1), YEAR):
        with pytest.raises(BadTerms, match="It holds from"):
            open_price_list(listed, book, now=now, where="list")
    with pytest.raises(Forged):
        open_price_list(seal(price_list("aram"), "price-list", key("byeol")), book, now=NOW, where="list")
    with pytest.raises(Forged):
        open_fee(seal(FEE, "fee", key("saebom")), book, now=NOW, where="fee")
    with pytest.raises(Forged, match="No key"):
        open_fee(seal(replace(FEE, intermediary="aram"), "fee", key("aram")), book, now=NOW, where="fee")
    with pytest.raises(BadTerms, match="No such fee"):
        open_fee(seal(replace(FEE, basis_points=10_001), "fee", key("narae")), book, now=NOW, where="fee")


def test_an_intermediary_or_a_hospital_may_be_an_author_too():
    for author in ("narae", "aram"):
        quote(royalties=(replace(TEMPLATE, to=author),)).check()


def test_an_offer_costs_at_most_its_price_and_its_blocks():
    line = Offer(hospital="a", price_list="d", won=100, covers=10, block_won=7, blocks=3, weight=1)
    assert line.most_won == 121
