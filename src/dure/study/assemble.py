"""From a finished run to a report. Pure: what is in it follows from the study, the permits and the run."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dure import __version__
from dure.study.kinds import kind_of
from dure.study.kinds.base import NETWORK
from dure.study.protocol.noised import deviations
from dure.study.protocol.run import Run, Stage
from dure.study.report import Part, Participation, Report, Table
from dure.study.spec import Study
from dure.wire.codec import decode
from dure.wire.messages import Permit, Provenance
from dure.wire.rules import Mode

SYNTHETIC = "Synthetic data: these people do not exist. Nothing here is evidence."
PUBLIC = "Some of these data are declared public."
RULES_OFF = "The rules of disclosure are off: every dataset is declared public or synthetic."
WITHHELD = "No number could be released: {reason}"
WITHHELD_IN_PART = "A part of the answer could not be released: {reason}"
ROUNDED = "Each hospital rounded its numbers before they left; rates are computed from rounded numbers."
NOISE_METHODS = (
    "Only sums were released, to each of which every hospital added noise before it left (discrete Gaussian shares, Kairouz, Liu and"
    " Steinke 2021). All numbers of this study together are ({epsilon}, {delta})-differentially private for one person at one hospital,"
    " even if {colluders} hospitals tell what noise they added. A number is hidden where the people behind it, counted with noise,"
    " are fewer than {people}, or than two standard deviations of it. Intervals were computed as if there were no noise: a table says how much there is."
)
ALREADY_COUNTED = "It left after its numbers were in a sum; that sum has them."
NOISED = "Every number carries noise: epsilon {epsilon}, delta {delta} for one person at one hospital. Intervals don't contain it."
COUNTED_TWICE = "People are counted per hospital: one person in two hospitals counts twice."


def report(
    study: Study,
    *,
    study_digest: str,
    run: Run,
    permits: Mapping[str, tuple[str, Permit]],
    declined: Mapping[str, str],
    silent: tuple[str, ...],
    now: datetime,
) -> Report:
    """The report of a run that is over.

    Args:
        permits: by hospital, the permit's digest and the permit.
        declined: by hospital, the board's reason.
        silent: hospitals whose boards hadn't decided when the offer closed.
    """
    kind = kind_of(study.question)
    tables = tuple(
        table
        for table in (*kind.tables(study.question, _results(study, run)), *_noise(study, run))
        if table.rows
    )
    named = {table.name for table in tables}
    return Report(
        title=study.title,
        kind=kind.name,
        asker=study.asker,
        mode=run.mode,
        rules=run.rules,
        banners=_banners(run, tuple(permit for _, permit in permits.values())),
        tables=tables,
        charts=tuple(chart for chart in kind.charts(study.question) if chart.table in named),
        methods=(*kind.methods(study.question), _disclosure(run), COUNTED_TWICE),
        participation=_participation(run, permits, declined, silent),
        study=study_digest,
        manifest=run.manifest,
        software=f"dure {__version__}",
        finished=now,
    )


def _noise(study: Study, run: Run) -> tuple[Table, ...]:
    """How much noise the numbers carry."""
    rules = run.rules.noise
    if rules is None:
        return ()
    answering = {
        outcome.step: len(outcome.hospitals) for outcome in run.outcomes if outcome.result is not None
    }
    rows = tuple(
        (one.step, one.numbers, one.deviation)
        for count in sorted(set(answering.values()))
        for one in deviations(study.question, rules, len(run.roster), count)
        if answering.get(one.step) == count
    )
    title = "Noise in these numbers"
    return (Table(name="noise", title=title, columns=("step", "numbers", "standard_deviation"), rows=rows),)


def _results(study: Study, run: Run) -> dict[str, dict[str, Any]]:
    statistics = {step.name: step.statistic for step in kind_of(study.question).steps(study.question)}
    results: dict[str, dict[str, Any]] = {name: {} for name in statistics}
    for outcome in run.outcomes:
        if outcome.result is not None:
            kind = statistics[outcome.step].result
            results[outcome.step][outcome.name] = decode(
                kind, outcome.result, where=f"result of {outcome.step}"
            )
    return results


def _banners(run: Run, permits: tuple[Permit, ...]) -> tuple[str, ...]:
    banners = []
    provenances = {permit.provenance for permit in permits}
    if Provenance.SYNTHETIC in provenances:
        banners.append(SYNTHETIC)
    if Provenance.PUBLIC in provenances:
        banners.append(PUBLIC)
    if run.rules.off:
        banners.append(RULES_OFF)
    if run.rules.noise is not None:
        noise = run.rules.noise
        banners.append(NOISED.format(epsilon=f"{noise.epsilon:g}", delta=f"{noise.delta:g}"))
    reasons = sorted({outcome.withheld.reason for outcome in run.outcomes if outcome.withheld is not None})
    if run.stage is not Stage.DONE:
        banners.append(WITHHELD.format(reason=" ".join(reasons)))
    elif any(outcome.name == NETWORK and outcome.withheld is not None for outcome in run.outcomes):
        banners.append(WITHHELD_IN_PART.format(reason=" ".join(reasons)))
    return tuple(banners)


def _disclosure(run: Run) -> str:
    rules = run.rules
    if run.rules.noise is not None:
        return NOISE_METHODS.format(
            epsilon=f"{run.rules.noise.epsilon:g}",
            delta=f"{run.rules.noise.delta:g}",
            colluders=run.rules.noise.colluders,
            people=rules.least_people,
        )
    if rules.off:
        return RULES_OFF
    if run.mode is Mode.TOTAL:
        return (
            f"Only sums over at least {rules.least_hospitals} hospitals were released. A number is hidden where it, or what"
            f" is left of a shown whole, rests on 1 to {rules.least_people - 1} people in the whole network; further numbers"
            " are hidden where a hidden one could be had by subtraction."
        )
    return (
        "Numbers were released by hospital, with each one's consent. A number is hidden where it, or what is left of a shown"
        f" whole, rests on 1 to {rules.least_people - 1} people at that hospital; further numbers are hidden where a hidden"
        f" one could be had by subtraction. {ROUNDED}"
    )


def _participation(
    run: Run, permits: Mapping[str, tuple[str, Permit]], declined: Mapping[str, str], silent: tuple[str, ...]
) -> tuple[Participation, ...]:
    parts = []
    for hospital, (digest, permit) in permits.items():
        why = run.dropped.get(hospital)
        withheld = next(
            (o.withheld for o in run.outcomes if o.name == hospital and o.withheld is not None), why
        )
        counted = any(hospital in outcome.hospitals for outcome in run.outcomes)
        part = Part.ANSWERED if withheld is None else Part.REFUSED if withheld.rule else Part.DROPPED
        reason = "" if withheld is None else withheld.reason
        if why is not None and counted:
            part, reason = Part.ANSWERED, f"{reason} {ALREADY_COUNTED}"
        parts.append(
            Participation(
                hospital=hospital,
                part=part,
                reason=reason,
                permit=digest,
                dataset_version=permit.dataset_version,
            )
        )
    parts += [
        Participation(hospital=name, part=Part.DECLINED, reason=reason) for name, reason in declined.items()
    ]
    parts += [
        Participation(
            hospital=name, part=Part.SILENT, reason="Its board had not decided when the offer closed."
        )
        for name in silent
    ]
    return tuple(sorted(parts, key=lambda part: part.hospital))
