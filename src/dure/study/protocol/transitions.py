"""What an event makes of a run. Pure: the same run and event give the same run and tasks, on any machine.

Responsible for: the order of exchanges, adding up, the network's judgement, who is out. Not responsible for:
signatures and permits (checked before an event is made), sending tasks, keeping runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dure.guard import ledger
from dure.guard.gate import (
    Withheld,
    judge_concentration,
    judge_ledger,
    judge_total,
    judge_values,
    spoken_populations,
)
from dure.guard.neighbours import threshold
from dure.guard.noise import settled
from dure.guard.register import BOUNDS, CONSISTENT, LAWFUL_STATE, LEAST_HOSPITALS, MASKS, NOISE
from dure.stats.base import BadState, Done, Released
from dure.study.kinds import kind_of
from dure.study.kinds.base import NETWORK, Kind, Step
from dure.study.protocol import handshake
from dure.study.protocol.batch import AGREES, HANDSHAKES, MASKED
from dure.study.protocol.carry import collect, read
from dure.study.protocol.noised import least_noised
from dure.study.protocol.run import (
    FINAL,
    Event,
    Expired,
    Outcome,
    Run,
    Stage,
    Strand,
    Withholding,
)
from dure.study.spec import Study
from dure.wire import ring
from dure.wire.codec import decode, digest, encode
from dure.wire.messages import (
    Acceptance,
    Contribution,
    Exchange,
    Handshake,
    Position,
    Refusal,
    Task,
    pack,
    unpack,
)
from dure.wire.problems import Problem
from dure.wire.rules import Mode, Rules
from dure.wire.sums import Numbers, Sums, Support

LOCKED = "locked"
"""By which a step is withheld that its kind locks: a diagnostic failed."""


class OutOfTurn(Problem):
    """An answer to a question that isn't asked: the wrong run, round or layout."""

    slug, title, status, exit_code = "out-of-turn", "This answers no question that is open", 409, 31


def advance(study: Study, run: Run, event: Event, *, now: datetime) -> Run:
    """The run after an event. An answer that was already counted changes nothing.

    Raises:
        OutOfTurn: the event belongs to no open question of this run.
    """
    if isinstance(event, Expired):
        return _expire(study, run, now)
    if event.run != run.id or event.manifest != run.manifest or event.hospital not in run.roster:
        raise OutOfTurn(
            "The answer is for another run.", where=f"run {run.id}", mend="Poll for the current tasks."
        )
    if run.stage in FINAL or event.hospital in run.dropped:
        return run
    if isinstance(event, Acceptance):
        return _accept(study, run, event.hospital, now)
    if isinstance(event, Refusal) and event.position.exchange is Exchange.ACCEPT:
        return _settle(
            study, _drop(run, event.hospital, Withholding(rule=event.rule, reason=event.reason)), now
        )
    return _answer(study, run, event, now)


def pending(run: Run, hospital: str) -> Task | None:
    """What the run waits for from a hospital; None if nothing."""
    if run.stage in FINAL or hospital in run.dropped or hospital not in run.roster:
        return None
    if run.stage is Stage.ACCEPTING:
        if hospital in run.accepted:
            return None
        return Task(
            run=run.id, manifest=run.manifest, position=Position(step=0, round=0, exchange=Exchange.ACCEPT)
        )
    strand = _strand_of(run, hospital)
    if strand is None or strand.over or hospital in strand.received:
        return None
    return _task(run, strand, hospital)


def _task(run: Run, strand: Strand, hospital: str) -> Task:
    position = Position(step=run.step, round=strand.round, exchange=strand.exchange)
    if strand.exchange in HANDSHAKES:
        members, told, sealed = handshake.told(run, strand, hospital)
        return Task(
            run=run.id, manifest=run.manifest, position=position, members=members, told=told, sealed=sealed
        )
    members, _, sealed = handshake.told(run, strand, hospital) if run.masked else ((), (), {})
    return Task(
        run=run.id,
        manifest=run.manifest,
        position=position,
        state=strand.state,
        carried=strand.carried,
        compare=strand.compare,
        open=strand.open if strand.exchange is Exchange.VALUES else None,
        members=members,
        sealed=sealed,
    )


