"""`docs/releases.md` says what each statistic releases, read off its layout. Run this file to write the page anew:

python tests/spec/stats/test_releases.py > docs/releases.md
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from dure.guard.register import (
    BOUNDS,
    BY_HOSPITAL_BESIDE,
    COMBINATION,
    CONCENTRATION,
    CONSISTENT,
    LAWFUL_STATE,
    LEAST_HOSPITALS,
    LEAST_PEOPLE,
    MASKS,
    NOISE,
    NOISE_BUDGET,
    REGISTER,
    ROUNDING,
    SAME_ROSTER,
    SATURATION,
    SMALL_DIFFERENCE,
)
from dure.stats import ALL
from dure.stats.balance import BalanceParams
from dure.stats.base import Nothing
from dure.stats.characteristics import CharacteristicsParams
from dure.stats.conditional import ConditionalParams
from dure.stats.conditional_kernel import Ties
from dure.stats.counts import CountsParams
from dure.stats.covariance import CovarianceParams
from dure.stats.cox_lasso import CoxLassoParams
from dure.stats.cox_model import Clock, CoxParams
from dure.stats.cox_one_baseline import OneBaselineParams
from dure.stats.design import binary, continuous
from dure.stats.families import Family
from dure.stats.fine_gray import FineGrayParams
from dure.stats.glm_model import GlmParams
from dure.stats.hospital_strata import HospitalStrataParams, Measure
from dure.stats.lasso import LassoParams
from dure.stats.log_rank import LogRankParams
from dure.stats.mixed_model import MixedModelParams
from dure.stats.moments import MomentsParams
from dure.stats.pathways import PathwaysParams
from dure.stats.profile import ProfileParams
from dure.stats.quantiles import QuantilesParams
from dure.stats.rates import RatesParams
from dure.stats.risk_table import RiskTableParams
from dure.stats.score_table import ScoreTableParams
from dure.stats.strata import Strata
from dure.stats.two_by_two import TwoByTwoParams
from dure.stats.weighted_rates import WeightedRatesParams
from dure.wire import ring
from dure.wire.rules import Mode

PAGE = Path(__file__).parents[3] / "docs" / "releases.md"
EVERYWHERE = (BOUNDS, CONSISTENT, SMALL_DIFFERENCE, BY_HOSPITAL_BESIDE)
IN_TOTAL = (LEAST_HOSPITALS, MASKS, SAME_ROSTER, COMBINATION)
WITH_NOISE = (NOISE, NOISE_BUDGET)
IN_BY_HOSPITAL = (ROUNDING,)
SQUARE = "p·(p+1)/2"


def covariates(p):
    """Eight 0/1 for every two numbers."""
    return tuple(continuous(f"q{j}", 0, 100) if j % 5 == 4 else binary(f"x{j}") for j in range(p))


def named(word, count):
    return tuple(f"{word} {number}" for number in range(count))


def strata(word, count):
    return Strata(name=word, levels=named(word, count))


@dataclass(frozen=True, kw_only=True)
class Example:
    """A statistic as it might be asked.

    Attributes:
        of: what it is asked about, with its sizes by letter.
        grows: how many numbers each field has, by those letters.
        tells: what the numbers say beyond the estimate.
    """

    of: str
    sizes: Mapping[str, int]
    make: Callable[..., Any]
    grows: Mapping[str, str]
    tells: str


EXAMPLES = {
    "balance": Example(
        of="g groups, p covariates",
        sizes={"g": 2, "p": 10},
        make=lambda g, p: BalanceParams(
            groups=named("group", g), covariates=covariates(p), largest_weight=10
        ),
        grows={"people": "g", "weights": "g", "squares": "g", "amounts": "g·p"},
        tells="With weights of 1, how many have each covariate.",
    ),
    "characteristics": Example(
        of="g groups, p covariates, one of them a number up to 120",
        sizes={"g": 2, "p": 10},
        make=lambda g, p: CharacteristicsParams(
            groups=named("group", g),
            covariates=named("x", p),
            measured={p - 1: 120.0},
            partitions=((0, 1),),
            nested=(),
        ),
        grows={"people": "g·(p+1)", "total up to 120": "g", "squares up to 120": "g"},
        tells="Nothing but these numbers.",
    ),
    "conditional": Example(
        of="p covariates",
        sizes={"p": 10},
        make=lambda p: ConditionalParams(covariates=covariates(p), ties=Ties.EFRON),
        grows={
            "people": "1",
            "strata": "1",
            "events": "1",
            "value": "1",
            "observed": "p",
            "expected": "p",
            "information": SQUARE,
            "constant": "p",
            "separated": "p",
        },
        tells="Of few 0/1 covariates, in many rounds, how many strata have each combination.",
    ),
    "counts": Example(
        of="a funnel of s stages, a breakdown of l levels",
        sizes={"s": 3, "l": 10},
        make=lambda s, l: CountsParams(stages=named("stage", s), strata=(strata("age", l),)),
        grows={"people": "s+l"},
        tells="Nothing but these numbers.",
    ),
    "covariance": Example(
        of="p variables",
        sizes={"p": 10},
        make=lambda p: CovarianceParams(variables=covariates(p)),
        grows={"people": "1", "products": "(p+1)·(p+2)/2"},
        tells="How many have each pair of 0/1 variables.",
    ),
    "cox": Example(
        of="p covariates, with robust and clustered errors and the test of proportional hazards",
        sizes={"p": 10},
        make=lambda p: CoxParams(
            covariates=covariates(p), robust=True, clustered=True, clock=Clock(scale="log", horizon=3650)
        ),
        grows={
            "people": "1",
            "events": "1",
            "value": "1",
            "observed": "p",
            "expected": "p",
            "squares": SQUARE,
            "between": SQUARE,
            "constant": "p",
            "separated": "p",
            "meat": SQUARE,
            "cluster": SQUARE,
            "trend observed": "p",
            "trend expected": "p",
            "trend squares": SQUARE,
            "trend between": SQUARE,
            "trend squared squares": SQUARE,
            "trend squared between": SQUARE,
        },
        tells="No time and no risk set. Of few 0/1 covariates, in many rounds, how many people have each combination. `cluster`, of"
        " few hospitals, how far they are apart.",
    ),
    "cox_lasso": Example(
        of="p covariates, in folds",
        sizes={"p": 10},
        make=lambda p: CoxLassoParams(covariates=covariates(p), penalties=(0.1, 0.01), folds=5),
        grows={
            "people": "3",
            "value": "1",
            "observed": "p+1",
            "expected": "p+1",
            "squares": "p+1",
            "value of everyone": "1",
            "everyone": "2·p+3",
        },
        tells="How many have each 0/1 covariate, with the event and without; no pair of covariates, no time, no risk set.",
    ),
    "cox_one_baseline": Example(
        of="p covariates, t intervals, delayed entry",
        sizes={"p": 10, "t": 12},
        make=lambda p, t: OneBaselineParams(
            model=CoxParams(covariates=covariates(p), delayed=True), intervals=t
        ),
        grows={
            "event people": "t",
            "left people": "t",
            "event covariates": "t·p",
            "event 0": "t",
            "event 1": "t·p",
            "left 0": "t",
            "left 1": "t·p",
            "came 0": "t",
            "came 1": "t·p",
            "squares": SQUARE,
            "constant": "p",
            "separated": "p",
        },
        tells="The baseline hazard. In many rounds, how covariates are distributed among those who come, leave or have the event in an"
        " interval: k or more each, or there is no fit.",
    ),
    "fine_gray": Example(
        of="p covariates",
        sizes={"p": 10},
        make=lambda p: FineGrayParams(covariates=covariates(p)),
        grows={
            "people": "1",
            "events": "1",
            "competing": "1",
            "value": "1",
            "observed": "p",
            "expected": "p",
            "squares": SQUARE,
            "between": SQUARE,
            "constant": "p",
            "separated": "p",
            "meat": SQUARE,
        },
        tells="As `cox`; beside a `cox` of the same people, sums over those with a competing event.",
    ),
    "glm": Example(
        of="p covariates, with robust and clustered errors",
        sizes={"p": 10},
        make=lambda p: GlmParams(
            family=Family.BINOMIAL, covariates=covariates(p), robust=True, clustered=True
        ),
        grows={
            "people": "3",
            "weight": "1",
            "value": "1",
            "saturated": "1",
            "pearson": "1",
            "observed": "p+1",
            "expected": "p+1",
            "information": "(p+1)·(p+2)/2",
            "constant": "p+1",
            "separated": "p+1",
            "meat": "(p+1)·(p+2)/2",
            "cluster": "(p+1)·(p+2)/2",
        },
        tells="How many have each pair of 0/1 covariates. `cluster`, of few hospitals, how far they are apart; `constant` and"
        " `separated` at how many hospitals a covariate doesn't vary or makes the outcome certain.",
    ),
    "glm, hospital_intercepts": Example(
        of="p covariates, an intercept for each hospital",
        sizes={"p": 10},
        make=lambda p: GlmParams(family=Family.BINOMIAL, covariates=covariates(p), hospital_intercepts=True),
        grows={
            "people": "3",
            "weight": "1",
            "value": "1",
            "saturated": "1",
            "pearson": "1",
            "observed": "p",
            "expected": "p",
            "information": SQUARE,
            "constant": "p",
            "separated": "p",
            "hospitals": "1",
            "taken out": SQUARE,
        },
        tells="As above; the intercepts stay at the hospitals.",
    ),
    "hospital_strata": Example(
        of="risks",
        sizes={},
        make=lambda: HospitalStrataParams(measure=Measure.RISK),
        grows={"people": "4", "terms": "15"},
        tells="Nothing of one stratum: terms are added over all.",
    ),
    "lasso": Example(
        of="p covariates, in folds",
        sizes={"p": 10},
        make=lambda p: LassoParams(
            family=Family.BINOMIAL, covariates=covariates(p), penalties=(0.1, 0.01), folds=5
        ),
        grows={
            "people": "3",
            "value": "1",
            "observed": "p+1",
            "expected": "p+1",
            "own": "p+1",
            "crossed": "p+1",
            "held out": "1",
            "everyone": "2·p+3",
        },
        tells="How many have each 0/1 covariate, with the outcome and without; no pair of covariates.",
    ),
    "log_rank": Example(
        of="g groups",
        sizes={"g": 3},
        make=lambda g: LogRankParams(groups=strata("arm", g)),
        grows={"observed": "g", "expected": "g", "variance": "g·(g+1)/2"},
        tells="No time.",
    ),
    "mixed_model": Example(
        of="p covariates",
        sizes={"p": 10},
        make=lambda p: MixedModelParams(outcome=continuous("y", 0, 90), covariates=covariates(p)),
        grows={
            "people": "1",
            "hospitals": "1",
            "products": "(p+2)·(p+3)/2",
            "taken": "(p+2)·(p+3)/2",
            "first": "(p+2)·(p+3)/2",
            "second": "(p+2)·(p+3)/2",
            "log 0": "1",
            "log 1": "1",
            "log 2": "1",
            "constant": "p+1",
        },
        tells="How many have each pair of 0/1 covariates. Of few hospitals, in its rounds, their sizes and means.",
    ),
    "moments": Example(
        of="g groups, p variables of which q are numbers",
        sizes={"g": 2, "p": 10, "q": 2},
        make=lambda g, p, q: MomentsParams(
            variables=covariates(p), groups=named("group", g), largest_weight=10
        ),
        grows={
            "people": "g·p",
            "missing": "g·p",
            "ones": "g·(p-q)",
            "amounts": "g·q",
            "powers": "4·g·q",
            "weights": "2·g·p",
            "weighted powers": "2·g·p",
        },
        tells="Nothing but these numbers.",
    ),
    "pathways": Example(
        of="3 different steps, up to 3 in a sequence",
        sizes={},
        make=lambda: PathwaysParams(steps=("a", "b", "c"), depth=3, repeats=False),
        grows={"people": "26"},
        tells="Nothing but these numbers.",
    ),
    "profile": Example(
        of="p covariates",
        sizes={"p": 10},
        make=lambda p: ProfileParams(model=ConditionalParams(covariates=covariates(p), ties=Ties.BRESLOW)),
        grows={"people": "1", "values": "8", "slopes": "8"},
        tells="Of a hospital's curve, with few events, about how many are exposed.",
    ),
    "quantiles": Example(
        of="b parts a round, over 16,384 values",
        sizes={"b": 8},
        make=lambda b: QuantilesParams(low=0, high=16_384, bins=b, share=0.5),
        grows={"people": "b+4"},
        tells="To the hub, the histogram of each round, ever finer about the quantile.",
    ),
    "rates": Example(
        of="a breakdown of l levels",
        sizes={"l": 10},
        make=lambda l: RatesParams(strata=(strata("age", l),)),
        grows=dict.fromkeys(
            ("people", "cases", "outcomes", "squares of outcomes", "days", "squares of days"), "l+1"
        ),
        tells="Nothing but these numbers. Squares are judged and not reported.",
    ),
    "risk_table": Example(
        of="c causes, a breakdown of l levels, at most t intervals",
        sizes={"c": 2, "l": 2, "t": 60},
        make=lambda c, l, t: RiskTableParams(
            edges=tuple(range(t + 1)), causes=c, breakdowns=(strata("arm", l),)
        ),
        grows={"people": "2·t·(l+1)·(c+1)"},
        tells="That at a place nearer to the middle of an interval than its cut some number was small. To the hub, people at every"
        " place that was tried; the table is of the last grid.",
    ),
    "score_table": Example(
        of="m parts at the finest",
        sizes={"m": 64},
        make=lambda m: ScoreTableParams(cuts=m.bit_length() - 1),
        grows={"people": "2·m", "scores": "2·m", "squares": "2·m"},
        tells="As `risk_table`.",
    ),
    "two_by_two": Example(
        of="l strata",
        sizes={"l": 10},
        make=lambda l: TwoByTwoParams(strata=strata("age", l)),
        grows={"people": "4·l"},
        tells="Nothing but these numbers.",
    ),
    "weighted_rates": Example(
        of="g groups, t intervals",
        sizes={"g": 2, "t": 4},
        make=lambda g, t: WeightedRatesParams(
            groups=named("group", g), edges=tuple(range(t + 1)), largest_weight=10
        ),
        grows=dict.fromkeys(
            ("people", "events", "exposure", "squares", "weighted events", "event squares", "cross"), "g·t"
        ),
        tells="Nothing but these numbers.",
    ),
}


def grown(formula, sizes):
    """A formula at some sizes."""
    return int(eval(formula.replace("·", "*"), {"__builtins__": {}}, dict(sizes)))


def statistic_of(name):
    return ALL[name.split(",")[0]]


def parts_of(kind):
    """A message's fields; of those that are messages, their fields too."""
    told = []
    for name, hint in get_type_hints(kind).items():
        inner = next((each for each in (hint, *get_args(hint)) if is_dataclass(each)), None)
        if name.startswith("_") or name not in {each.name for each in fields(kind)}:
            continue
        told.append(f"{name} ({', '.join(each.name for each in fields(inner))})" if inner else name)
    return ", ".join(told)


