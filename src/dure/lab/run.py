"""A study over databases at hand: no server, no signature, and the same statistics, gate and protocol.

Responsible for: playing every hospital's part in one process. Not responsible for: permission; whoever can open the
databases can read them anyway. What it shows is exactly what a network would show.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from dure.engines.base import Engine
from dure.guard.gate import Release
from dure.guard.ledger import Memory, ref
from dure.guard.populations import Past
from dure.node.draw import draw
from dure.stats.base import Answer, Frame
from dure.study.assemble import report
from dure.study.kinds import kind_of
from dure.study.protocol import advance, open_run, pending
from dure.study.protocol.answer import message, remembered, through_gate
from dure.study.protocol.carry import read
from dure.study.protocol.noised import Noising
from dure.study.protocol.run import FINAL, compose
from dure.study.report import Report
from dure.study.spec import Study
from dure.wire.codec import decode, digest, encode
from dure.wire.messages import Acceptance, Exchange, Permit, Provenance, Task
from dure.wire.rules import Mode, Rules

Told = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Site:
    """One hospital of a lab run.

    Attributes:
        provenance: what its data are; rules may be off only for public or synthetic ones.
        past: populations that it has given numbers of in this lab.
    """

    engine: Engine
    provenance: Provenance = Provenance.REAL
    rules: Rules = field(default_factory=Rules)
    past: list[Past] = field(default_factory=list)


def run(
    study: Study, sites: Mapping[str, Site], *, now: datetime | None = None, told: Told = lambda _: None
) -> Report:
    """Ask every site and return the report.

    Args:
        told: is called with one line for each exchange.

    Raises:
        Problem: the study can't be asked, or a database can't answer it.
    """
    study.check()
    moment = now or datetime.now(UTC)
    study_digest = digest(encode(study))
    permits = {name: _permit(study, study_digest, name, site, moment) for name, site in sites.items()}
    by_digest = {digest(encode(permit)): permit for permit in permits.values()}
    manifest = compose(study_digest, study, by_digest, run=f"lab {study_digest}", now=moment, masked=False)
    hour = 3600
    answered = (past.ref for site in sites.values() for past in site.past if not past.by_hospital)
    current = open_run(
        manifest,
        unaffiliated=tuple(sites),
        patience_seconds=hour,
        deadline=moment + timedelta(seconds=hour),
        past=tuple(dict.fromkeys(answered)),
    )
    frames: dict[tuple[str, int], Frame] = {}
    while current.stage not in FINAL:
        for name, site in sites.items():
            task = pending(current, name)
            if task is None:
                continue
            told(f"{name}: {task.position.exchange}")
            if task.position.exchange is Exchange.ACCEPT:
                current = advance(
                    study,
                    current,
                    Acceptance(run=task.run, manifest=task.manifest, hospital=name),
                    now=moment,
                )
                continue
            answer = _answer(study, task, name, site, frames)
            step = kind_of(study.question).steps(study.question)[task.position.step]
            memory = remembered(task, me=name, roster=current.roster, outside=sites.keys(), past=site.past)
            noising = Noising(question=study.question, hospitals=len(current.roster), draw=draw)
            released = through_gate(step, task, answer, rules=current.rules, memory=memory, noising=noising)
            if isinstance(released, Release):
                _remember(site, memory, answer, released, current.mode)
            current = advance(study, current, message(released, task, name), now=moment)
    return report(
        study,
        study_digest=study_digest,
        run=current,
        permits={permit.hospital: (name, permit) for name, permit in by_digest.items()},
        declined={},
        silent=(),
        now=moment,
    )


def _answer(study: Study, task: Task, name: str, site: Site, frames: dict[tuple[str, int], Frame]) -> Answer:
    kind = kind_of(study.question)
    step = kind.steps(study.question)[task.position.step]
    place = (name, task.position.step)
    if place not in frames:
        carried = read(kind.steps(study.question), step, task.carried, where=f"task of {name}")
        frames[place] = kind.extract(study.question, step.name, site.engine, carried)
    state: Any = decode(step.statistic.state, task.state or b"", where="state")
    return step.statistic.local(frames[place], step.params, state)


def _remember(site: Site, memory: Memory, answer: Answer, released: Release, mode: Mode) -> None:
    known = {past.ref for past in site.past}
    for name in released.populations:
        people, told = answer.populations[name], ref(memory.run, memory.step, name, answer.sums.layout)
        if told not in known:
            site.past.append(
                Past(
                    ref=told,
                    size=len(people),
                    load=partial(np.asarray, people),
                    members=memory.members,
                    outside=memory.outside,
                    by_hospital=mode is Mode.BY_HOSPITAL,
                )
            )


def _permit(study: Study, study_digest: str, name: str, site: Site, now: datetime) -> Permit:
    steps = kind_of(study.question).steps(study.question)
    return Permit(
        study=study_digest,
        asker=study.asker,
        asker_key="",
        hospital=name,
        node_key="",
        epoch=1,
        dataset_version=site.engine.dataset.version,
        provenance=site.provenance,
        mode=study.mode,
        rules=site.rules,
        rounds=sum(step.statistic.rounds(step.params) for step in steps),
        issued=now,
        expires=study.expires,
    )
