"""Answers carried by hand: what is asked, what a hospital says, what each of two bodies adds, how the halves make a total. Pure.

Responsible for: every check between a file that was brought and a sum. Not responsible for: permits and who the bodies are
(`dure.govern.permit`), the arithmetic of shares (`dure.guard.halves`), files and keys on a disk (`dure.client`, `dure.aggregator`).

Two trips: people first (SUPPORT), all steps at once, then numbers (VALUES) of what the aggregator opened. The asker gives its half of the people to the
aggregator, which alone sees their totals and judges them; the aggregator gives its half of the numbers to the asker. Each body adds over one list
of files only, once, and says which: halves of two lists make no total of anything, and two lists would subtract.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from dure.guard import halves, ledger, masks
from dure.guard.gate import Withheld, judge_ledger, judge_total
from dure.guard.register import BOUNDS
from dure.study.kinds.base import NETWORK, Step
from dure.study.protocol import batch
from dure.study.protocol.run import Outcome, Strand, Withholding
from dure.study.protocol.transitions import stepped
from dure.wire import ring
from dure.wire.by_hand import HalfSum, Halves, Opened, OpenedStep
from dure.wire.codec import digest, encode
from dure.wire.envelope import Envelope, open_sealed, peek
from dure.wire.messages import Contribution, Exchange, Position, Task, pack, unpack
from dure.wire.problems import Problem
from dure.wire.rules import Rules

OVERFLOW = "The hospitals' numbers overflow."


class OtherRun(Problem):
    """A file of another run, exchange or question."""

    slug, title, status, exit_code = "other-run", "This file belongs to another run", 409, 33


class HospitalMissing(Problem):
    """A hospital whose file, or part of it, isn't there."""

    slug, title, status, exit_code = "hospital-missing", "A hospital's file is missing", 409, 34


class AnsweredTwice(Problem):
    """Two different answers of one hospital to one question."""

    slug, title, status, exit_code = "answered-twice", "A hospital answered twice, and differently", 409, 35


class OtherHospitals(Problem):
    """The two bodies would add over different files, or one of them a second time over others."""

    slug, title, status, exit_code = "other-hospitals", "The two bodies would add different files", 403, 37