def amount(value):
    """A bound as people write it."""
    return f"{value:,.0f}" if value < 1e6 and value == int(value) else f"{value:.3g}"


def size(count):
    return f"{count:,} bytes" if count < 10_000 else f"{count / 1024:,.0f} KiB"


def section(name):
    """One statistic's part of the page."""
    statistic, example = statistic_of(name), EXAMPLES[name]
    params = example.make(**example.sizes)
    layout = statistic.layout(params)
    together = {cell for group in layout.together for cell in group}
    sizes = ", ".join(f"{letter} = {value}" for letter, value in example.sizes.items())
    rounds = statistic.rounds(params)
    support = len(ring.to_bytes(np.zeros((len(layout.cells), 2), dtype=np.uint64)))
    values = len(ring.to_bytes(np.zeros((layout.size, 2), dtype=np.uint64)))
    sent = [
        f"`total`: {size(support)} and {size(values)}" if Mode.TOTAL in statistic.modes else "",
        f"`by_hospital`: {size(support + values + -(-len(layout.cells) // 8))}"
        if Mode.BY_HOSPITAL in statistic.modes
        else "",
    ]
    yield f"## `{name}`"
    yield ""
    yield (
        f"Of {example.of}{f' ({sizes})' if sizes else ''}: {len(layout.cells):,} cells, {len(layout.relations):,} relations,"
        f" {layout.size:,} numbers a round; {f'at most {rounds} rounds' if rounds > 1 else '1 round'}. A hospital sends each round in"
        f" {'; in '.join(filter(None, sent))}."
    )
    yield ""
    yield "| field | kind | a sum over | numbers | here | cells | a person adds at most | where a cell is hidden | rounded |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for each in layout.fields:
        cells = set(each.rests_on.ravel().tolist())
        hidden = "with its group" if cells & together else "by itself"
        rounded = "no" if each.scale else "yes" if each.grain == 1 else f"yes, in {each.grain}s"
        rounded = "-" if Mode.BY_HOSPITAL not in statistic.modes else rounded
        yield (
            f"| {each.name} | {each.kind} | {each.unit} | {example.grows[each.name]} | {each.size:,} | {len(cells):,} |"
            f" {amount(each.bound)} | {hidden} | {rounded} |"
        )
    yield ""
    told = "nothing" if statistic.state is Nothing else parts_of(statistic.state)
    yield f"*Hospitals are told each round*: {told}. *The asker reads*: {parts_of(statistic.result)}."
    yield ""
    yield f"*What that tells beyond the estimate*: {example.tells}"
    yield ""


