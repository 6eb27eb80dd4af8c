"""Answers carried by hand: one of the two bodies, or who carries, is after one hospital's numbers.

Off, a body adds whatever its key opens and a hospital answers whatever it is asked; on, they are those of `study.protocol.by_hand`,
`aggregator.adding` and `govern.permit`.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.aggregator.adding import _once
from dure.govern.permit import NotPermitted, Seated, _judge_by_hand, second_body
from dure.guard import halves
from dure.study.protocol import by_hand
from dure.study.spec import ByHand, Purpose, Study
from dure.wire import ring
from dure.wire.by_hand import Halves
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import Forged, peek, public_text, seal
from dure.wire.messages import Exchange, Manifest, Permit, Provenance, pack
from dure.wire.rules import Mode, Rules
from tests.attacks.attack import Class, Tried, attack
from tests.unit.study.test_by_hand import ASKER, BODY, NAMES, QUESTION, Two

GROUP = "files carried by hand"
VICTIM = "a"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def bared(found, two, by):
    """Whether what an attacker has is the victim's number of people, cell by cell."""
    (task,) = by_hand.people_tasks(two.bench)
    truth = ring.from_bytes(two.answer(VICTIM, task)[1].numbers, len(found))
    same = bool((found == truth).all())
    return Tried(success=same, figure="the hospital's numbers" if same else "nothing", by={by})


def stopped(problem):
    return Tried(success=False, figure="nothing", by={problem.slug})


def joined(two, tasks, files):
    """Both halves together."""
    (mine,), (theirs,) = two.both(tasks, files)
    return ring.add(mine, theirs)


def unchecked(told):
    """The files as a body takes them that looks at no list."""
    return {peek(Halves, envelope, where="").hospital: (envelope,) for envelope in told}


@attack(GROUP, "the asker reads the share that it gets of a hospital", rule="shares")
def read_one_share(guard):
    two = Two()
    (task,) = by_hand.people_tasks(two.bench)
    sealed, told = two.answer(VICTIM, task)
    size = len(told.numbers) // 16
    if not guard:
        return bared(ring.from_bytes(told.numbers, size), two, "shares")
    return bared(by_hand.vectors(two.asker, ASKER)(peek(Halves, sealed, where=""), size), two, "shares")


@attack(GROUP, "one secret used for two answers, whose difference it would show", rule="shares")
def share_reused(guard):
    two = Two()
    (task,) = by_hand.people_tasks(two.bench)
    numbers = ring.from_bytes(two.answer(VICTIM, task)[1].numbers, 6)
    first, _ = halves.split(np.zeros_like(numbers), b"s" * 32, "r/0/0/support")
    second, _ = halves.split(numbers, b"s" * 32, "r/0/0/values" if guard else "r/0/0/support")
    return bared(ring.add(second, ring.negated(first)), two, "shares")


@attack(
    GROUP, "an answer replayed into another run, beside hospitals of the asker's choice", rule="other-run"
)
def replay_into_another_run(guard):
    two = Two()
    other = Two(run="other", keys=two.keys)
    other.asker, other.body = two.asker, two.body
    tasks, old = two.people()
    told = [envelopes[0] for envelopes in old.values()][:1]
    if not guard:
        return bared(joined(two, tasks, unchecked(told)), two, "")
    try:
        by_hand.heard(other.bench, by_hand.people_tasks(other.bench), told)
    except by_hand.OtherRun as problem:
        return stopped(problem)
    return Tried(success=True, figure="it is added")


@attack(GROUP, "a sum of one hospital", rule="other-hospitals")
def carried_sum_of_one(guard):
    two = Two()
    (task,) = tasks = by_hand.people_tasks(two.bench)
    told = [two.answer(VICTIM, task)[0]]
    if not guard:
        return bared(joined(two, tasks, unchecked(told)), two, "")
    try:
        two.complete(tasks, told, (VICTIM,))
    except by_hand.OtherHospitals as problem:
        return stopped(problem)
    return Tried(success=True, figure="it is added")


@attack(GROUP, "the same run added twice, once without the victim", rule="other-hospitals")
def two_lists(guard):
    two = Two()
    tasks, files = two.people()
    without = {name: files[name] for name in NAMES[1:]}
    if guard:
        try:
            _once(by_hand.listed(files), by_hand.listed(without), two.bench.run)
        except by_hand.OtherHospitals as problem:
            return stopped(problem)
    return bared(ring.add(joined(two, tasks, files), ring.negated(joined(two, tasks, without))), two, "")


