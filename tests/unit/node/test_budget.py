"""Noised answers at a node: noise that is fresh for every run, charged with the answer, refused when the budget is spent."""

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from dure.guard import accounting
from dure.guard.accounting import NoiseMissing
from dure.node import config as node_config
from dure.node.board import Board
from dure.node.budget import Budget, Purse
from dure.node.journal import VERSION, Journal
from dure.node.operate import status
from dure.node.plain_words import lines
from dure.node.problems import HubUnreachable, NotSignable
from dure.stats.base import Frame
from dure.study.kinds.base import NETWORK, Cohort
from dure.study.kinds.characterise import Characterise
from dure.study.kinds.distribution import Distribution
from dure.study.protocol.noised import cost
from dure.study.protocol.run import Stage
from dure.wire import ring
from dure.wire.codec import decode
from dure.wire.messages import Contribution, Exchange, Refusal
from dure.wire.rules import BadRules, Mode, Noise, Rules
from tests.unit.node.conftest import CIRCE

ONE = Noise(epsilon=1.0, delta=1e-6)
QUESTION = Distribution(cohort=Cohort(name="celecoxib", circe=CIRCE), variable="age", bins=8, one_round=True)
AGES = np.arange(1000) % 8


@pytest.fixture
def noisy(network):
    """A node whose board wants noise, and has a budget for two studies."""
    network.frame = Frame(
        person=np.arange(1000), columns={"value": AGES, "reached": np.ones(1000, dtype=int)}
    )
    return limited(network, twice())


def twice():
    """A budget for two studies and a half."""
    rho = 2.5 * cost(QUESTION, ONE, 3)
    return Budget(epsilon=accounting.epsilon_of(rho, 1e-6), delta=1e-6)


def limited(network, budget, noise=ONE):
    network.config = replace(network.config, rules=Rules(noise=noise), budget=budget)
    node_config.write(network.folder, network.config)
    network.boot()
    return network


def asked(network, nonce="1", **changes):
    """A whole study: offered, signed by all, run to its end."""
    network.hub.run, network.hub.permits, network.hub.declined = None, {}, []
    network.permitted(network.study(question=QUESTION, nonce=nonce, **changes))
    network.hub.compose()
    network.turns()
    return network.hub.run


def people(run):
    result = decode(run_step(run).statistic.result, run.outcomes[0].result, where="")
    return result.stages[0], result.strata["value"]


def run_step(run):
    from dure.study.kinds import kind_of

    return kind_of(QUESTION).steps(QUESTION)[0]


def refused(network):
    return [refusal.rule for refusal in network.sent(Refusal)]


def test_a_noised_study_is_near_the_truth_and_charged_once(noisy):
    run = asked(noisy)
    assert run.stage is Stage.DONE
    assert run.outcomes[0].name == NETWORK
    assert abs(people(run)[0] - 1000) < 60
    assert noisy.journal.spent() == pytest.approx(cost(QUESTION, ONE, 3))
    assert noisy.journal.populations() == [], "nothing is remembered of it"
    assert run.answered == ()


def test_a_resend_is_the_same_bytes_and_costs_nothing(noisy):
    noisy.permitted(noisy.study(question=QUESTION))
    noisy.hub.compose()
    noisy.until(Exchange.SUPPORT)
    noisy.hub.fail_after_taking = True
    with pytest.raises(HubUnreachable):
        noisy.turn()
    noisy.turns()
    sent = [envelope for event, envelope in noisy.hub.answers if isinstance(event, Contribution)]
    assert len(sent) == 3, "the receipt of the first was lost"
    assert sent[0] == sent[1]
    assert noisy.journal.spent() == pytest.approx(cost(QUESTION, ONE, 3))


def test_the_same_question_in_another_run_gets_other_noise_and_is_charged(noisy):
    told = []
    for nonce in ("1", "2"):
        run = asked(noisy, nonce)
        told.append(people(run))
    assert told[0] != told[1]
    assert noisy.journal.spent() == pytest.approx(2 * cost(QUESTION, ONE, 3))


def test_when_the_budget_is_spent_nothing_is_signed(noisy):
    for nonce in ("1", "2"):
        asked(noisy, nonce)
    noisy.hub.run, noisy.hub.permits = None, {}
    noisy.hub.offer(noisy.study(question=QUESTION, nonce="3"))
    noisy.turns()
    with pytest.raises(NotSignable, match="spent"):
        noisy.sign()


def test_nor_answered_where_it_was_signed_before(noisy):
    """Both permits were signed while there was enough for one: the second run gets no number."""
    for nonce in ("1", "2"):
        asked(noisy, nonce)
    noisy.hub.run, noisy.hub.permits = None, {}
    noisy.config = replace(noisy.config, budget=Budget(epsilon=20.0, delta=1e-6))
    noisy.boot()
    noisy.permitted(noisy.study(question=QUESTION, nonce="3"))
    limited(noisy, twice())
    jobs = len(noisy.workshop.jobs)
    noisy.hub.compose()
    noisy.turns()
    assert refused(noisy) == ["noise-budget"]
    assert len(noisy.workshop.jobs) == jobs, "nothing was computed"
    assert noisy.journal.spent() == pytest.approx(2 * cost(QUESTION, ONE, 3))