class ShareUnreadable(Problem):
    """A share that this body's key doesn't open, or that isn't as long as the study says."""

    slug, title, status, exit_code = "share-unreadable", "A share cannot be read", 422, 38


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a body knows of a run before it adds.

    Attributes:
        manifest: its digest.
        node_keys: of every hospital of the run, by its permit.
        outside: the hospitals outside the asker's affiliation; `rules.least_hospitals` of them a sum needs.
    """

    run: str
    manifest: str
    steps: Sequence[Step]
    node_keys: Mapping[str, str]
    outside: frozenset[str]
    rules: Rules


Heard = Mapping[str, tuple[Halves, ...]]
"""What each hospital said, in the order of the tasks."""


def people_tasks(bench: Bench) -> tuple[Task, ...]:
    """What is asked in the first trip: the people of every step."""
    return tuple(_task(bench, number, Exchange.SUPPORT) for number in range(len(bench.steps)))


def number_tasks(bench: Bench, opened: Opened, word: Envelope) -> tuple[Task, ...]:
    """What is asked in the second trip: the numbers that the aggregator opened.

    Args:
        word: `opened` as the aggregator signed it, which every hospital is shown.
    """
    return tuple(
        replace(
            _task(bench, number, Exchange.VALUES),
            open=step.open,
            members=tuple(sorted(opened.hospitals)),
            sealed={opened.body: word},
        )
        for number, step in enumerate(opened.steps)
        if step.open is not None
    )


def _task(bench: Bench, number: int, exchange: Exchange) -> Task:
    step = bench.steps[number]
    return Task(
        run=bench.run,
        manifest=bench.manifest,
        position=Position(step=number, round=0, exchange=exchange),
        state=encode(step.statistic.begin(step.params)),
    )


# the hospital


def halve(
    told: Contribution, *, secret: bytes, asker: tuple[str, bytes], aggregator: tuple[str, bytes]
) -> Halves:
    """A contribution as two shares.

    Args:
        secret: 32 fresh random bytes.
        asker, aggregator: each body's id, and the X25519 key to which its share is sealed.
    """
    place = batch.place(told.run, told.position)
    vector, seed = halves.split(ring.from_bytes(told.numbers, len(told.numbers) // 16), secret, place)

    def sealed(share: bytes, body: tuple[str, bytes]) -> bytes:
        name, key = body
        about = _about(told.run, told.manifest, place, told.hospital, name)
        try:
            return masks.seal_pieces(share, key, about=about)
        except ValueError:
            raise ShareUnreadable(
                f"Nothing can be sealed to the key of {name}.",
                where=f"run {told.run}",
                mend="Nothing to do here: that body makes itself another key.",
            ) from None

    return Halves(
        run=told.run,
        manifest=told.manifest,
        hospital=told.hospital,
        position=told.position,
        task=told.task,
        layout=told.layout,
        vector=sealed(ring.to_bytes(vector), asker),
        seed=sealed(seed, aggregator),
    )


# both bodies


def heard(bench: Bench, tasks: Sequence[Task], told: Iterable[Envelope]) -> dict[str, dict[int, Envelope]]:
    """Whose answers to the tasks are among the files' envelopes, by hospital and place among the tasks.

    Raises:
        OtherRun: an answer to something else. AnsweredTwice: two that differ. Forged, Malformed: not as a hospital signed it.
    """
    at = {task.position: number for number, task in enumerate(tasks)}
    expected = [digest(encode(task)) for task in tasks]
    found: dict[str, dict[int, Envelope]] = {}
    for envelope in told:
        claimed = peek(Halves, envelope, where="a hospital's file")
        here = f"file of {claimed.hospital}"
        if (claimed.run, claimed.manifest) != (
            bench.run,
            bench.manifest,
        ) or claimed.hospital not in bench.node_keys:
            raise OtherRun(
                f"It answers in run {claimed.run}, not {bench.run}.",
                where=here,
                mend="Bring the file that this hospital exported for this study.",
            )
        said = open_sealed(Halves, envelope, "halves", bench.node_keys[claimed.hospital], where=here)
        number = at.get(said.position)
        if number is None:
            raise OtherRun(
                f"It answers {said.position.exchange.value} of step {said.position.step + 1}, which isn't asked now.",
                where=here,
                mend="Bring the newest file of this hospital: dure node export",
            )
        layout = bench.steps[said.position.step].layout.digest
        if said.task != expected[number] or said.layout != layout:
            raise OtherRun(
                "It answers another question than this run's.",
                where=here,
                mend="Give the hospital this run's file again, and bring what it exports then.",
            )
        known = found.setdefault(said.hospital, {}).setdefault(number, envelope)
        if known.payload != envelope.payload:
            raise AnsweredTwice(
                f"{said.hospital} gave two different answers to one question.",
                where=here,
                mend="Ask the hospital: its node gives one answer only. Nothing is added until it is clear.",
            )
    return found


def complete(
    bench: Bench,
    tasks: Sequence[Task],
    found: Mapping[str, Mapping[int, Envelope]],
    hospitals: Collection[str],
) -> dict[str, tuple[Envelope, ...]]:
    """Every answer of exactly these hospitals.

    Raises:
        HospitalMissing: a file, or a part of one. OtherHospitals: too few, or a file of a hospital that isn't among them.
    """
    strangers = sorted(set(found) - set(hospitals))
    if strangers:
        raise OtherHospitals(
            f"There is a file of {', '.join(strangers)}, who is not in this sum.",
            where=f"run {bench.run}",
            mend="Leave it out: once a list of hospitals is fixed, nobody joins it.",
        )
    if len(bench.outside & set(hospitals)) < bench.rules.least_hospitals:
        raise OtherHospitals(
            f"A sum needs {bench.rules.least_hospitals} hospitals outside the asker's affiliation.",
            where=f"run {bench.run}",
            mend="Wait for more hospitals' files.",
        )
    for name in sorted(hospitals):
        lacking = len(tasks) - len(found.get(name, {}))
        if lacking:
            raise HospitalMissing(
                f"{lacking} of {len(tasks)} answers of {name} are missing.",
                where=f"run {bench.run}",
                mend="Bring the file that its node exports once it has answered.",
            )
    return {name: tuple(found[name][at] for at in range(len(tasks))) for name in sorted(hospitals)}


def listed(files: Mapping[str, Sequence[Envelope]]) -> dict[str, tuple[str, ...]]:
    """The list of files that a body signs."""
    return {name: tuple(envelope.digest for envelope in told) for name, told in sorted(files.items())}


def same_list(
    summed: HalfSum, bench: Bench, body: str, exchange: Exchange, hospitals: Mapping[str, tuple[str, ...]]
) -> None:
    """Raise OtherHospitals, or OtherRun, where the other body has added something else than these files."""
    if (summed.run, summed.manifest, summed.body, summed.exchange) != (
        bench.run,
        bench.manifest,
        body,
        exchange,
    ):
        raise OtherRun(
            f"The half sum is {summed.body}'s of {summed.exchange.value} in run {summed.run}.",
            where=f"run {bench.run}",
            mend="Bring the file that was made for this run.",
        )
    if summed.hospitals != hospitals:
        differ = sorted(
            name
            for name in set(summed.hospitals) | set(hospitals)
            if summed.hospitals.get(name) != hospitals.get(name)
        )
        raise OtherHospitals(
            f"The other body added other files of: {', '.join(differ)}.",
            where=f"run {bench.run}",
            mend="Both must add the same files; nothing was added here.",
        )


def add(
    bench: Bench,
    tasks: Sequence[Task],
    files: Mapping[str, Sequence[Envelope]],
    share: Callable[[Halves, int], ring.Lanes],
) -> tuple[ring.Lanes, ...]:
    """One body's half of each task's sum.

    Args:
        share: this body's share of one answer, of so many elements: `vectors` or `seeds`.

    Raises:
        ShareUnreadable: of whichever hospital it is.
    """
    sums = []
    for at, task in enumerate(tasks):
        size = elements(bench.steps[task.position.step], task.position.exchange)
        told = (peek(Halves, envelopes[at], where=name) for name, envelopes in files.items())
        sums.append(reduce(ring.add, (share(one, size) for one in told)))
    return tuple(sums)


def other_half(bench: Bench, tasks: Sequence[Task], summed: HalfSum) -> tuple[ring.Lanes, ...]:
    """The other body's half of each task's sum. Raises ShareUnreadable where it has another number or length."""
    sizes = [elements(bench.steps[task.position.step], task.position.exchange) for task in tasks]
    if [len(numbers) for numbers in summed.numbers] != [16 * size for size in sizes]:
        raise ShareUnreadable(
            f"The half sum of {summed.body} has another number of elements than the study.",
            where=f"run {bench.run}",
            mend="Bring the file that it made for this run.",
        )
    return tuple(ring.from_bytes(numbers, size) for numbers, size in zip(summed.numbers, sizes, strict=True))


def vectors(key: X25519PrivateKey, body: str) -> Callable[[Halves, int], ring.Lanes]:
    """The asker's shares, as `add` takes them."""

    def share(told: Halves, size: int) -> ring.Lanes:
        return _read(
            told, body, lambda about: ring.from_bytes(masks.open_pieces(told.vector, key, about=about), size)
        )

    return share


