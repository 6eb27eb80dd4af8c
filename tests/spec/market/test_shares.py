"""Who gets how many won: rules of division as tables."""

from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from itertools import permutations, product
from math import comb, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.market.problems import BadTerms
from dure.market.shares import Band, Rule, Split, divide, information, precision, shapley
from dure.study.report import Report, Table
from dure.wire.rules import Mode, Rules

BANDS = (Band(people=0, weight=1), Band(people=100_000, weight=2), Band(people=1_000_000, weight=4))


@pytest.mark.parametrize(
    ("won", "weights", "shares"),
    [
        # amount, weights, who gets what
        (100, {"a": 1, "b": 1, "c": 1}, {"a": 34, "b": 33, "c": 33}),
        (10_000_000, {"a": 1, "b": 1, "c": 1}, {"a": 3_333_334, "b": 3_333_333, "c": 3_333_333}),
        (2, {"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1, "c": 0}),
        (10, {"a": 1, "b": 2, "c": 4}, {"a": 1, "b": 3, "c": 6}),
        (0, {"a": 1, "b": 2}, {"a": 0, "b": 0}),
        (7, {"a": 0, "b": 5}, {"a": 0, "b": 7}),
        (7, {"a": 0, "b": 0}, {"a": 4, "b": 3}),
        (1, {"b": Fraction(1, 3), "a": Fraction(1, 3)}, {"a": 1, "b": 0}),
    ],
)
def test_won_by_largest_remainder(won, weights, shares):
    assert divide(won, weights) == shares


@pytest.mark.parametrize(("won", "weights"), [(1, {}), (-1, {"a": 1}), (1, {"a": 2, "b": -1})])
def test_what_cannot_be_divided(won, weights):
    with pytest.raises(BadTerms):
        divide(won, weights)


@settings(max_examples=40)
@given(
    st.integers(0, 10**12),
    st.dictionaries(st.text("abcdef", min_size=1), st.fractions(0, 1000), min_size=1, max_size=40),
)
def test_no_won_is_made_or_lost_and_each_is_within_one_of_its_share(won, weights):
    shares = divide(won, weights)
    whole = sum(weights.values())
    assert sum(shares.values()) == won
    assert shares.keys() == weights.keys()
    for name, share in shares.items():
        exact = won * weights[name] / whole if whole else Fraction(won, len(weights))
        assert abs(share - exact) < 1
        assert share >= 0


@pytest.mark.parametrize(
    ("people_about", "weight"),
    [(None, 1), (0, 1), (99_000, 1), (100_000, 2), (990_000, 2), (1_000_000, 4), (12_000_000, 4)],
)
def test_bands_read_the_published_profile(people_about, weight):
    assert Split(rule=Rule.BANDS, bands=BANDS).weight(people_about) == weight


READS = {"table": "arms", "low": "low", "high": "high"}


@pytest.mark.parametrize(
    ("split", "total", "by_hospital"),
    [
        # rule, whether it is lawful in each mode
        (Split(rule=Rule.LISTED), True, True),
        (Split(rule=Rule.EQUAL), True, True),
        (Split(rule=Rule.BANDS, bands=BANDS), True, True),
        (Split(rule=Rule.INFORMATION, **READS), False, True),
        (Split(rule=Rule.SHAPLEY, **READS), False, True),
        (Split(rule=Rule.BANDS), False, False),
        (Split(rule=Rule.BANDS, bands=BANDS[1:]), False, False),
        (Split(rule=Rule.BANDS, bands=BANDS[:1] * 2), False, False),
        (Split(rule=Rule.EQUAL, bands=BANDS), False, False),
        (Split(rule=Rule.INFORMATION), False, False),
        (Split(rule=Rule.EQUAL, **READS), False, False),
    ],
)
def test_which_rule_is_lawful_where(split, total, by_hospital):
    for mode, lawful in ((Mode.TOTAL, total), (Mode.BY_HOSPITAL, by_hospital)):
        if lawful:
            split.check(mode)
        else:
            with pytest.raises(BadTerms):
                split.check(mode)


def report(*rows):
    return Report(
        title="t", kind="survival", asker="saebom", mode=Mode.BY_HOSPITAL, rules=Rules(), banners=(), charts=(),
        tables=(
            Table(name="other", title="t", columns=("hospital", "people"), rows=(("a", 50),)),
            Table(name="arms", title="t", columns=("hospital", "low", "high"), rows=rows),
        ),
        methods=(), participation=(), study="s", manifest="m", software="dure", finished=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "log", "told"),
    [
        # released intervals, scale, information in the unit of widths
        ((("a", 1.0, 2.0), ("b", 1.0, 3.0)), False, {"a": 1, "b": Fraction(1, 4)}),
        ((("a", 1, 2), ("a", 4, 6)), False, {"a": Fraction(5, 4), "b": 0}),
        ((("network", 1.0, 2.0), ("a", 1.0, 2.0)), False, {"a": 1, "b": 0}),
        ((("a", None, 2.0), ("b", 1.0, None)), False, {"a": 0, "b": 0}),
        ((("a", 1.0, 1.0), ("b", 2.0, 1.0)), False, {"a": 0, "b": 0}),
        ((("a", 0.0, 2.0), ("b", 0.5, 2.0)), True, {"a": 0, "b": 1 / Fraction(1.386294361) ** 2}),
        ((("a", 1.0, float("inf")), ("b", "1", "2")), False, {"a": 0, "b": 0}),
    ],
)
def test_information_is_read_from_released_intervals_and_a_hidden_one_told_nothing(rows, log, told):
    split = Split(rule=Rule.INFORMATION, log=log, **READS)
    assert information(split, report(*rows), ("a", "b")) == told


def test_a_table_without_the_columns_is_refused():
    split = Split(rule=Rule.INFORMATION, table="other", low="low", high="high")
    with pytest.raises(BadTerms, match="no column high, low"):
        information(split, report(), ("a",))


def by_orders(names, worth):
    """Shapley's value word for word: the mean gain over all orders."""
    gains = dict.fromkeys(names, Fraction(0))
    orders = list(permutations(names))
    for order in orders:
        for place, name in enumerate(order):
            gains[name] += worth(frozenset(order[: place + 1])) - worth(frozenset(order[:place]))
    return {name: gain / len(orders) for name, gain in gains.items()}


WORTHS = st.lists(st.fractions(0, 100), min_size=1, max_size=5)


@given(WORTHS)
@settings(max_examples=40)
def test_the_exact_value_is_the_mean_over_all_orders(parts):
    told = dict(zip("abcde", parts, strict=False))
    worth = precision(told)
    assert shapley(tuple(told), worth, seed=b"") == by_orders(tuple(told), worth)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_where_worths_add_up_the_value_is_the_weight_itself(parts):
    told = dict(zip("abcdefgh", parts, strict=False))
    assert shapley(tuple(told), lambda group: sum(told[name] for name in group), seed=b"") == told


def test_precision_pays_alike_the_same_and_nothing_for_nothing():
    told = {"a": Fraction(4), "b": Fraction(1), "c": Fraction(1), "d": Fraction(0)}
    shares = divide(1_000_000, shapley(tuple(told), precision(told), seed=b""))
    assert shares["b"] in (shares["c"], shares["c"] + 1)
    assert shares["d"] == 0
    assert shares["a"] < 1_000_000 * 4 // 6, "less than its part of the information: what it tells overlaps"


def by_sorts(told, worth):
    """Shapley's value where many hospitals are alike: over how many of each sort came before, not over who."""
    sorts = Counter(told.values())
    values = {}
    for mine in sorts:
        others = sorts - Counter([mine])
        total = Fraction(0)
        for came in product(*(range(number + 1) for number in others.values())):
            size = sum(came)
            ways = prod(comb(number, part) for number, part in zip(others.values(), came, strict=True))
            group = [
                name
                for sort, part in zip(others, came, strict=True)
                for name in [name for name in told if told[name] == sort][:part]
            ]
            after = next(name for name in told if told[name] == mine and name not in group)
            gain = worth(frozenset([*group, after])) - worth(frozenset(group))
            total += ways * gain / Fraction(len(told) * comb(len(told) - 1, size))
        values[mine] = total
    return {name: values[sort] for name, sort in told.items()}


@pytest.mark.parametrize(("count", "off"), [(16, 0), (17, Fraction(2, 100)), (24, Fraction(2, 100))])
def test_many_hospitals_to_16_exactly_and_beyond_within_two_percent(count, off):
    told = {f"h{number:02}": Fraction(1 + number % 3) for number in range(count)}
    worth = precision(told)
    values = shapley(tuple(told), worth, seed=b"contract")
    assert not off or values == shapley(tuple(told), worth, seed=b"contract")
    assert sum(values.values()) == worth(frozenset(told))
    assert sum(divide(10_000_000, values).values()) == 10_000_000
    for name, value in by_sorts(told, worth).items():
        assert abs(values[name] - value) <= off * value, name