def test_without_a_budget_there_are_no_noised_answers(network):
    limited(network, None)
    network.hub.offer(network.study(question=QUESTION))
    network.turns()
    with pytest.raises(NotSignable, match="no budget"):
        network.sign()


def test_another_hospitals_noise_needs_a_budget_here(network):
    """This board wants none; another's permit brings it into the run."""
    network.permitted(network.study(question=QUESTION))
    network.others_sign(rules=Rules(noise=ONE))
    network.hub.compose()
    network.turns()
    assert refused(network) == ["noise-budget"]
    assert network.sent(Contribution) == []


def test_a_new_dataset_version_does_not_fill_the_budget(noisy):
    asked(noisy)
    spent = noisy.journal.spent()
    with noisy.journal.writing():
        noisy.journal.keep_fact("dataset version", b"v2")
    assert noisy.journal.spent() == spent > 0


@pytest.mark.parametrize(
    ("question", "mode", "noise", "says"),
    [
        (QUESTION, Mode.BY_HOSPITAL, ONE, "Only totals"),
        (Characterise(target=QUESTION.cohort), Mode.TOTAL, ONE, "Measured values"),
        (QUESTION, Mode.TOTAL, replace(ONE, colluders=3), "colluders"),
    ],
)
def test_what_cannot_carry_noise_is_not_signed(noisy, question, mode, noise, says):
    limited(noisy, twice(), noise)
    noisy.hub.offer(noisy.study(question=question, mode=mode))
    noisy.turns()
    with pytest.raises(NotSignable, match=says):
        noisy.sign()


def test_a_node_without_the_library_says_so(noisy, monkeypatch):
    noisy.permitted(noisy.study(question=QUESTION))
    noisy.hub.compose()

    def missing():
        raise NoiseMissing("The library opendp is not installed.", where="noise", mend="Install it.")

    noisy.until(Exchange.SUPPORT)
    monkeypatch.setattr(accounting, "opendp", missing)
    accounting.epsilon_of.cache_clear()
    accounting.rho_of.cache_clear()
    noisy.turns()
    assert refused(noisy) == ["noise-missing"]
    assert noisy.journal.spent() == 0


def test_the_charge_and_the_answer_are_one_transaction(noisy):
    """A crash while the answer is kept leaves neither; the next try draws anew."""
    noisy.permitted(noisy.study(question=QUESTION))
    noisy.hub.compose()
    noisy.until(Exchange.SUPPORT)
    keep = noisy.journal.keep_party

    def crash(run, state):
        raise RuntimeError("power")

    noisy.journal.keep_party = crash
    with pytest.raises(RuntimeError, match="power"):
        noisy.turn()
    assert noisy.journal.spent() == 0
    assert noisy.sent(Contribution) == []
    noisy.journal.keep_party = keep
    noisy.turns()
    assert noisy.hub.run.stage is Stage.DONE
    assert noisy.journal.spent() > 0


def test_the_board_reads_what_it_would_cost_before_it_signs(noisy):
    asked(noisy)
    noisy.hub.run, noisy.hub.permits = None, {}
    noisy.hub.offer(noisy.study(question=QUESTION, nonce="2"))
    noisy.turns()
    board = Board(noisy.place, node_key=noisy.node_public)
    request = board.request(noisy.hub.study.digest, now=noisy.clock()).request
    told = [value for title, value in lines(request) if title == "noise"]
    assert "epsilon 1 at delta 1e-06" in told[0]
    assert "histogram, people: noise with standard deviation" in told[1]
    assert "spent" in told[-1]
    assert "after this" in told[-1]
    assert "spent" in dict(status(noisy.place, now=noisy.clock()))["noise"]


def test_support_leaves_with_noise_and_without_the_ledger(noisy):
    noisy.permitted(noisy.study(question=QUESTION))
    noisy.hub.compose()
    task = noisy.until(Exchange.SUPPORT)
    assert task.compare == ()
    answered = noisy.worker.computing().answer(
        noisy.worker._seats[task.run], task, run_step(None), now=noisy.clock()
    )
    cells = len(run_step(None).layout.cells)
    assert len(answered.message.numbers) == 16 * cells
    exact = np.concatenate([[1000], np.bincount(AGES, minlength=cells - 1)])
    told = ring.integers(ring.from_bytes(answered.message.numbers, cells))
    assert (told != exact).sum() > cells / 3
    assert answered.kept is None


def test_a_journal_without_charges_is_brought_over(tmp_path):
    Journal(tmp_path, make=True).close()
    with sqlite3.connect(tmp_path / "journal.db") as database:
        database.execute("DROP TABLE charge")
        database.execute("PRAGMA user_version = 3")
    database.close()
    journal = Journal(tmp_path)
    assert journal.spent() == 0
    assert journal._row("PRAGMA user_version") == (VERSION,)
    journal.close()


@pytest.mark.parametrize("budget", [{"epsilon": 0.0, "delta": 1e-6}, {"epsilon": 1.0, "delta": 0.5}])
def test_a_budget_that_promises_nothing_is_none(budget):
    with pytest.raises(BadRules):
        Budget(**budget)


def test_what_fits_exactly_may_be_told():
    purse = Purse(budget=Budget(epsilon=2.0, delta=1e-6), spent=0.01)
    whole = accounting.rho_of(2.0, 1e-6)
    assert purse.refusal(whole - 0.01) is None
    assert purse.refusal(whole - 0.01 + 1e-9) is not None