def seeds(key: X25519PrivateKey, body: str) -> Callable[[Halves, int], ring.Lanes]:
    """The aggregator's shares, as `add` takes them."""

    def share(told: Halves, size: int) -> ring.Lanes:
        return _read(
            told, body, lambda about: halves.expanded(masks.open_pieces(told.seed, key, about=about), size)
        )

    return share


def _read(told: Halves, body: str, read: Callable[[bytes], ring.Lanes]) -> ring.Lanes:
    place = batch.place(told.run, told.position)
    try:
        return read(_about(told.run, told.manifest, place, told.hospital, body))
    except (InvalidTag, ValueError):
        raise ShareUnreadable(
            f"The share of {told.hospital} does not open with this key, or has another length.",
            where=f"file of {told.hospital}, {place}",
            mend="Check that this is the body that the study names, with the key that the directory lists.",
        ) from None


def elements(step: Step, exchange: Exchange) -> int:
    """How many numbers a hospital says of a step: its cells' people and the ledger's entries, or its fields."""
    if exchange is Exchange.VALUES:
        return step.layout.size
    return len(step.layout.cells) + ledger.size(len(step.statistic.populations(step.params)), 0)


# the aggregator


def judge(bench: Bench, totals: Sequence[ring.Lanes], hospitals: Collection[str]) -> tuple[OpenedStep, ...]:
    """The network's thresholds, on the people of every step."""
    return tuple(
        _judged(bench, step, total, hospitals) for step, total in zip(bench.steps, totals, strict=True)
    )


