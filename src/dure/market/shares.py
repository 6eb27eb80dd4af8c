"""How an amount is divided among hospitals: rules, and whole won by largest remainder.

In `total` mode nothing but what the market itself publishes may weigh: each one's listed price, one each, or bands of the published
profile. Intervals by hospital exist in `by_hospital` only; there a hospital may be paid for what its answer told: its information (1/SE²), or its
Shapley value where what hospitals tell isn't added up but overlaps. An exact count, or a hidden one, weighs nowhere: a payment that
depended on it would publish it.

Responsible for: weights and won. Not responsible for: amounts (`bill`), the released numbers (`dure.study.report`).
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction

from dure.market.problems import BadTerms
from dure.study.report import Report, Table
from dure.wire.codec import message
from dure.wire.rules import Mode

MOST_EXACT = 16
"""Hospitals up to which every coalition is counted; beyond, orders are drawn."""
ORDERS = 2000
FINE = 10**24
"""The information of the hospital that tells most, in whole units: square roots of sums of it are good to 12 digits."""


class Rule(StrEnum):
    """By what hospitals share what a delivery earns."""

    LISTED = "listed"
    EQUAL = "equal"
    BANDS = "bands"
    INFORMATION = "information"
    SHAPLEY = "shapley"


NEEDS_HOSPITALS = frozenset({Rule.INFORMATION, Rule.SHAPLEY})


@message
class Band:
    """From so many people, as a board published them (rounded), a hospital weighs this much."""

    people: int
    weight: int


@message
class Split:
    """A rule with what it reads.

    Attributes:
        bands: BANDS: in rising order, the first from 0 people.
        table, low, high: INFORMATION and SHAPLEY: a table of the report with a column `hospital`, and its columns of an interval's ends.
        log: whether the interval is that of a ratio, which is symmetric in logarithms.
    """

    rule: Rule
    bands: tuple[Band, ...] = ()
    table: str = ""
    low: str = ""
    high: str = ""
    log: bool = False

    def check(self, mode: Mode) -> None:
        """Raise BadTerms where it reads what the mode doesn't release, or lacks what it reads."""
        if self.rule in NEEDS_HOSPITALS and mode is not Mode.BY_HOSPITAL:
            raise BadTerms(
                f"A split by {self.rule} needs each hospital's released numbers, and `total` releases none.",
                where="split",
                mend="Split equally, by listed prices, or by bands of the published profile.",
            )
        if (self.rule in NEEDS_HOSPITALS) != bool(self.table and self.low and self.high):
            raise BadTerms(
                "A table and the ends of an interval are read for information and Shapley values, and for nothing else.",
                where="split",
                mend="Name table, low and high, or another rule.",
            )
        people = [band.people for band in self.bands]
        lawful = people[:1] == [0] and people == sorted(set(people)) and all(b.weight > 0 for b in self.bands)
        if (self.rule is Rule.BANDS) != bool(self.bands) or (self.bands and not lawful):
            raise BadTerms(
                "Bands start at 0 people, rise, and weigh more than nothing; only a split by bands has them.",
                where="split",
                mend="Put the bands in order.",
            )

    def weight(self, people_about: int | None) -> int:
        """A hospital's weight by its published profile; one that published nothing is in the first band."""
        if self.rule is not Rule.BANDS:
            return 1
        return [band.weight for band in self.bands if band.people <= (people_about or 0)][-1]


def divide(won: int, weights: Mapping[str, int | Fraction]) -> dict[str, int]:
    """`won` by weights, in whole won that add up: each the part below its share, and one more for the largest remainders.

    Equal remainders go by name. Where all weights are 0, everybody weighs the same.

    Raises:
        BadTerms: nobody to divide among, or a negative amount or weight.
    """
    if not weights or won < 0 or min(weights.values()) < 0:
        raise BadTerms(
            f"{won:,} won can't be divided by these weights.",
            where="split",
            mend="Give one hospital or more, and no weight below 0.",
        )
    whole = sum(weights.values(), Fraction(0))
    shares = {
        name: Fraction(won) * weight / whole if whole else Fraction(won, len(weights))
        for name, weight in weights.items()
    }
    out = {name: math.floor(share) for name, share in shares.items()}
    order = sorted(shares, key=lambda name: (out[name] - shares[name], name))
    for name in order[: won - sum(out.values())]:
        out[name] += 1
    return out


