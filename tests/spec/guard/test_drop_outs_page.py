"""`docs/drop-outs.md` is what the code tolerates, printed. Run this file to write the page anew:

python tests/spec/guard/test_drop_outs_page.py > docs/drop-outs.md
"""

import sys
from bisect import bisect_right
from itertools import combinations
from pathlib import Path

import pytest
from scipy.stats import hypergeom

from dure.guard.neighbours import COMPLETE_TO, DEGREE, FEW, holding, threshold, tolerated
from dure.study.protocol.batch import holders, warning

PAGE = Path(__file__).parents[3] / "docs" / "drop-outs.md"
SIZES = (3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 40, 60, 80, 100, 150, 200, 201, 300, 500, 1000, 2000)
RISK = 2**-20
HEAD = f"""# Drop-outs

How many hospitals of a masked total may be lost, by the number of hospitals that take part. Made from
`dure.guard.neighbours` by `python tests/spec/guard/test_drop_outs_page.py`; the choice of threshold and neighbours is argued in
[ADR 5](adr/0005-secure-summation.md).

A hospital shares its secrets among its *holders*: all hospitals, or, of more than {COMPLETE_TO}, {DEGREE} random neighbours and itself. Of the holders of every hospital more than two thirds
must help to open a sum. *May drop out* counts hospitals that sent their keys and then nothing more, whichever they are; *at random* is how many may be lost by chance so that a
sum still opens but with 2^-20. A hospital that comes back, killed or cut off, is no drop-out: it goes on where it was.

After the first sum of a run nobody may drop out: a sum with a hospital and one without it would subtract to it, so the run ends, unless as many leave together as a total needs
(three by default). With fewer than {FEW} hospitals hardly one may be lost: `dure study check` and `dure study watch` say so to the asker, the study's page shows it, and the hub writes it into its log.

| hospitals | neighbours of each | holders | must help | may drop out | at random |
|---|---|---|---|---|---|
"""


def at_random(parties: int) -> int:
    """How many of so many hospitals may be lost by chance, and each one's holders are still enough but with RISK."""
    least, fewest = threshold(holding(parties)), tolerated(parties)
    if holding(parties) == parties:
        return fewest

    def stuck(lost: int) -> float:
        return float(parties * hypergeom.cdf(least - 2, parties - 1, parties - 1 - lost, DEGREE))

    return bisect_right(range(parties), RISK, lo=fewest, key=stuck) - 1


def page() -> str:
    """The page as it must be."""
    return HEAD + "".join(
        f"| {n:,} | {holding(n) - 1} | {holding(n)} | {threshold(holding(n))} | {tolerated(n)} | {at_random(n)} |\n"
        for n in SIZES
    )


def test_the_page_is_what_the_code_tolerates():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python tests/spec/guard/test_drop_outs_page.py > docs/drop-outs.md"
    )


@pytest.mark.parametrize("count", range(1, 10))
def test_so_many_may_drop_out_whichever_they_are_and_one_more_is_too_many(count):
    names = tuple(f"h{number}" for number in range(count))
    near = holders(names, bytes(32))

    def opens(gone):
        return all(len(set(held) - set(gone)) >= threshold(len(held)) for held in near.values())

    assert all(opens(gone) for gone in combinations(names, tolerated(count)))
    assert not any(opens(gone) for gone in combinations(names, tolerated(count) + 1))


def test_of_many_the_worst_drop_outs_are_one_hospital_s_neighbours():
    names = tuple(f"h{number:04}" for number in range(COMPLETE_TO + 100))
    near = holders(names, bytes(32))
    assert {len(held) for held in near.values()} == {holding(len(names))}
    worst = near[names[0]][: tolerated(len(names))]
    assert all(len(set(held) - set(worst)) >= threshold(len(held)) for held in near.values())
    worse = near[names[0]][: tolerated(len(names)) + 1]
    assert len(set(near[names[0]]) - set(worse)) < threshold(len(near[names[0]]))


def test_of_few_hospitals_the_asker_and_the_operator_are_warned():
    assert [bool(warning(count)) for count in range(1, 8)] == [True] * (FEW - 1) + [False] * (8 - FEW)
    assert warning(4) == "Only 4 hospitals take part: the total is lost if more than 1 of them drop out."


if __name__ == "__main__":
    sys.stdout.write(page())