def _strand_of(run: Run, hospital: str) -> Strand | None:
    return next((strand for strand in run.strands if hospital in strand.hospitals), None)


def _accept(study: Study, run: Run, hospital: str, now: datetime) -> Run:
    if run.stage is not Stage.ACCEPTING or hospital in run.accepted:
        return run
    return _settle(study, replace(run, accepted=(*run.accepted, hospital)), now)


def _answer(study: Study, run: Run, event: Contribution | Handshake | Refusal, now: datetime) -> Run:
    here = f"run {run.id}, {event.hospital}"
    strand = _strand_of(run, event.hospital)
    if strand is None:
        raise OutOfTurn("The run has not begun.", where=here, mend="Take the seat first.")
    place = (event.position.step, event.position.round, _ORDER[event.position.exchange])
    current = (run.step, strand.round, _ORDER[strand.exchange])
    if place < current or (place == current and (strand.over or event.hospital in strand.received)):
        return run
    if place > current:
        raise OutOfTurn(
            "The answer is ahead of the question.", where=here, mend="Poll for the current tasks."
        )
    if isinstance(event, Refusal):
        return _settle(
            study, _drop(run, event.hospital, Withholding(rule=event.rule, reason=event.reason)), now
        )
    if event.task != digest(encode(_task(run, strand, event.hospital))):
        raise OutOfTurn("It answers another state.", where=here, mend="Poll for the current tasks.")
    if isinstance(event, Handshake):
        fault = handshake.fault(event)
        heard = replace(strand, received={**strand.received, event.hospital: encode(event)})
    else:
        step = _steps(study)[run.step]
        if event.layout != step.layout.digest:
            raise OutOfTurn("It answers another layout.", where=here, mend="Poll for the current tasks.")
        fault = _fault(run, step, strand, event)
        heard = strand if fault is not None else _heard(run, strand, event)
    if fault is not None:
        return _settle(study, _drop(run, event.hospital, fault), now)
    return _settle(study, _with(run, heard), now)


def _heard(run: Run, strand: Strand, event: Contribution) -> Strand:
    """A strand with one more hospital's numbers; masked ones are added at once and not kept apart."""
    if run.masked:
        strand = handshake.added(strand, event.numbers)
        return replace(strand, received={**strand.received, event.hospital: b""})
    return replace(
        strand,
        received={**strand.received, event.hospital: event.numbers},
        open=event.shown if event.position.exchange is Exchange.RELEASE else strand.open,
    )


_ORDER = {exchange: index for index, exchange in enumerate(Exchange)}


def _fault(run: Run, step: Step, strand: Strand, event: Contribution) -> Withholding | None:
    """What is wrong with the form of a hospital's numbers."""
    cells, fields = len(step.layout.cells), step.layout.size
    exchange = event.position.exchange
    size = {
        Exchange.SUPPORT: cells + _entries(run, step, strand),
        Exchange.VALUES: fields,
        Exchange.RELEASE: cells + fields,
    }[exchange]
    bitmap = (cells + 7) // 8 if exchange is Exchange.RELEASE else None
    sent_bitmap = None if event.shown is None else len(event.shown)
    if len(event.numbers) != 16 * size or bitmap != sent_bitmap:
        return Withholding(rule=CONSISTENT.id, reason="Its numbers are not laid out as the study says.")
    return None


def _entries(run: Run, step: Step, strand: Strand) -> int:
    """How many numbers of the ledger come with the support: in the first round of a step only, and none beside noise."""
    if strand.round or run.rules.noise is not None:
        return 0
    return ledger.size(len(step.statistic.populations(step.params)), len(strand.compare))


