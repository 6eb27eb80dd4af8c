"""Nothing leaves but through the gate, and what it lets through keeps its rules."""

import numpy as np
import pytest

from dure.guard import register
from dure.guard.gate import (
    Release,
    Withheld,
    judge_total,
    judge_values,
    release_hospital,
    release_support,
    release_values,
    spoken_populations,
)
from dure.guard.ledger import Memory
from dure.guard.populations import Past
from dure.stats.base import Answer
from dure.wire import ring
from dure.wire.messages import unpack
from dure.wire.rules import RULES_OFF, Rules
from dure.wire.sums import Field, FieldKind, Layout, Model, Relation, Sums, Unit

LAYOUT = Layout(
    cells=("all", "a", "b", "c"),
    relations=(Relation(whole=0, parts=(1, 2, 3)),),
    fields=(
        Field(name="n", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=np.arange(4)),
        Field(
            name="days", kind=FieldKind.MOMENT, unit=Unit.PERSON, bound=100, rests_on=np.arange(4), grain=365
        ),
    ),
)


def answer(a=40, b=30, c=20, *, days=None, people=None, n=None):
    support = np.array([a + b + c, a, b, c])
    values = {
        "n": support if n is None else np.array(n),
        "days": 7 * support if days is None else np.array(days),
    }
    who = np.arange(a + b + c) if people is None else people
    return Answer(sums=Sums(layout=LAYOUT, values=values), support=support, populations={"all": who})


def by_itself(people):
    """A memory of having given these people's numbers, `by_hospital`."""
    gave = Past(
        ref="",
        size=len(people),
        load=lambda: people,
        members=frozenset("a"),
        outside=frozenset("a"),
        by_hospital=True,
    )
    return Memory(me="a", run="r", step=0, past=[gave], members=frozenset("abc"), outside=frozenset("abc"))


def numbers(release, *, support):
    lanes = ring.integers(ring.from_bytes(release.numbers, len(LAYOUT.cells) * support + LAYOUT.size))
    return lanes.tolist()


def test_nobody_else_makes_a_release():
    with pytest.raises(TypeError):
        Release(layout="", numbers=b"", shown=None, populations=(), seal=object())


def test_support_leaves_as_it_is_in_total():
    assert ring.integers(ring.from_bytes(release_support(LAYOUT, answer()).numbers, 4)).tolist() == [
        90,
        40,
        30,
        20,
    ]


def test_values_of_closed_cells_are_zero_in_the_bytes():
    opened = np.array([True, True, False, False])
    assert numbers(release_values(LAYOUT, answer(), opened), support=0) == [90, 40, 0, 0, 630, 280, 0, 0]


def test_by_hospital_hides_and_rounds_support_and_values_alike():
    released = release_hospital(LAYOUT, answer(44, 33, 3), Rules())
    assert unpack(released.shown, 4, where="test").tolist() == [True, True, False, False]
    assert numbers(released, support=1) == [80, 40, 0, 0, 80, 40, 0, 0, 0, 0, 0, 0]


def test_nobody_is_shown_as_zero_and_a_few_are_hidden():
    released = release_hospital(LAYOUT, answer(44, 33, 0), Rules())
    assert unpack(released.shown, 4, where="test").all()


def test_too_few_is_a_refusal_and_not_a_zero():
    refused = release_hospital(LAYOUT, answer(3, 2, 0), Rules())
    assert isinstance(refused, Withheld)
    assert refused.rule is register.LEAST_PEOPLE


def test_rules_off_hide_and_round_nothing():
    assert numbers(release_hospital(LAYOUT, answer(3, 2, 1), RULES_OFF), support=1)[:4] == [6, 3, 2, 1]


@pytest.mark.parametrize(("dropped", "refused"), [(0, False), (1, True), (10, True), (11, False)])
def test_a_group_that_differs_by_a_few_is_refused(dropped, refused):
    now = answer(a=40 - dropped, people=np.arange(90 - dropped))
    found = release_hospital(LAYOUT, now, Rules(), by_itself(np.arange(90)))
    assert isinstance(found, Withheld) is refused
    if refused:
        assert found.rule is register.SMALL_DIFFERENCE


@pytest.mark.parametrize(
    ("spoiled", "rule"),
    [
        ({"n": [90, 40, 30, -1]}, register.BOUNDS),
        ({"n": [91, 40, 30, 20]}, register.BOUNDS),
        ({"days": [9001, 0, 0, 0]}, register.BOUNDS),
        ({"days": [-9001, 0, 0, 0]}, register.BOUNDS),
    ],
)
@pytest.mark.parametrize("gate", [release_support, lambda *a: release_hospital(*a, Rules())])
def test_impossible_numbers_do_not_leave(spoiled, rule, gate):
    found = gate(LAYOUT, answer(**spoiled))
    assert isinstance(found, Withheld)
    assert found.rule is rule


def test_parts_that_contradict_their_whole_do_not_leave():
    wrong = Answer(sums=answer().sums, support=np.array([90, 40, 30, 21]), populations={"all": np.arange(90)})
    assert release_support(LAYOUT, wrong).rule is register.CONSISTENT


def test_another_layout_does_not_leave():
    other = Layout(cells=LAYOUT.cells, relations=(), fields=LAYOUT.fields)
    assert release_support(other, answer()).rule is register.CONSISTENT


