"""One file of the asker's, and what the aggregator answers: which cells are open, then its half of their numbers.

Responsible for: every check between the file and the answer, and that each run is added once, over one list of hospitals. Not
responsible for: the checks of papers (`dure.govern.permit`) and of shares (`dure.study.protocol.by_hand`).
"""

from dataclasses import replace
from datetime import datetime

from dure.aggregator.place import Added, Place
from dure.govern.permit import NotPermitted, Verified, verify_run
from dure.study.protocol import by_hand
from dure.study.protocol.by_hand import OtherHospitals, OtherRun
from dure.wire import ring
from dure.wire.by_hand import HalfSum, Opened, ToAdd
from dure.wire.codec import decode
from dure.wire.directory import seal_key
from dure.wire.envelope import Envelope, open_sealed, peek, public_text, seal
from dure.wire.messages import Exchange


def add(place: Place, data: bytes, *, where: str, now: datetime) -> tuple[Envelope, str]:
    """The answer to a file, and what was done in a few words. The same file again gets the same answer.

    Raises:
        Untrusted, Forged, Malformed: the directory, a signature, the file. NotPermitted: the run, or this isn't its second body.
        OtherRun, HospitalMissing, AnsweredTwice, OtherHospitals, ShareUnreadable: see `dure.study.protocol.by_hand`.
    """
    told: ToAdd = decode(ToAdd, data, where=where)
    directory = place.learn(told.directory, now=now)
    run = verify_run(told.run, told.study, directory, now=now)
    _is_mine(place, run)
    asker = directory.member(run.study.asker, where=where)
    assert asker.asker_key is not None
    summed = open_sealed(HalfSum, told.summed, "half-sum", asker.asker_key, where=where)
    before = place.added(run.bench.run)
    if before is not None and before.manifest != run.digest:
        raise OtherRun(
            "Another run of this name was added here.",
            where=where,
            mend="Begin the study again; trust no such file.",
        )
    if summed.exchange is Exchange.SUPPORT:
        return _judge(place, run, told, summed, before)
    return _halve(place, run, told, summed, before)


def _is_mine(place: Place, run: Verified) -> None:
    body, here = run.aggregator, f"run {run.manifest.run}"
    if body is None or body.id != place.settings.id:
        raise NotPermitted(
            "The study names another second body.", where=here, mend="Bring it to the one that it names."
        )
    mine = place.seal_key.public_key().public_bytes_raw()
    if (
        body.body_key != public_text(place.body_key)
        or body.seal_key is None
        or seal_key(body.seal_key) != mine
    ):
        raise NotPermitted(
            "The directory lists other keys than this folder's.",
            where=here,
            mend="Use the folder whose keys the root listed.",
        )


def _judge(
    place: Place, run: Verified, told: ToAdd, summed: HalfSum, before: Added | None
) -> tuple[Envelope, str]:
    """People: both halves together are their totals, which open cells or don't."""
    bench, name = run.bench, place.settings.id
    tasks = by_hand.people_tasks(bench)
    files = by_hand.complete(bench, tasks, by_hand.heard(bench, tasks, told.halves), summed.hospitals)
    hospitals = by_hand.listed(files)
    by_hand.same_list(summed, bench, run.study.asker, Exchange.SUPPORT, hospitals)
    if before is not None:
        _once(peek(Opened, before.opened, where="runs").hospitals, hospitals, bench.run)
        return before.opened, f"the same answer as before, over {len(hospitals)} hospitals"
    mine = by_hand.add(bench, tasks, files, by_hand.seeds(place.seal_key, name))
    theirs = by_hand.other_half(bench, tasks, summed)
    totals = [ring.add(one, other) for one, other in zip(mine, theirs, strict=True)]
    steps = by_hand.judge(bench, totals, hospitals)
    opened = Opened(run=bench.run, manifest=bench.manifest, body=name, hospitals=hospitals, steps=steps)
    sealed = seal(opened, "opened", place.body_key)
    place.keep(bench.run, Added(manifest=run.digest, opened=sealed))
    count = sum(step.open is not None for step in steps)
    return sealed, f"people of {len(hospitals)} hospitals added; {count} of {len(steps)} steps are open"


def _halve(
    place: Place, run: Verified, told: ToAdd, summed: HalfSum, before: Added | None
) -> tuple[Envelope, str]:
    """Numbers: this body's half, which says nothing without the other."""
    bench, name = run.bench, place.settings.id
    if before is None:
        raise OtherRun(
            "The people of this run were not judged here.",
            where=f"run {bench.run}",
            mend="Bring the file of people first.",
        )
    opened = peek(Opened, before.opened, where="runs")
    tasks = by_hand.number_tasks(bench, opened, before.opened)
    files = by_hand.complete(bench, tasks, by_hand.heard(bench, tasks, told.halves), opened.hospitals)
    hospitals = by_hand.listed(files)
    by_hand.same_list(summed, bench, run.study.asker, Exchange.VALUES, hospitals)
    if before.summed is not None:
        _once(peek(HalfSum, before.summed, where="runs").hospitals, hospitals, bench.run)
        return before.summed, f"the same answer as before, over {len(hospitals)} hospitals"
    half = by_hand.add(bench, tasks, files, by_hand.seeds(place.seal_key, name))
    sealed = seal(
        HalfSum(
            run=bench.run,
            manifest=bench.manifest,
            exchange=Exchange.VALUES,
            body=name,
            hospitals=hospitals,
            numbers=tuple(ring.to_bytes(one) for one in half),
        ),
        "half-sum",
        place.body_key,
    )
    place.keep(bench.run, replace(before, summed=sealed))
    return sealed, f"its half of {len(tasks)} steps' numbers, over {len(hospitals)} hospitals"


def _once(before: dict[str, tuple[str, ...]], now: dict[str, tuple[str, ...]], run: str) -> None:
    if before != now:
        raise OtherHospitals(
            "Other files were added for this run before: two sums would subtract.",
            where=f"run {run}",
            mend="Nothing to do here: a run is added once.",
        )