def _expire(study: Study, run: Run, now: datetime) -> Run:
    if run.stage in FINAL or now < run.deadline:
        return run
    silent = Withholding(rule="", reason="It did not answer in time.")
    late = [hospital for hospital in run.roster if pending(run, hospital) is not None]
    return _settle(study, reduce(lambda kept, hospital: _drop(kept, hospital, silent), late, run), now)


def _drop(run: Run, hospital: str, why: Withholding) -> Run:
    """Out for the whole run; what it sent in the current round no longer counts."""
    strands = tuple(
        replace(
            strand,
            hospitals=tuple(name for name in strand.hospitals if name != hospital),
            received={name: numbers for name, numbers in strand.received.items() if name != hospital},
            support={name: numbers for name, numbers in strand.support.items() if name != hospital},
            withheld=why if strand.name == hospital and not strand.over else strand.withheld,
        )
        for strand in run.strands
    )
    return replace(run, strands=strands, dropped={**run.dropped, hospital: why})


def _with(run: Run, strand: Strand) -> Run:
    return replace(run, strands=tuple(strand if old.name == strand.name else old for old in run.strands))


def _settle(study: Study, run: Run, now: datetime) -> Run:
    """Move as far as the answers at hand allow."""
    start = run
    while True:
        moved = _move(study, run)
        if moved is run:
            break
        run = moved
    if run is start or _asks(run) == _asks(start):
        return run
    return replace(run, deadline=now + timedelta(seconds=run.patience_seconds))


def _asks(run: Run) -> tuple[object, ...]:
    return (run.stage, run.step, tuple((strand.round, strand.exchange) for strand in run.strands))


def _move(study: Study, run: Run) -> Run:
    """One transition, or the same run where it has to wait."""
    if run.stage is Stage.ACCEPTING:
        seated = [hospital for hospital in run.roster if hospital not in run.dropped]
        if any(hospital not in run.accepted for hospital in seated):
            return run
        too_few = _too_few(run, seated)
        if too_few is not None:
            return replace(run, stage=Stage.FAILED, outcomes=(_nothing(too_few),))
        return _begin(study, replace(run, stage=Stage.ASKING), seated)
    if run.stage is not Stage.ASKING:
        return run
    step = _steps(study)[run.step]
    for strand in run.strands:
        if strand.over:
            continue
        too_few = _too_few(run, list(strand.hospitals))
        if too_few is not None:
            return _with(run, replace(strand, withheld=too_few))
        if set(strand.received) != set(strand.hospitals):
            continue
        if run.masked:
            return _move_masked(study, run, step, strand)
        if strand.exchange is Exchange.SUPPORT:
            return _support_opened(study, run, step, strand, strand.received)
        return _with(run, _MOVES[strand.exchange](study, run, step, strand))
    if any(not strand.over for strand in run.strands):
        return run
    return _next_step(study, run, step)


def _move_masked(study: Study, run: Run, step: Step, strand: Strand) -> Run:
    """What a gathered exchange of a masked sum leads to."""
    if strand.exchange is Exchange.KEYS:
        return _with(*handshake.keys_gathered(run, _steps(study), strand))
    if strand.exchange is Exchange.SHARES:
        return _with(*handshake.pieces_gathered(run, strand))
    if strand.exchange in MASKED:
        return _with(handshake.without_pieces(run), handshake.numbers_gathered(run, strand))
    if strand.exchange in AGREES.values():
        return _with(run, handshake.agreements_gathered(strand))
    lanes = handshake.opened(run, strand)
    if isinstance(lanes, Withholding):
        return _with(run, replace(strand, withheld=lanes))
    run = replace(run, opened=strand.members)
    if strand.exchange is Exchange.SUPPORT_OPEN:
        return _support_opened(study, run, step, strand, {NETWORK: ring.to_bytes(lanes)})
    moved = _values_opened(run, step, strand, lanes)
    if not moved.over and moved.round > strand.round:
        moved = replace(moved, exchange=handshake.first_exchange(run, moved.round), members=strand.members)
    return _with(run, moved)