def information(split: Split, report: Report, hospitals: Iterable[str]) -> dict[str, Fraction]:
    """What each hospital's released intervals tell: 1/SE² in the unit in which an interval's width is its SE.

    Intervals of 95 % are 2 x 1.96 SE wide, so the unit divides out. A hospital whose interval is hidden, infinite or empty told nothing.
    """
    told = dict.fromkeys(hospitals, Fraction(0))
    for table in report.tables:
        if table.name == split.table:
            for name, low, high in _ends(split, table):
                width = _width(low, high, split.log)
                if name in told and width is not None:
                    told[name] += 1 / width**2
    return told


def _ends(split: Split, table: Table) -> list[tuple[object, object, object]]:
    missing = {"hospital", split.low, split.high} - set(table.columns)
    if missing:
        raise BadTerms(
            f"The table {table.name!r} has no column {', '.join(sorted(missing))}.",
            where="split",
            mend="Name columns that the kind of study has (docs/questions.md).",
        )
    places = [table.columns.index(name) for name in ("hospital", split.low, split.high)]
    return [(row[places[0]], row[places[1]], row[places[2]]) for row in table.rows]


def _width(low: object, high: object, log: bool) -> Fraction | None:
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high or (log and low <= 0):
        return None
    # Logarithms of two machines may differ in the last digit: nine are kept, so that all come to the same won.
    width = Fraction(round(math.log(high / low), 9)) if log else Fraction(high) - Fraction(low)
    return width if width > 0 else None


def precision(told: Mapping[str, Fraction]) -> Callable[[frozenset[str]], int]:
    """What a group of hospitals is worth where its value is the precision 1/SE of their common estimate.

    That is the square root of what they told together: the second hospital adds less than the first.
    """
    most = max(told.values(), default=Fraction(0))
    units = {name: math.floor(part / most * FINE) if most else 0 for name, part in told.items()}

    def worth(group: frozenset[str]) -> int:
        return math.isqrt(sum(units[name] for name in group))

    return worth


def shapley(
    hospitals: Sequence[str], worth: Callable[[frozenset[str]], int], *, seed: bytes
) -> dict[str, Fraction]:
    """Each hospital's mean gain over all orders in which they could have come. The gains add up to the worth of all.

    To 16 hospitals over every coalition; beyond over about 2,000 orders: some are drawn from `seed`, and each is turned until everybody was
    in every place, which is what a gain depends on most. Whoever has the seed draws the same ones.
    """
    if len(hospitals) <= MOST_EXACT:
        return _exact(hospitals, worth)
    gains, count = dict.fromkeys(hospitals, 0), len(hospitals)
    draws = -(-ORDERS // count)
    for number in range(draws):
        order = _shuffled(hospitals, seed + number.to_bytes(4, "big"))
        for turn in range(count):
            group, before = frozenset[str](), worth(frozenset())
            for name in (*order[turn:], *order[:turn]):
                group |= {name}
                now = worth(group)
                gains[name] += now - before
                before = now
    return {name: Fraction(gain, draws * count) for name, gain in gains.items()}


def _exact(hospitals: Sequence[str], worth: Callable[[frozenset[str]], int]) -> dict[str, Fraction]:
    count = len(hospitals)
    worths = [
        worth(frozenset(name for place, name in enumerate(hospitals) if group >> place & 1))
        for group in range(1 << count)
    ]
    ways = [math.factorial(size) * math.factorial(count - size - 1) for size in range(count)]
    gains = dict.fromkeys(hospitals, 0)
    for place, name in enumerate(hospitals):
        bit = 1 << place
        gains[name] = sum(
            ways[group.bit_count()] * (worths[group | bit] - worths[group])
            for group in range(1 << count)
            if not group & bit
        )
    return {name: Fraction(gain, math.factorial(count)) for name, gain in gains.items()}


def _shuffled(names: Sequence[str], seed: bytes) -> list[str]:
    """The names in the order of their hashes with the seed: the same on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(seed + name.encode()).digest())