def test_the_network_s_total_opens_what_no_hospital_could_show():
    """Three patients in each of twenty hospitals are sixty patients."""
    support = 20 * np.array([9, 3, 3, 3])
    assert judge_total(LAYOUT, support, Rules(), hospitals=20).all()


@pytest.mark.parametrize(
    ("support", "hospitals", "rule"),
    [
        ([90, 40, 30, 20], 2, register.LEAST_HOSPITALS),
        ([9, 4, 3, 2], 3, register.LEAST_PEOPLE),
        ([90, 40, 60, -10], 3, register.BOUNDS),
    ],
)
def test_what_the_network_withholds(support, hospitals, rule):
    assert judge_total(LAYOUT, np.array(support), Rules(), hospitals=hospitals).rule is rule


@pytest.mark.parametrize(
    ("coefficients", "events", "lawful"),
    [
        (8, (), True),
        (9, (), False),
        (8, (2,), True),
        (11, (2,), False),
        (5, (2, 3), True),
        (7, (2, 3), False),
    ],
)
def test_a_model_may_not_be_solved_for_rows(coefficients, events, lawful):
    """Ninety people: 11 a coefficient; 30 and 16 with an event: ten more than coefficients."""
    model = Model(coefficients=coefficients, people=0, events=events)
    modelled = Layout(cells=LAYOUT.cells, relations=LAYOUT.relations, fields=LAYOUT.fields, model=model)
    support = np.array([90, 40, 34, 16]) if coefficients < 11 else np.array([200, 90, 20, 90])
    judged = judge_total(modelled, support, Rules(), hospitals=3)
    assert isinstance(judged, Withheld) is not lawful
    assert lawful or judged.rule is register.SATURATION
    assert not isinstance(judge_total(modelled, support, RULES_OFF, hospitals=3), Withheld)


def test_the_register_says_where_each_rule_is_shown(request):
    root = request.config.rootpath
    for rule in register.REGISTER:
        assert (root / rule.shown_by).is_file(), rule.id


def test_a_hidden_whole_with_a_shown_part_is_remembered_and_compared():
    """Its number is hidden, but its parts speak of its people: without a few of them they would speak of those few."""
    funnel = Layout(
        cells=("entered", "left over", "in", "f", "m"),
        relations=(Relation(whole=0, parts=(1, 2)), Relation(whole=2, parts=(3, 4))),
        fields=(
            Field(name="n", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=np.array([0, 2, 3, 4])),
        ),
    )
    support = np.array([100, 3, 97, 50, 47])
    entered = Answer(
        sums=Sums(layout=funnel, values={"n": support[[0, 2, 3, 4]]}),
        support=support,
        populations={"entered": np.arange(100), "in": np.arange(97)},
    )
    release = release_hospital(funnel, entered, Rules())
    opened = unpack(release.shown, 5, where="test")
    assert not opened[2]
    assert opened[[3, 4]].any()
    assert release.populations == ("entered", "in")
    withheld = release_hospital(funnel, entered, Rules(), by_itself(np.arange(1, 97)))
    assert withheld.rule is register.SMALL_DIFFERENCE


def sums(n, days):
    return Sums(layout=LAYOUT, values={"n": np.array(n), "days": np.array(days)})


@pytest.mark.parametrize(
    ("n", "days", "round_to", "lawful"),
    [
        ([9, 4, 3, 2], [900, 400, 300, 200], 1, True),
        ([10, 4, 3, 2], [0, 0, 0, 0], 1, False),
        ([9, 4, 3, -1], [0, 0, 0, 0], 1, False),
        ([9, 4, 3, 2], [901, 0, 0, 0], 1, False),
        ([9, 4, 3, 2], [-900, 0, 0, 0], 1, True),
        ([9, 4, 3, 2], [-901, 0, 0, 0], 1, False),
        ([10, 0, 0, 0], [3225, 0, 0, 0], 10, True),
        ([10, 0, 0, 0], [3650, 0, 0, 0], 10, False),
        ([9 + 11, 0, 0, 0], [0, 0, 0, 0], 10, False),
    ],
)
def test_totals_that_no_people_add_up_to(n, days, round_to, lawful):
    fault = judge_values(sums(n, days), np.array([9, 4, 3, 2]), round_to=round_to)
    assert (fault is None) == lawful
    assert lawful or fault.rule is register.BOUNDS


def test_what_a_gate_rounded_is_lawful_to_the_hub():
    for people in range(11, 60):
        release = release_hospital(LAYOUT, answer(people, people, people), Rules())
        lanes = ring.from_bytes(release.numbers, 4 + LAYOUT.size)
        told = Sums.from_ring(LAYOUT, lanes[4:])
        assert judge_values(told, ring.integers(lanes[:4]), round_to=10) is None


def test_people_whom_no_cell_counts_are_those_of_all_cells():
    """A table of times counts its people in a cell of their own, beside the others."""
    table = Layout(
        cells=("early", "late", "everyone"),
        relations=(),
        fields=(Field(name="n", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=np.array([0, 1])),),
    )
    assert spoken_populations(table, np.array([True, False, False]), ("everyone",)) == ("everyone",)
    assert spoken_populations(table, np.array([False, False, False]), ("everyone",)) == ()