def _support_opened(study: Study, run: Run, step: Step, strand: Strand, told: dict[str, bytes]) -> Run:
    """The thresholds, then the ledger: from the support, with the ledger's entries, of the network or of each hospital."""
    size = 16 * len(step.layout.cells)
    support = {name: numbers[:size] for name, numbers in told.items()}
    judged = _judge(study, run, step, strand, support)
    if isinstance(judged, Withholding):
        return _with(run, replace(strand, withheld=judged))
    is_open = unpack(judged, len(step.layout.cells), where="open")
    populations = step.statistic.populations(step.params)
    shown: tuple[str, ...] = ()
    if run.rules.noise is None and strand.round == 0:
        entries = {name: numbers[size:] for name, numbers in told.items()}
        heard = _judge_ledger(run, step, strand, _add_counts(support, len(is_open)), entries, is_open)
        if isinstance(heard, Withholding):
            return _with(run, replace(strand, withheld=heard))
        shown = heard
    elif run.rules.noise is None:
        shown = spoken_populations(step.layout, is_open, populations)
    refs = (ledger.ref(run.id, run.step, name, step.layout) for name in shown)
    answered = run.answered + tuple(ref for ref in refs if ref not in run.answered)
    moved = replace(strand, exchange=Exchange.VALUES, support=support, received={}, total=b"", open=judged)
    return _with(replace(run, answered=answered), moved)


def _judge_ledger(
    run: Run,
    step: Step,
    strand: Strand,
    support: Support,
    entries: dict[str, bytes],
    is_open: NDArray[np.bool_],
) -> tuple[str, ...] | Withholding:
    """The populations of which numbers may be shown."""
    try:
        told = _add_counts(entries, _entries(run, step, strand))
    except OverflowError:
        return _OVERFLOW
    populations = step.statistic.populations(step.params)
    judged = judge_ledger(
        step.layout,
        support,
        told,
        is_open,
        populations,
        strand.compare,
        run.rules,
        run=run.id,
        hospitals=len(strand.members or strand.hospitals),
    )
    return Withholding(rule=judged.rule.id, reason=judged.reason) if isinstance(judged, Withheld) else judged


def _values_opened(run: Run, step: Step, strand: Strand, lanes: ring.Lanes) -> Strand:
    cells = len(step.layout.cells)
    is_open = unpack(strand.open or b"", cells, where="open")
    noised = run.rules.noise is not None
    support = _add_counts(strand.support, cells)
    return stepped(step, strand, is_open, lanes, support, round_to=1, noised=noised, rules=run.rules)


def _too_few(run: Run, hospitals: list[str]) -> Withholding | None:
    if not hospitals:
        return Withholding(rule="", reason="No hospital is left in the run.")
    outside = [hospital for hospital in hospitals if hospital in run.unaffiliated]
    if run.mode is Mode.TOTAL and len(outside) < run.rules.least_hospitals:
        return Withholding(
            rule=LEAST_HOSPITALS.id,
            reason=f"A total needs {run.rules.least_hospitals} hospitals outside the asker's affiliation.",
        )
    if run.rules.noise is not None and len(hospitals) < threshold(len(run.roster)):
        return Withholding(
            rule=NOISE.id,
            reason="So many hospitals dropped out that the noise of those left is too little.",
        )
    if run.masked and not handshake.can_open(run, hospitals):
        return Withholding(
            rule=MASKS.id, reason="So many hospitals dropped out that a sum under masks can't be opened."
        )
    return None


def _nothing(why: Withholding) -> Outcome:
    return Outcome(step="", name=NETWORK, result=None, withheld=why)


