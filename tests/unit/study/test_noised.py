"""Noise in a run: over all exchanges, enough of it whoever drops out, and a hub that thins it is refused."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dure.guard.accounting import epsilon_of
from dure.stats.base import Frame
from dure.study.assemble import report
from dure.study.kinds import kind_of
from dure.study.kinds.distribution import Distribution
from dure.study.kinds.survival.spec import Survival
from dure.study.protocol import advance
from dure.study.protocol.answer import remembered, through_gate
from dure.study.protocol.noised import Noising, cost, deviations, least_noised, objection, plan_of, rounds
from dure.study.protocol.run import Expired, Stage
from dure.wire.codec import decode
from dure.wire.messages import Exchange
from dure.wire.rules import Noise, Rules
from tests.unit.study.test_party import NAMES, NOW, World, refused

ONE = Noise(epsilon=1.0, delta=1e-6)


@pytest.fixture
def world():
    return World(Rules(noise=replace(ONE, epsilon=8.0)))


def test_a_whole_run_ends_near_the_truth_and_says_its_noise(world):
    """Values are 0 to 99 at five hospitals: the quartiles are 25, 50 and 75, as far as noise lets one tell."""
    run = world.finish()
    assert run.stage is Stage.DONE
    assert run.answered == (), "nothing for the ledger"
    made = report(
        world.study, study_digest="s", run=run, permits={}, declined={}, silent=(), now=NOW + timedelta(hours=1)
    )  # fmt: skip
    tables = {table.name: table for table in made.tables}
    for _, _, people, low, high in tables["quartiles"].rows:
        assert abs(people - 500) < 60
        assert low is not None
        assert high - low <= 32
    assert {row[0] for row in tables["noise"].rows} == {"lower_quartile", "median", "upper_quartile"}
    assert all(0 < row[2] < 60 for row in tables["noise"].rows)
    assert any("epsilon 8, delta 1e-06" in banner for banner in made.banners)
    assert any("differentially private" in paragraph for paragraph in made.methods)


def test_nothing_is_asked_for_the_ledger(world):
    task = world.until(Exchange.SUPPORT)
    assert task.compare == ()
    cells = len(world.steps()[0].layout.cells)
    assert len(world.said("a", task).numbers) == 16 * cells


def test_without_noise_at_hand_nothing_leaves(world):
    task = world.until(Exchange.SUPPORT)
    step = world.steps()[0]
    answer = step.statistic.local(_frame(), step.params, decode(step.statistic.state, task.state, where=""))
    memory = remembered(task, me="a", roster=NAMES, outside=NAMES)
    told = through_gate(step, task, answer, rules=world.rules, memory=memory)
    assert told.rule.id == "noise"


def test_no_number_of_one_hospital_leaves_beside_noise(world):
    task = world.until(Exchange.SUPPORT)
    task = replace(task, position=replace(task.position, exchange=Exchange.RELEASE))
    step = world.steps()[0]
    answer = step.statistic.local(_frame(), step.params, decode(step.statistic.state, task.state, where=""))
    noising = Noising(question=world.study.question, hospitals=5, draw=world.draw)
    memory = remembered(task, me="a", roster=NAMES, outside=NAMES)
    told = through_gate(step, task, answer, rules=world.rules, memory=memory, noising=noising)
    assert told.rule.id == "noise"


def _frame():
    return Frame(person=np.arange(100), columns={"value": np.arange(100)})


# a hub that thins the noise


def test_keys_of_fewer_than_must_be_left_are_not_dealt(world):
    """Three of five would be enough for masks among three: their noise would be three quarters of what was reckoned with."""
    task = world.until(Exchange.SHARES)
    refused(world, replace(task, members=task.members[:3], told=task.told[:3]), rule="noise")


def test_numbers_are_not_summed_with_fewer(world):
    task = world.until(Exchange.SUPPORT)
    refused(world, replace(task, members=task.members[:3]), rule="noise")


def test_nor_agreed_to(world):
    task = world.until(Exchange.SUPPORT_AGREE)
    refused(world, replace(task, members=task.members[:3]), rule="noise")


def test_one_of_five_may_drop_out_and_two_end_the_run():
    world = World(Rules(noise=ONE))
    world.silent = {"e"}
    assert world.finish().stage is Stage.DONE
    world = World(Rules(noise=ONE))
    world.silent = {"d", "e"}
    run = world.finish()
    assert run.stage in {Stage.FAILED, Stage.REFUSED}
    assert run.outcomes[0].withheld.rule == "noise"


def test_dropping_out_later_ends_it_too(world):
    world.until(Exchange.VALUES)
    world.silent = {"d", "e"}
    world.run = advance(world.study, world.run, Expired(), now=NOW + timedelta(days=9))
    assert world.finish().stage in {Stage.FAILED, Stage.REFUSED}


# the plan


def test_a_study_tells_no_more_than_its_epsilon_over_all_rounds():
    question = World().study.question
    assert rounds(question) > 9
    total = cost(question, ONE, 5)
    assert epsilon_of(total, ONE.delta) <= 1.0
    assert epsilon_of(total, ONE.delta) == pytest.approx(1.0, rel=1e-4)


def test_the_plan_says_the_same_before_and_after():
    question = replace(World().study.question, one_round=True)
    (step,) = kind_of(question).steps(question)
    plan = plan_of(question, step, ONE, 5)
    (told,) = deviations(question, ONE, 5, 4)
    assert told.deviation == pytest.approx(plan.support.deviation(4))
    (all_five,) = deviations(question, ONE, 5, 5)
    assert all_five.deviation > told.deviation


@pytest.mark.parametrize(("k", "epsilon"), [(11, 1.0), (500, 1.0), (2, 0.1)])
def test_nobody_is_taken_for_a_group(k, epsilon):
    question = replace(World().study.question, one_round=True)
    (step,) = kind_of(question).steps(question)
    rules = Rules(least_people=k, noise=replace(ONE, epsilon=epsilon))
    deviation = plan_of(question, step, rules.noise, 5).support.deviation(5)
    least = least_noised(question, step, rules, 5, 5)
    assert least >= max(k, 2 * deviation)
    assert least == k or least < 2 * deviation + 1
    assert least_noised(question, step, Rules(least_people=k), 5, 5) == k


def test_a_model_is_told_why_not():
    cohort = World().study.question.cohort
    question = Survival(arms=(cohort,), outcome=cohort)
    assert "survival" in objection(question, ONE, 5)
    assert objection(Distribution(cohort=cohort), ONE, 5) is None
