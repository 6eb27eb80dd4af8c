"""What the ledger of populations refuses: each line two or three answers, and whether they may stand beside each other."""

import numpy as np
import pytest

from dure.guard.ledger import Memory, entries, judge_memory, judge_network, ref
from dure.guard.populations import Past, apart, small_combination
from dure.wire.rules import RULES_OFF, Rules
from dure.wire.sums import Layout, Model

ROSTER = frozenset("abcde")
K = Rules().least_people
COUNTED = Layout(cells=("everyone",), relations=(), fields=())


def modelled(coefficients):
    return Layout(
        cells=("everyone",), relations=(), fields=(), model=Model(coefficients=coefficients, people=0)
    )


def past(people, *, run="r1", members=ROSTER, outside=None, by_hospital=False):
    people = np.unique(people)
    return Past(
        ref=ref(run, 0, "everyone", COUNTED),
        size=len(people),
        load=lambda: people,
        members=frozenset(members),
        outside=frozenset(members if outside is None else outside),
        by_hospital=by_hospital,
    )


def memory(*known, named=True, members=ROSTER, outside=None, run="r2"):
    return Memory(
        me="a",
        run=run,
        step=0,
        past=known,
        named=tuple(one.ref for one in known) if named else (),
        members=frozenset(members),
        outside=frozenset(members if outside is None else outside),
    )


def people(*spans):
    return np.concatenate([np.arange(*span) for span in spans])


def objection(now, known, *, by_hospital=False, rules=None):
    found = judge_memory({"everyone": now}, known, rules or Rules(), by_hospital=by_hospital)
    return None if found is None else found.rule.id


# the network's difference


@pytest.mark.parametrize(
    ("gone", "each_says"), [(0, 0), (1, 1), (10, 10), (11, 11), (50, 11)], ids="{}".format
)
def test_a_hospital_says_how_far_its_people_are_from_earlier_ones_but_no_more_than_k(gone, each_says):
    told = entries({"everyone": np.arange(100 - gone)}, memory(past(np.arange(100))), Rules())
    assert told.tolist() == [each_says, 1]


def test_who_was_not_asked_before_says_all_its_people():
    known = memory(past(np.arange(100)))
    stranger = Memory(me="b", run="r2", step=0, past=(), named=known.named, members=ROSTER, outside=ROSTER)
    assert entries({"everyone": np.arange(4)}, stranger, Rules()).tolist() == [4, 1]


@pytest.mark.parametrize(
    ("by_each", "withheld"),
    [
        ([0, 0, 0], False),
        ([1, 0, 0], True),
        ([3, 3, 3], True),
        ([4, 4, 3], False),
        ([11, 0, 0], False),
        ([10, 0, 0], True),
    ],
)
def test_three_here_and_enough_in_all_is_no_small_difference(by_each, withheld):
    told = sum(
        entries({"everyone": np.arange(100 - gone)}, memory(past(np.arange(100))), Rules())
        for gone in by_each
    )
    found = judge_network(told, ("everyone",), ("everyone",), ("r1",), Rules(), run="now", hospitals=5)
    assert (found is not None) is withheld
    assert not withheld or found.rule.id == "small-difference"
    assert judge_network(told, ("everyone",), (), ("r1",), Rules(), run="now", hospitals=5) is None, (
        "nothing is shown of them"
    )
    off = np.minimum(told, [1, 5])
    assert (
        judge_network(off, ("everyone",), ("everyone",), ("r1",), RULES_OFF, run="now", hospitals=5) is None
    )


@pytest.mark.parametrize(("by_themselves", "withheld"), [(0, False), (2, False), (3, True), (5, True)])
def test_a_total_of_which_all_but_two_are_known_is_withheld(by_themselves, withheld):
    now = {"everyone": np.arange(100)}
    told = 0
    for place in range(5):
        known = [past(np.arange(100), by_hospital=True)] if place < by_themselves else []
        told = told + entries(now, memory(*known, named=False), Rules())
    found = judge_network(told, ("everyone",), ("everyone",), (), Rules(), run="now", hospitals=5)
    assert (found is not None) is withheld
    assert not withheld or found.rule.id == "by-hospital-beside"


@pytest.mark.parametrize(
    ("earlier", "away", "people", "withheld"),
    [
        ((4, 4), (0, 0), 131, True),
        ((4, 4), (0, 0), 132, False),
        ((4, 4), (0, 11), 90, False),
        ((0, 0), (0, 0), 44, False),
    ],
)
def test_models_of_the_same_people_have_only_so_many_coefficients_in_all(earlier, away, people, withheld):
    """Four more coefficients: eleven people for each that was ever solved for."""
    named = tuple(
        ref(f"r{at}", 0, "everyone", modelled(count) if count else COUNTED)
        for at, count in enumerate(earlier)
    )
    told = np.array([*away, 5])
    found = judge_network(
        told, ("everyone",), ("everyone",), named, Rules(), run="now", hospitals=5, model=(4, people)
    )
    assert (found is not None) is withheld
    assert not withheld or found.rule.id == "saturation"


