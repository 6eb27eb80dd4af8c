"""Two bodies and the shares of four hospitals: together the total, alone nothing; and every file that doesn't belong is named."""

from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from dure.guard import halves, masks
from dure.stats.base import Frame
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.protocol import by_hand
from dure.study.protocol.answer import message, remembered, through_gate
from dure.wire import ring
from dure.wire.by_hand import HalfSum, Halves, Opened
from dure.wire.codec import decode
from dure.wire.envelope import Forged, peek, public_text, seal
from dure.wire.messages import Exchange
from dure.wire.rules import Rules
from tests.unit.study.test_party import CIRCE

NAMES = ("a", "b", "c", "d")
ASKER, BODY = "maker", "ministry"
QUESTION = Distribution(cohort=Cohort(name="users", circe=CIRCE), bins=4, one_round=True)


class Two:
    """An asker, an aggregator, four hospitals of thirty people each, and one run."""

    def __init__(self, *, run="r", rules=None, people=30, seed=3, keys=None):
        self.rng = np.random.default_rng(seed)
        self.keys = keys or {name: Ed25519PrivateKey.generate() for name in NAMES}
        self.asker, self.body = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        self.bench = by_hand.Bench(
            run=run, manifest=f"manifest of {run}", steps=kind_of(QUESTION).steps(QUESTION),
            node_keys={name: public_text(key) for name, key in self.keys.items()},
            outside=frozenset(NAMES), rules=rules or Rules(),
        )  # fmt: skip
        self.parts = {name: self.rng.integers(0, 4, people) for name in NAMES}

    def answer(self, name, task, *, secret=None, lie=lambda told: told):
        """A hospital's sealed word, and what it split."""
        step = self.bench.steps[task.position.step]
        value = self.parts[name]
        frame = Frame(
            person=np.arange(len(value)), columns={"value": value, "reached": np.ones(len(value), np.int64)}
        )
        state = decode(step.statistic.state, task.state, where="")
        memory = remembered(task, me=name, roster=NAMES, outside=NAMES)
        computed = step.statistic.local(frame, step.params, state)
        told = lie(
            message(through_gate(step, task, computed, rules=self.bench.rules, memory=memory), task, name)
        )
        said = by_hand.halve(
            told, secret=secret or self.rng.bytes(32),
            asker=(ASKER, self.asker.public_key().public_bytes_raw()),
            aggregator=(BODY, self.body.public_key().public_bytes_raw()),
        )  # fmt: skip
        return seal(said, "halves", self.keys[name]), told

    def people(self, names=NAMES, **how):
        """Files of the first trip, checked."""
        tasks = by_hand.people_tasks(self.bench)
        told = [self.answer(name, task, **how)[0] for name in names for task in tasks]
        return tasks, self.complete(tasks, told, names)

    def complete(self, tasks, told, names=NAMES):
        return by_hand.complete(self.bench, tasks, by_hand.heard(self.bench, tasks, told), names)

    def both(self, tasks, files):
        """Each body's half."""
        mine = by_hand.add(self.bench, tasks, files, by_hand.vectors(self.asker, ASKER))
        theirs = by_hand.add(self.bench, tasks, files, by_hand.seeds(self.body, BODY))
        return mine, theirs

    def opened(self, files, tasks):
        mine, theirs = self.both(tasks, files)
        totals = [ring.add(one, other) for one, other in zip(mine, theirs, strict=True)]
        hospitals = by_hand.listed(files)
        return Opened(
            run=self.bench.run, manifest=self.bench.manifest, body=BODY, hospitals=hospitals,
            steps=by_hand.judge(self.bench, totals, hospitals),
        )  # fmt: skip


@pytest.fixture
def two():
    return Two()


# shares


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    numbers=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20),
    secret=st.binary(min_size=32, max_size=32),
)
def test_both_shares_are_the_numbers(numbers, secret):
    lanes = ring.to_ring(np.array(numbers, dtype=np.int64), 0)
    vector, seed = halves.split(lanes, secret, "place")
    np.testing.assert_array_equal(ring.add(vector, halves.expanded(seed, len(numbers))), lanes)