def _judged(bench: Bench, step: Step, total: ring.Lanes, hospitals: Collection[str]) -> OpenedStep:
    layout, rules = step.layout, bench.rules
    cells = len(layout.cells)
    try:
        told = ring.integers(total)
    except OverflowError:
        return _shut(cells, BOUNDS.id, OVERFLOW)
    support = told[:cells]
    is_open = judge_total(layout, support, rules, hospitals=len(bench.outside & set(hospitals)))
    if isinstance(is_open, Withheld):
        return _shut(cells, is_open.rule.id, is_open.reason)
    populations = step.statistic.populations(step.params)
    shown = judge_ledger(
        layout,
        support,
        told[cells:],
        is_open,
        populations,
        (),
        rules,
        run=bench.run,
        hospitals=len(hospitals),
    )
    if isinstance(shown, Withheld):
        return _shut(cells, shown.rule.id, shown.reason)
    return OpenedStep(open=pack(is_open), support=tuple(np.where(is_open, support, 0).tolist()))


def _shut(cells: int, rule: str, reason: str) -> OpenedStep:
    return OpenedStep(open=None, support=(0,) * cells, rule=rule, reason=reason)


# the asker


def outcomes(bench: Bench, opened: Opened, totals: Sequence[ring.Lanes]) -> tuple[Outcome, ...]:
    """What comes of every step.

    Args:
        totals: of the steps that were opened, in order.
    """
    left = list(totals)
    found = []
    for step, judged in zip(bench.steps, opened.steps, strict=True):
        if judged.open is None:
            why = Withholding(rule=judged.rule, reason=judged.reason)
            found.append(Outcome(step=step.name, name=NETWORK, result=None, withheld=why))
        else:
            found.append(_outcome(step, judged, left.pop(0), tuple(sorted(opened.hospitals))))
    return tuple(found)


def _outcome(step: Step, judged: OpenedStep, lanes: ring.Lanes, hospitals: tuple[str, ...]) -> Outcome:
    strand = Strand(
        name=NETWORK,
        hospitals=hospitals,
        round=0,
        exchange=Exchange.VALUES,
        state=encode(step.statistic.begin(step.params)),
        support={},
        received={},
    )
    is_open = unpack(judged.open or b"", len(step.layout.cells), where=f"cells opened of {step.name}")
    support = np.array(judged.support, dtype=np.int64)
    done = stepped(step, strand, is_open, lanes, support, round_to=1)
    return Outcome(
        step=step.name,
        name=NETWORK,
        result=done.result,
        withheld=done.withheld,
        hospitals=hospitals if done.result is not None else (),
    )


def _about(run: str, manifest: str, place: str, hospital: str, body: str) -> bytes:
    return "\n".join(("dure halves", run, manifest, place, hospital, body)).encode()


def fits(bench: Bench, opened: Opened) -> None:
    """Raise OtherRun where what the aggregator opened isn't laid out as this run's steps."""
    cells = [len(step.layout.cells) for step in bench.steps]
    bitmaps = [
        step.open is None or len(step.open) == (count + 7) // 8
        for step, count in zip(opened.steps, cells, strict=False)
    ]
    if [len(step.support) for step in opened.steps] != cells or not all(bitmaps):
        raise OtherRun(
            "The aggregator's word is laid out otherwise than this run.",
            where=f"run {bench.run}",
            mend="Bring the file that it gave for this run.",
        )