@pytest.mark.parametrize("told", [[-1, 5], [12, 1], [0, 12]])
def test_what_no_hospital_can_say_is_told_from_the_sum(told):
    found = judge_network(
        np.array(told),
        ("everyone",),
        ("everyone",),
        ("r1",),
        RULES_OFF if told[0] < 0 else Rules(),
        run="now",
        hospitals=1,
    )
    assert found.rule.id == "bounds"


def test_who_is_of_the_asker_s_house_hides_nobody():
    known = Memory(me="a", run="r", step=0, members=ROSTER, outside=ROSTER - {"a"})
    assert entries({"everyone": np.arange(100)}, known, Rules()).tolist() == [0]


# what a hospital refuses by itself

ALL = people((0, 100))


@pytest.mark.parametrize(
    ("now", "known", "rule"),
    [
        (ALL, memory(past(ALL)), None),
        (ALL[:-3], memory(past(ALL)), None),
        (ALL[:-3], memory(past(ALL), named=False), "small-difference"),
        (ALL, memory(past(ALL), named=False), None),
        (ALL[:-11], memory(past(ALL), named=False), None),
        (ALL, memory(past(ALL, members="abcd")), "same-roster"),
        (ALL[:-3], memory(past(ALL, members="abcd")), "same-roster"),
        (ALL[:-11], memory(past(ALL, members="abcd")), None),
        (ALL, memory(past(ALL, members="abcdefgh")), None),
        (ALL, memory(past(ALL, members="abcdefgh", outside="abcdef")), "same-roster"),
        (ALL, memory(past(ALL, members="ab"), members="abcde", outside="abcd"), "same-roster"),
        (ALL[:0], memory(past(ALL[:0], members="abcd")), None),
        (ALL, memory(past(ALL, run="r2", members="abcd")), None),
    ],
    ids=[
        "the same people again",
        "three fewer, named: the network decides",
        "three fewer, and the hub doesn't say so",
        "the same, and the hub doesn't say so",
        "eleven fewer",
        "the same people, one hospital more",
        "nearly the same people, one hospital more",
        "other people, one hospital more",
        "three hospitals less",
        "three less, one of which the asker doesn't own",
        "three more, one of which the asker owns",
        "nobody here",
        "the same run: the masks' rule",
    ],
)
def test_what_a_hospital_refuses_in_total(now, known, rule):
    assert objection(now, known) == rule


@pytest.mark.parametrize(
    ("asked_with", "rule"),
    [("abcde", None), ("abcd", "by-hospital-beside"), ("ab", None), ("abc", "by-hospital-beside")],
)
def test_by_itself_it_gives_no_numbers_that_leave_one_or_two_of_a_total(asked_with, rule):
    assert objection(ALL, memory(past(ALL), members=asked_with), by_hospital=True) == rule


def test_a_name_on_the_list_does_not_help_where_the_people_are_others():
    known = memory(past(ALL, run="r0"), past(ALL[:-1], run="r1"))
    listed = Memory(
        me="a", run="r2", step=0, past=known.past, named=known.named[:1], members=ROSTER, outside=ROSTER
    )
    assert objection(ALL, known) is None
    assert objection(ALL, listed) == "small-difference"


# three answers

UNION, LEFT, RIGHT = people((0, 100)), people((0, 60)), people((60, 97))


@pytest.mark.parametrize(
    ("now", "earlier", "refused"),
    [
        (UNION, (LEFT, RIGHT), True),
        (UNION, (LEFT, people((60, 100))), False),
        (UNION, (LEFT, people((60, 85))), False),
        (people((0, 60), (97, 100)), (UNION, people((60, 97))), False),
        (people((0, 63)), (people((60, 100)), UNION), True),
        (people((0, 15)), (people((0, 7)), people((7, 14))), False),
    ],
    ids=[
        "a group less two parts of it",
        "a group and the two halves of it",
        "what is left is fifteen",
        "a group less one part: what is left is nobody",
        "two overlapping groups less both together: the tracker",
        "all of them small",
    ],
)
def test_three_answers_may_not_leave_a_few(now, earlier, refused):
    known = [past(one, run=f"r{at}") for at, one in enumerate(earlier)]
    assert small_combination(now, known, K) is refused
    assert objection(now, memory(*known, run="now")) == ("combination" if refused else None)


def test_subsets_may_not_be_solved_for_people():
    """Random halves of forty people: each is large, every two are far apart, and forty of them are forty equations."""
    rng = np.random.default_rng(1)
    known, refused = [], 0
    for number in range(60):
        now = np.flatnonzero(rng.permutation(40) < 24)
        if small_combination(now, known, K):
            refused += 1
        else:
            known.append(past(now, run=f"r{number}"))
    assert refused > 20
    span = np.array([np.isin(np.arange(40), one.people) for one in known], dtype=float)
    leverage = np.diag(np.linalg.pinv(span) @ span)
    assert leverage.max() < 0.95, "nobody comes out"


def test_within_one_study_the_board_sees_all_three():
    known = [past(LEFT, run="r2"), past(RIGHT, run="r2")]
    assert objection(UNION, memory(*known)) is None


@pytest.mark.parametrize("seed", range(30))
def test_apart_is_the_symmetric_difference(seed):
    rng = np.random.default_rng(seed)
    first, second = (np.unique(rng.integers(0, 30, rng.integers(0, 30))) for _ in range(2))
    assert apart(first, past(second), K) == min(len(np.setxor1d(first, second)), K)