HEAD = f"""# What each statistic releases

Made by `python tests/spec/stats/test_releases.py > docs/releases.md` from the layouts themselves; a test holds it to them. What a statistic
is exact for stands in [statistics.md](statistics.md), what each rule stops in [disclosure.md](disclosure.md).

## Who learns what

The same for every statistic, because there is one gate and one way in which a run is carried on.

| | in `total` | in `by_hospital` |
|---|---|---|
| a hospital | its own numbers; what hospitals are told (below); results of earlier steps where a step needs them. Nothing of another hospital | the same |
| the hub | each round: the network's people behind every cell (also of cells that stay shut: it finds them under the threshold), and the network's sums of open cells. No hospital's part: both are added under masks | each hospital's shown numbers, after its own gate; no hidden ones |
| the asker | the result (below), as the report shows it: computed of open cells of the last round, and the path of rounds where one is listed | each hospital's result |

**Which rule covers which number.** Every number of every field: {", ".join(f"`{rule.id}`" for rule in EVERYWHERE)}, and
`{LEAST_PEOPLE.id}` of the cell that it rests on and of all cells that could be had by subtraction. In `total` also
{", ".join(f"`{rule.id}`" for rule in IN_TOTAL)}; in `by_hospital` `{ROUNDING.id}` where the last column says so. A
statistic of several rounds: `{LAWFUL_STATE.id}` too; a model that is solved for coefficients: `{SATURATION.id}`; a quantity with its squares
beside it: `{CONCENTRATION.id}`. In `total` the hub also gets, with the first support of a step,
how many hospitals' people differ by how few from those of earlier answers (at most k a hospital and answer; [disclosure](disclosure.md)).
Where the permits want noise, {" and ".join(f"`{rule.id}`" for rule in WITH_NOISE)} hold instead of what is said of differences and combinations: all that the hub gets carries it ([noise](noise.md)).

**How to read the tables.** *numbers*: how many the field has, by the sizes of the example; *here*: at these sizes. *cells*: how many
different groups of people they rest on. *where a cell is hidden*: its numbers are hidden by themselves, or with its whole group, because they speak
of the others too. Whether a statistic then gives an estimate without them is its own business; most don't. *rounded*: in `by_hospital`, to the permit's
multiple; fractions aren't. A number takes 16 bytes, masked or not; masks add what [protocol.md](protocol.md) says.

"""


def page():
    """The page as it must be."""
    return HEAD + "\n".join(line for name in EXAMPLES for line in section(name))


def test_the_page_says_what_is_released():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python tests/spec/stats/test_releases.py > docs/releases.md"
    )


def test_every_statistic_is_on_the_page_and_every_rule():
    assert {name.split(",")[0] for name in EXAMPLES} == set(ALL)
    assert {
        LEAST_PEOPLE,
        LAWFUL_STATE,
        SATURATION,
        CONCENTRATION,
        *EVERYWHERE,
        *IN_TOTAL,
        *WITH_NOISE,
        *IN_BY_HOSPITAL,
    } == set(REGISTER)


@pytest.mark.parametrize("name", EXAMPLES)
def test_fields_grow_as_the_page_says(name):
    example, statistic = EXAMPLES[name], statistic_of(name)
    larger = {letter: value * 2 for letter, value in example.sizes.items()}
    for sizes in (example.sizes, larger):
        layout = statistic.layout(example.make(**sizes))
        assert {each.name for each in layout.fields} == set(example.grows)
        for each in layout.fields:
            assert each.size == grown(example.grows[each.name], sizes), each.name


if __name__ == "__main__":
    sys.stdout.write(page())