def _begin(study: Study, run: Run, hospitals: list[str]) -> Run:
    """The current step's strands; one that lacks what it needs, or mustn't be asked, is over before it begins."""
    step = _steps(study)[run.step]
    total = run.mode is Mode.TOTAL
    groups = {NETWORK: tuple(hospitals)} if total else {name: (name,) for name in hospitals}
    first = Exchange.RELEASE if not total else Exchange.SUPPORT
    if run.masked:
        first = handshake.first_exchange(run, 0)
    strands = []
    for name, members in groups.items():
        carried = _carried(study, run, step, name)
        strands.append(
            Strand(
                name=name,
                hospitals=members,
                round=0,
                exchange=first,
                members=members if run.masked else (),
                state=encode(step.statistic.begin(step.params)),
                compare=_named(run),
                carried=() if isinstance(carried, Withholding) else carried,
                support={},
                received={},
                withheld=carried if isinstance(carried, Withholding) else None,
            )
        )
    return replace(run, strands=tuple(strands))


def _named(run: Run) -> tuple[str, ...]:
    """The earlier populations that a step's are held against: where exact totals are asked for."""
    if run.mode is not Mode.TOTAL or run.rules.noise is not None:
        return ()
    return (*run.past, *run.answered)[-ledger.MOST_NAMED :]


def _carried(study: Study, run: Run, step: Step, name: str) -> tuple[bytes, ...] | Withholding:
    """What the hospitals of a strand are told of earlier steps, if all is there and the step may be asked."""
    found = collect(step, run.outcomes, name)
    if isinstance(found, str):
        return Withholding(rule="", reason=f"{step.name} stands on {found}, of which there is no result.")
    kind = kind_of(study.question)
    carried = read(_steps(study), step, found, where=f"run {run.id}")
    try:
        kind.judge(study.question, step.name, carried)
    except BadState as problem:
        return Withholding(rule=LAWFUL_STATE.id, reason=problem.what)
    locked = kind.lock(study.question, step.name, carried)
    return found if locked is None else Withholding(rule=LOCKED, reason=locked)


def _judge(
    study: Study, run: Run, step: Step, strand: Strand, support: dict[str, bytes]
) -> bytes | Withholding:
    """The cells that the network's thresholds open, as a bitmap."""
    layout, rules = step.layout, run.rules
    outside = sum(hospital in run.unaffiliated for hospital in strand.hospitals)
    if rules.noise is not None:
        least = least_noised(study.question, step, rules, len(run.roster), len(strand.hospitals))
        rules = replace(rules, least_people=least)
    try:
        judged = judge_total(layout, _add_counts(support, len(layout.cells)), rules, hospitals=outside)
    except OverflowError:
        return _OVERFLOW
    if isinstance(judged, Withheld):
        return Withholding(rule=judged.rule.id, reason=judged.reason)
    return pack(judged)


def _after_values(study: Study, run: Run, step: Step, strand: Strand) -> Strand:
    """Judged once more, since hospitals may have dropped out after the support: hidden cells only become more."""
    layout = step.layout
    judged = _judge(study, run, step, strand, strand.support)
    if isinstance(judged, Withholding):
        return replace(strand, withheld=judged)
    cells = len(layout.cells)
    asked = unpack(strand.open or b"", cells, where="open")
    is_open = asked & unpack(judged, cells, where="open")
    lanes = reduce(ring.add, (ring.from_bytes(numbers, layout.size) for numbers in strand.received.values()))
    noised = run.rules.noise is not None
    support = _add_counts(strand.support, cells)
    return stepped(step, strand, is_open, lanes, support, round_to=1, noised=noised, rules=run.rules)


def _after_release(study: Study, run: Run, step: Step, strand: Strand) -> Strand:
    layout = step.layout
    cells = len(layout.cells)
    lanes = ring.from_bytes(strand.received[strand.name], cells + layout.size)
    is_open = unpack(strand.open or b"", cells, where="shown")
    try:
        support = ring.integers(lanes[:cells])
    except OverflowError:
        return replace(strand, withheld=_OVERFLOW)
    return stepped(step, strand, is_open, lanes[cells:], support, round_to=run.rules.round_to)