@pytest.mark.parametrize("value", [0, 1, 12345, -7])
def test_either_share_alone_is_uniform_whatever_the_numbers(value):
    """Half a million bytes of each, over fresh secrets: as even as a uniform source; the same test sees bare numbers at once."""
    rng = np.random.default_rng(value + 100)
    lanes = ring.to_ring(np.full(64, value), 0)
    split = [halves.split(lanes, rng.bytes(32), "place") for _ in range(500)]
    vectors = b"".join(ring.to_bytes(vector) for vector, _ in split)
    streams = b"".join(ring.to_bytes(halves.expanded(seed, 64)) for _, seed in split)
    assert evenness(vectors) > 1e-4
    assert evenness(streams) > 1e-4
    assert evenness(ring.to_bytes(lanes) * 500) < 1e-9
    assert abs(correlation(vectors, ring.to_bytes(lanes) * 500)) < 0.01


def evenness(data):
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), 255))


def correlation(left, right):
    one, other = (np.frombuffer(data, np.uint8).astype(float) for data in (left, right))
    if not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def test_one_secret_gives_another_stream_at_every_place():
    lanes = np.zeros((8, 2), np.uint64)
    seeds = {halves.split(lanes, b"s" * 32, f"r/0/0/{place}")[1] for place in ("support", "values", "again")}
    assert len(seeds) == 3


# the whole course


def test_the_two_halves_are_the_pooled_total(two):
    tasks, files = two.people()
    opened = two.opened(files, tasks)
    word = seal(opened, "opened", Ed25519PrivateKey.generate())
    asked = by_hand.number_tasks(two.bench, opened, word)
    told = [two.answer(name, task)[0] for name in NAMES for task in asked]
    mine, theirs = two.both(asked, two.complete(asked, told))
    totals = [ring.add(one, other) for one, other in zip(mine, theirs, strict=True)]
    (outcome,) = by_hand.outcomes(two.bench, opened, totals)
    result = decode(two.bench.steps[0].statistic.result, outcome.result, where="")
    pooled = np.bincount(np.concatenate(list(two.parts.values())), minlength=4).tolist()
    assert list(result.strata["value"]) == pooled
    assert outcome.hospitals == NAMES


def test_neither_half_of_the_sum_is_the_total(two):
    tasks, files = two.people()
    for half in two.both(tasks, files):
        high = np.concatenate([lanes[:, 1] for lanes in half])
        assert (high != 0).all()


def test_few_people_stay_shut_in_the_total():
    two = Two(people=2)
    tasks, files = two.people()
    (step,) = two.opened(files, tasks).steps
    assert step.open is None
    assert step.rule == "least-people"
    assert set(step.support) == {0}


def test_hidden_cells_tell_the_asker_no_people():
    two = Two(people=30)
    two.parts["a"][:5], rest = 3, np.concatenate([two.parts["a"][5:], *(two.parts[n] for n in NAMES[1:])])
    for name in NAMES:
        two.parts[name][two.parts[name] == 3] = 0
    two.parts["a"][:5] = 3
    assert len(rest)
    tasks, files = two.people()
    (step,) = two.opened(files, tasks).steps
    cells = two.bench.steps[0].layout.cells
    shown = dict(zip(cells, step.support, strict=True))
    assert step.open is not None
    assert 5 not in shown.values()