@attack(
    GROUP,
    "the asker's half of other files than the aggregator's: one hospital in between",
    rule="other-hospitals",
)
def lists_that_differ(guard):
    """Off, the aggregator adds for any list; the asker, which has the whole files too, asks it for both."""
    two = Two()
    tasks, files = two.people()
    without = {name: files[name] for name in NAMES[1:]}
    (mine,), (theirs,) = two.both(tasks, files)
    if guard:
        told = by_hand.HalfSum(
            run=two.bench.run, manifest=two.bench.manifest, exchange=tasks[0].position.exchange, body=ASKER,
            hospitals=by_hand.listed(without), numbers=(),
        )  # fmt: skip
        try:
            by_hand.same_list(told, two.bench, ASKER, tasks[0].position.exchange, by_hand.listed(files))
        except by_hand.OtherHospitals as problem:
            return stopped(problem)
    (fewer,), (other,) = two.both(tasks, without)
    all_, rest = ring.add(mine, theirs), ring.add(fewer, other)
    return bared(ring.add(all_, ring.negated(rest)), two, "")


@attack(GROUP, "the victim's file under three other hospitals' names", rule="forged")
def swapped_files(guard):
    """The sum is four times the victim's numbers."""
    two = Two()
    tasks, files = two.people()
    said = peek(Halves, files[VICTIM][0], where="")
    if not guard:
        four = unchecked([files[VICTIM][0]]) | dict.fromkeys(NAMES[1:], files[VICTIM])
        total = ring.integers(joined(two, tasks, four))
        return bared(ring.to_ring(total // 4, 0), two, "")
    renamed = [seal(replace(said, hospital=name), "halves", two.keys[VICTIM]) for name in NAMES[1:]]
    try:
        by_hand.heard(two.bench, tasks, renamed)
    except Forged as problem:
        return stopped(problem)
    return Tried(success=True, figure="it is added")


@attack(GROUP, "a seed of one hospital put under another's file", rule="share-unreadable")
def swapped_seeds(guard):
    """Off, a seed opens wherever it lies: an aggregator that is given the victim's four times has four times its share."""
    two = Two()
    tasks, files = two.people()
    said = peek(Halves, files[VICTIM][0], where="")
    if not guard:
        four = dict.fromkeys(NAMES, files[VICTIM])
        return bared(ring.to_ring(ring.integers(joined(two, tasks, four)) // 4, 0), two, "")
    moved = replace(peek(Halves, files["b"][0], where=""), seed=said.seed)
    try:
        by_hand.seeds(two.body, BODY)(moved, 6)
    except by_hand.ShareUnreadable as problem:
        return stopped(problem)
    return Tried(success=True, figure="it opens")


def member(name, role, affiliation, **keys):
    return Member(id=name, name=name, role=role, affiliation=affiliation, **keys)


def directory(*bodies):
    """What the root signed: asker, hospitals, and bodies."""
    key = public_text(Ed25519PrivateKey.generate())
    return Directory(
        version=1, issued=NOW, expires=NOW + timedelta(days=1),
        members=(
            member(ASKER, Role.USER, "makers", asker_key=key, body_key=key, seal_key=key),
            *(member(name, Role.HOLDER, name, board_key=key, node_key=key) for name in NAMES),
            *bodies,
        ),
    )  # fmt: skip


def study(aggregator):
    return Study(
        title="t", asker=ASKER, purpose=Purpose.SAFETY, purpose_text="p", mode=Mode.TOTAL, question=QUESTION,
        hospitals=NAMES, created=NOW, closes=NOW + timedelta(hours=1), expires=NOW + timedelta(days=1), nonce="n",
        by_hand=ByHand(aggregator=aggregator, collector_key=bytes(32)),
    )  # fmt: skip


def second(guard, name, *bodies):
    """The asker has both keys: off, it opens both shares; on, no node takes part."""
    two = Two()
    (task,) = tasks = by_hand.people_tasks(two.bench)
    if not guard:
        return bared(joined(two, tasks, unchecked([two.answer(VICTIM, task)[0]])), two, "")
    try:
        second_body(study(name), directory(*bodies), where="attack")
    except NotPermitted as problem:
        return stopped(problem)
    return Tried(success=True, figure="it is the second body")


@attack(GROUP, "the asker names itself as the second body", rule="not-permitted")
def asker_as_the_second_body(guard):
    return second(guard, ASKER)


@attack(GROUP, "the asker names a company of its own group", rule="not-permitted")
def body_of_the_asker_s_group(guard):
    key = public_text(Ed25519PrivateKey.generate())
    return second(guard, "sister", member("sister", Role.INTERMEDIARY, "makers", body_key=key, seal_key=key))


@attack(GROUP, "the asker names a hospital that is in the sum", rule="not-permitted")
def hospital_as_the_second_body(guard):
    return second(guard, "b")


def answered_all():
    """Hospitals of two people each that open whatever they are asked for: the numbers of a few people."""
    two = Two(people=2)
    (step,) = two.bench.steps
    (task,) = by_hand.people_tasks(two.bench)
    place = replace(task.position, exchange=Exchange.VALUES)
    task = replace(task, position=place, open=pack(np.ones(len(step.layout.cells), np.bool_)))
    files = unchecked([two.answer(name, task)[0] for name in NAMES])
    total = ring.integers(joined(two, (task,), files))
    truth = np.bincount(np.concatenate(list(two.parts.values())), minlength=4)
    found = bool((total[-4:] == truth).all())
    return Tried(success=found, figure="numbers of a few people" if found else "nothing")


def asked(guard, change):
    """A real node's judgement of a task for numbers that the aggregator's word doesn't cover."""
    if not guard:
        return answered_all()
    two, key = Two(), Ed25519PrivateKey.generate()
    tasks, files = two.people()
    opened = two.opened(files, tasks)
    word = seal(opened, "opened", key)
    (task,) = by_hand.number_tasks(two.bench, opened, word)
    text = public_text(key)
    seated = Seated(
        manifest=Manifest(
            run=two.bench.run, study="s", mode=Mode.TOTAL, masked=False, roster=(), rules=Rules(), layouts=(),
            created=NOW, expires=NOW,
        ),
        digest=two.bench.manifest,
        permit=Permit(
            study="s", asker=ASKER, asker_key=text, hospital=VICTIM, node_key=text, epoch=1, dataset_version="1",
            provenance=Provenance.REAL, mode=Mode.TOTAL, rules=Rules(), rounds=1, issued=NOW, expires=NOW,
        ),
        study=study(BODY), node_keys={}, outside=frozenset(NAMES),
        aggregator=member(BODY, Role.REGULATOR, BODY, body_key=text, seal_key=text),
    )  # fmt: skip
    _judge_by_hand(seated, task)
    try:
        _judge_by_hand(seated, change(task, opened))
    except (NotPermitted, Forged) as problem:
        return stopped(problem)
    return Tried(success=True, figure="it answers")


@attack(GROUP, "numbers asked of cells that the aggregator left shut", rule="not-permitted")
def cells_left_shut(guard):
    return asked(guard, lambda task, _: replace(task, open=pack(np.zeros(6, np.bool_))))


@attack(GROUP, "numbers asked of fewer hospitals than people", rule="not-permitted")
def numbers_of_fewer(guard):
    return asked(guard, lambda task, _: replace(task, members=NAMES[:3]))


@attack(GROUP, "the aggregator's word written by the asker", rule="forged")
def written_word(guard):
    def forged(task, opened):
        mine = seal(opened, "opened", Ed25519PrivateKey.generate())
        return replace(task, sealed={BODY: mine})

    return asked(guard, forged)


@attack(
    GROUP, "earlier answers named, so that a hospital leaves their comparison to others", rule="not-permitted"
)
def named_answers(guard):
    return asked(guard, lambda task, _: replace(task, compare=("earlier/0/everyone",)))


@attack(
    GROUP,
    "the asker adds people who don't exist to its half, and small cells open",
    what=Class.ACCEPTED,
    line="an asker can have cells opened",
)
def false_half(guard):
    two = Two(people=2)
    tasks, files = two.people()
    mine, theirs = two.both(tasks, files)
    step = two.bench.steps[0]
    more = np.zeros(by_hand.elements(step, tasks[0].position.exchange), dtype=np.int64)
    everyone = (
        [step.layout.cells.index(name) for name in ("people",)] if "people" in step.layout.cells else [0]
    )
    more[everyone] = 40
    parts = [relation for relation in step.layout.relations if relation.whole == everyone[0]]
    more[[relation.parts[0] for relation in parts]] = 40
    lied = [ring.add(one, ring.to_ring(more, 0)) for one in mine]
    (judged,) = by_hand.judge(
        two.bench, [ring.add(one, other) for one, other in zip(lied, theirs, strict=True)], NAMES
    )
    is_open = judged.open is not None
    return Tried(success=is_open, figure="a small cell of the total" if is_open else "nothing")


@attack(
    GROUP,
    "the two bodies put their files and keys together",
    what=Class.ACCEPTED,
    line="The two bodies together have every hospital's numbers",
)
def both_bodies(guard):
    two = Two()
    (task,) = tasks = by_hand.people_tasks(two.bench)
    return bared(joined(two, tasks, unchecked([two.answer(VICTIM, task)[0]])), two, "")