_MOVES: dict[Exchange, Callable[[Study, Run, Step, Strand], Strand]] = {
    Exchange.VALUES: _after_values,
    Exchange.RELEASE: _after_release,
}


_OVERFLOW = Withholding(rule=BOUNDS.id, reason="The hospitals' numbers overflow.")


def stepped(
    step: Step,
    strand: Strand,
    is_open: NDArray[np.bool_],
    lanes: ring.Lanes,
    support: Support,
    *,
    round_to: int,
    noised: bool = False,
    rules: Rules | None = None,
) -> Strand:
    """A strand after the numbers of a round: its result, its next round, or why it has none.

    Args:
        noised: whether they carry noise, so that they may be what no people add up to.
        rules: of a total; a hospital has judged its own numbers itself.
    """
    layout = step.layout
    try:
        sums = Sums.from_ring(layout, lanes)
    except OverflowError:
        return replace(strand, withheld=_OVERFLOW)
    values: Mapping[str, Numbers] = {
        field.name: np.where(is_open[field.rests_on], sums.values[field.name], 0) for field in layout.fields
    }
    if noised:
        support = np.maximum(support, 0)
        values = settled(layout, is_open, sums, support)
    shown = Sums(layout=layout, values=values)
    fault = judge_values(shown, support, round_to=round_to)
    if fault is None and rules is not None and not noised:
        fault = judge_concentration(shown, rules)
    if fault is not None:
        return replace(strand, withheld=Withholding(rule=fault.rule.id, reason=fault.reason))
    state: Any = decode(step.statistic.state, strand.state, where="state")
    released = Released(layout=layout, open=is_open, values=values)
    outcome = step.statistic.step(step.params, state, released)
    if isinstance(outcome, Done):
        return replace(strand, result=encode(outcome.result))
    if strand.round + 1 >= step.statistic.rounds(step.params):
        return replace(
            strand, withheld=Withholding(rule="", reason=f"{step.name} did not finish within its rounds.")
        )
    first = Exchange.RELEASE if strand.exchange is Exchange.RELEASE else Exchange.SUPPORT
    return replace(
        strand,
        round=strand.round + 1,
        exchange=first,
        state=encode(outcome.state),
        support={},
        received={},
        total=b"",
        open=None,
    )


def _next_step(study: Study, run: Run, step: Step) -> Run:
    outcomes = run.outcomes + tuple(
        Outcome(
            step=step.name,
            name=strand.name,
            result=strand.result,
            withheld=strand.withheld,
            hospitals=(strand.members or strand.hospitals) if strand.result is not None else (),
        )
        for strand in run.strands
    )
    steps = _steps(study)
    seated = [hospital for hospital in run.roster if hospital not in run.dropped]
    too_few = _too_few(run, seated)
    if run.step + 1 < len(steps) and too_few is None:
        return _begin(study, replace(run, outcomes=outcomes, step=run.step + 1), seated)
    outcomes += tuple(
        Outcome(step=left.name, name=NETWORK, result=None, withheld=too_few) for left in steps[run.step + 1 :]
    )
    answered = any(outcome.result is not None for outcome in outcomes)
    return replace(run, outcomes=outcomes, strands=(), stage=Stage.DONE if answered else Stage.REFUSED)


def _steps(study: Study) -> tuple[Step, ...]:
    return _made(kind_of(study.question), encode(study.question))


@lru_cache(maxsize=8)
def _made(kind: Kind[Any], question: bytes) -> tuple[Step, ...]:
    """A question's steps, with their layouts once they were needed: a run asks for them at every event."""
    return kind.steps(decode(kind.spec, question, where="question"))


def _add_counts(numbers: dict[str, bytes], size: int) -> Support:
    lanes = reduce(ring.add, (ring.from_bytes(part, size) for part in numbers.values()))
    return ring.integers(lanes)
