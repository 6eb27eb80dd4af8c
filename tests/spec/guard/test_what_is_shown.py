"""People in, what is shown out, at k = 11. A dash is a hidden number."""

import numpy as np
import pytest

from dure.guard.suppression import _judged, open_cells
from dure.stats.counts import Counts, CountsParams
from dure.stats.rates import Rates, RatesParams
from dure.stats.strata import Strata
from dure.wire.sums import Field, FieldKind, Layout, Relation, Unit

SEX = Strata(name="sex", levels=("f", "m", "other"))
FUNNEL = Counts().layout(CountsParams(stages=("event", "adult", "in"), strata=(SEX,)))
CASES = Rates().layout(RatesParams(strata=(SEX,)))
# stages event, adult, in | f, m, other
FUNNELS = [
    ("everything is large", "100 80 60 | 30 30 0", "100 80 60 | 30 30 0"),
    ("a small level takes another with it", "100 80 60 | 50 7 3", "100 80 60 | - - -"),
    (
        "two small levels that are eleven together protect each other",
        "100 80 60 | 48 6 6",
        "100 80 60 | 48 - -",
    ),
    ("few are lost between two stages", "100 97 60 | 30 30 0", "100 - 60 | 30 30 0"),
    ("the cohort itself is small", "100 80 5 | 3 2 0", "100 80 - | - - 0"),
    ("nobody at all", "0 0 0 | 0 0 0", "0 0 0 | 0 0 0"),
]
# at risk: all f m other | cases: all f m other
RATES = [
    ("everything is large", "200 100 100 0 | 60 30 30 0", "200 100 100 0 | 60 30 30 0"),
    ("few cases in one level", "200 100 100 0 | 60 55 5 0", "200 100 100 0 | 60 - - 0"),
    ("nearly everyone is a case", "200 100 100 0 | 125 95 30 0", "200 100 100 0 | 125 - - 0"),
]


def shown(layout, people):
    support = np.array(people)
    opened = open_cells(layout, support, 11)
    return [str(n) if is_open else "-" for n, is_open in zip(people, opened, strict=True)]


@pytest.mark.parametrize(("says", "people", "expected"), FUNNELS, ids=[row[0] for row in FUNNELS])
def test_funnels(says, people, expected):
    stages, levels = ([int(n) for n in part.split()] for part in people.split("|"))
    lost = [stages[0] - stages[1], stages[1] - stages[2]]
    assert shown(FUNNEL, [*stages, *levels, *lost])[:6] == expected.replace("|", "").split()


@pytest.mark.parametrize(("says", "people", "expected"), RATES, ids=[row[0] for row in RATES])
def test_rates(says, people, expected):
    risk, cases = ([int(n) for n in part.split()] for part in people.split("|"))
    rest = [a - b for a, b in zip(risk, cases, strict=True)]
    assert shown(CASES, [*risk, *cases, *rest])[:8] == expected.replace("|", "").split()


# Cells 0 (everyone) = 1 + 2, and 3 that stands alone; 1 is never shown. 0, 1 and 2 are shown together.
TOGETHER = Layout(
    cells=("everyone", "left", "right", "alone"),
    relations=(Relation(whole=0, parts=(1, 2)),),
    fields=(Field(name="n", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=np.array([0, 2, 3])),),
    together=((0, 1, 2),),
)
GROUPS = [
    ("everything is large", [50, 30, 20, 40], "50 - 20 40"),
    ("a small cell of the group that is itself never shown", [25, 5, 20, 40], "- - - 40"),
    ("a small cell elsewhere", [50, 30, 20, 3], "50 - 20 -"),
    ("nobody in one of them", [50, 0, 50, 40], "50 - 50 40"),
]


@pytest.mark.parametrize(("says", "people", "expected"), GROUPS, ids=[row[0] for row in GROUPS])
def test_cells_that_are_shown_together_are_hidden_together(says, people, expected):
    assert shown(TOGETHER, people) == expected.split()


def test_a_group_of_which_one_is_hidden_for_another_sake_is_hidden():
    """25 = 5 + 20 stands beside the group: 20 is hidden for the 5's sake, and what is shown with it goes too."""
    layout = Layout(
        cells=("whole", "few", "rest", "elsewhere"),
        relations=(Relation(whole=0, parts=(1, 2)),),
        fields=(Field(name="n", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=np.arange(4)),),
        together=((2, 3),),
    )
    assert shown(layout, [25, 5, 20, 40])[1:] == ["-", "-", "-"]


@pytest.mark.parametrize("people", ["100 80 60 | 48 6 6", "100 80 60 | 49 6 5", "100 80 60 | 50 7 3"])
def test_a_verdict_is_kept_for_exactly_its_question(people):
    """One person more or less, another k or another layout, asked right after: each gets the verdict that it would have had first."""
    stages, levels = ([int(n) for n in part.split()] for part in people.split("|"))
    support = np.array([*stages, *levels, stages[0] - stages[1], stages[1] - stages[2]])
    moved = support.copy()
    moved[[3, 4]] += [5, -5] if moved[4] > 5 else [-5, 5]
    other = Layout(cells=FUNNEL.cells, relations=(), fields=FUNNEL.fields)
    questions = [(FUNNEL, support, 11), (FUNNEL, moved, 11), (FUNNEL, support, 5), (other, support, 11)]
    first = []
    for question in questions:
        _judged.cache_clear()
        first.append(open_cells(*question).tolist())
    _judged.cache_clear()
    for _ in range(2):
        assert [open_cells(*question).tolist() for question in questions] == first
    assert _judged.cache_info().hits == len(questions)
    assert len({tuple(verdict) for verdict in first}) > 1


def test_a_kept_verdict_cannot_be_changed_by_whoever_got_it():
    support = np.array([100, 80, 60, 48, 6, 6, 20, 20])
    before = open_cells(FUNNEL, support, 11)
    changed = open_cells(FUNNEL, support, 11)
    changed[:] = True
    assert (open_cells(FUNNEL, support, 11) == before).all()