def test_what_overflows_is_said_and_not_shown(two):
    def lie(told):
        lanes = ring.from_bytes(told.numbers, len(told.numbers) // 16).copy()
        lanes[0] = ring.to_ring(np.array([2.0**100]), 0)[0]
        return replace(told, numbers=ring.to_bytes(lanes))

    tasks, files = two.people(lie=lie)
    (step,) = two.opened(files, tasks).steps
    assert (step.open, step.rule, step.reason) == (None, "bounds", "The hospitals' numbers overflow.")


# files that don't belong


def first(two, name="a"):
    (task,) = by_hand.people_tasks(two.bench)
    return task, two.answer(name, task)[0]


def test_a_file_of_another_run(two):
    other = Two(run="other", keys=two.keys)
    with pytest.raises(by_hand.OtherRun, match="run other"):
        by_hand.heard(two.bench, by_hand.people_tasks(two.bench), [first(other)[1]])


def test_an_answer_to_another_exchange_or_question(two):
    task, sealed = first(two)
    said = peek(Halves, sealed, where="")
    later = replace(said, position=replace(said.position, exchange=Exchange.VALUES))
    for spoilt in (later, replace(said, task="another"), replace(said, layout="another")):
        with pytest.raises(by_hand.OtherRun):
            by_hand.heard(two.bench, (task,), [seal(spoilt, "halves", two.keys["a"])])


def test_a_file_that_was_changed_on_the_way(two):
    task, sealed = first(two)
    spoilt = replace(sealed, payload=sealed.payload.replace(b'"hospital":"a"', b'"hospital":"b"'))
    with pytest.raises(Forged):
        by_hand.heard(two.bench, (task,), [spoilt])
    with pytest.raises(by_hand.OtherRun):
        stranger = replace(peek(Halves, sealed, where=""), hospital="z")
        by_hand.heard(two.bench, (task,), [seal(stranger, "halves", two.keys["a"])])


def test_two_files_of_one_hospital(two):
    task, sealed = first(two)
    again = two.answer("a", task)[0]
    assert by_hand.heard(two.bench, (task,), [sealed, sealed])["a"] == {0: sealed}
    with pytest.raises(by_hand.AnsweredTwice, match="a gave two"):
        by_hand.heard(two.bench, (task,), [sealed, again])


def test_a_hospital_without_a_file(two):
    tasks = by_hand.people_tasks(two.bench)
    told = [two.answer(name, tasks[0])[0] for name in NAMES[:3]]
    with pytest.raises(by_hand.HospitalMissing, match="of d are missing"):
        two.complete(tasks, told)


def test_a_file_too_many_and_hospitals_too_few(two):
    tasks = by_hand.people_tasks(two.bench)
    told = [two.answer(name, tasks[0])[0] for name in NAMES]
    with pytest.raises(by_hand.OtherHospitals, match="file of d"):
        two.complete(tasks, told, NAMES[:3])
    with pytest.raises(by_hand.OtherHospitals, match="needs 3"):
        two.complete(tasks, told[:2], NAMES[:2])


def test_lists_that_differ(two):
    _, files = two.people()
    told = HalfSum(
        run="r", manifest=two.bench.manifest, exchange=Exchange.SUPPORT, body=ASKER,
        hospitals=by_hand.listed(files), numbers=(),
    )  # fmt: skip
    by_hand.same_list(told, two.bench, ASKER, Exchange.SUPPORT, by_hand.listed(files))
    without = {name: told.hospitals[name] for name in NAMES[:3]}
    with pytest.raises(by_hand.OtherHospitals, match="other files of: d"):
        by_hand.same_list(told, two.bench, ASKER, Exchange.SUPPORT, without)
    with pytest.raises(by_hand.OtherRun):
        by_hand.same_list(told, two.bench, ASKER, Exchange.VALUES, by_hand.listed(files))
    with pytest.raises(by_hand.ShareUnreadable):
        by_hand.other_half(two.bench, by_hand.people_tasks(two.bench), told)


def test_a_share_opens_for_its_body_its_hospital_and_its_run_only(two):
    tasks, files = two.people()
    for key, name in ((two.body, ASKER), (two.asker, BODY), (X25519PrivateKey.generate(), ASKER)):
        with pytest.raises(by_hand.ShareUnreadable):
            by_hand.add(two.bench, tasks, files, by_hand.vectors(key, name))
    said = peek(Halves, files["a"][0], where="")
    moved = replace(said, hospital="b")
    with pytest.raises(by_hand.ShareUnreadable):
        by_hand.seeds(two.body, BODY)(moved, by_hand.elements(two.bench.steps[0], Exchange.SUPPORT))
    swapped = replace(said, vector=said.seed)
    with pytest.raises(by_hand.ShareUnreadable):
        by_hand.vectors(two.asker, ASKER)(swapped, 3)


def test_a_key_that_nothing_can_be_sealed_to_is_a_refusal(two):
    two.asker = X25519PrivateKey.from_private_bytes(bytes(32))
    task, _ = first(two)
    _, told = two.answer("a", task)
    with pytest.raises(by_hand.ShareUnreadable):
        by_hand.halve(told, secret=bytes(32), asker=(ASKER, bytes(32)), aggregator=(BODY, bytes(32)))


def test_a_seed_of_another_length_is_none():
    with pytest.raises(ValueError, match="no seed"):
        halves.expanded(b"short", 3)
    assert masks.SEED_BYTES == 32
