"""A request in plain words: what a data review board reads before it signs.

Responsible for: saying who asks what, what for, how, and everything that would leave. Not responsible for: deciding
(`decision`), showing it (`dure.cli.node`, `dure.console`).
"""

from dataclasses import dataclass, fields
from datetime import datetime

from pydantic import TypeAdapter

from dure.govern.policy import judge
from dure.guard.accounting import NoiseMissing
from dure.node.budget import Purse
from dure.node.decision import asked
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.protocol.noised import cost, deviations, objection
from dure.study.spec import Study
from dure.wire.directory import Directory
from dure.wire.rules import Mode, Noise, Rules
from dure.wire.sums import FieldKind

MODES = {
    Mode.TOTAL: "only the whole network's totals are shown",
    Mode.BY_HOSPITAL: "THIS HOSPITAL'S OWN numbers are shown, after its thresholds and rounding",
}
FIELD_KINDS = {
    FieldKind.COUNT: "a count",
    FieldKind.MOMENT: "a quantity added up",
    FieldKind.DERIVATIVE: "a derivative of a likelihood",
}


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What one step of a study would take out: groups of people, and the numbers about each.

    Attributes:
        rounds: the most times that it may be asked.
        groups: the layout's cells; the number of people in each goes to the hub.
        numbers: each field: its name, what it is, how many numbers.
    """

    step: str
    statistic: str
    rounds: int
    groups: tuple[str, ...]
    numbers: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A study in plain words.

    Attributes:
        cohorts: what the question calls them, and their names.
        settings: the question's other fields: title, value.
        forbidden: what the network's negative list says against it; nothing: it may be asked.
        rules: the least that this hospital would sign.
        noise: what that means for these numbers, and for the budget; nothing where the rules want none.
    """

    study: str
    title: str
    asker: str
    asker_name: str
    purpose: str
    purpose_text: str
    kind: str
    kind_text: str
    mode: Mode
    mode_text: str
    cohorts: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    leaving: tuple[Leaving, ...]
    hospitals: tuple[str, ...]
    rules: Rules
    noise: tuple[str, ...]
    forbidden: tuple[str, ...]
    closes: datetime
    expires: datetime


def describe(digest: str, study: Study, directory: Directory, rules: Rules, purse: Purse) -> Request:
    """The words for a study that was verified.

    Args:
        purse: the budget for noised answers.
    """
    question = study.question
    kind = kind_of(question)
    titles = _titles(kind.spec)
    values = {field.name: getattr(question, field.name) for field in fields(question) if field.name != "kind"}
    cohorts = [
        (titles.get(name, name), cohort.name)
        for name, value in values.items()
        for cohort in (value if isinstance(value, tuple) else (value,))
        if isinstance(cohort, Cohort)
    ]
    settings = [
        (titles.get(name, name), _said(value)) for name, value in values.items() if not _holds_cohorts(value)
    ]
    if study.by_hand is not None:
        body = directory.member(study.by_hand.aggregator, where="study")
        settings.append(
            ("Carried by hand, as two shares: the asker's and that of", f"{body.name} ({body.role.value})")
        )
    asker = directory.member(study.asker, where="study")
    return Request(
        study=digest,
        title=study.title,
        asker=asker.id,
        asker_name=asker.name,
        purpose=study.purpose.value,
        purpose_text=study.purpose_text,
        kind=kind.name,
        kind_text=(kind.spec.__doc__ or kind.name).strip().splitlines()[0],
        mode=study.mode,
        mode_text=MODES[study.mode],
        cohorts=tuple(cohorts),
        settings=tuple(settings),
        leaving=_leaving(study),
        hospitals=study.hospitals,
        rules=rules,
        noise=() if rules.noise is None else _noise(study, rules.noise, asked(study, directory), purse),
        forbidden=tuple(f"{fired.reason} ({fired.rule}: {fired.basis})" for fired in judge(study)),
        closes=study.closes,
        expires=study.expires,
    )


def _noise(study: Study, rules: Noise, hospitals: int, purse: Purse) -> tuple[str, ...]:
    """What noise means for a study, in sentences."""
    if study.mode is Mode.BY_HOSPITAL or study.by_hand is not None:
        return ("Only totals that go through the hub carry noise: this can't be signed.",)
    against = objection(study.question, rules, hospitals)
    if against is not None:
        return (f"{against} This can't be signed.",)
    try:
        told = cost(study.question, rules, hospitals)
        lines = deviations(study.question, rules, hospitals, hospitals)
        refused = purse.refusal(told)
        left = purse.sentence(told)
    except NoiseMissing as problem:
        return (f"{problem.what} {problem.mend}",)
    return (
        f"all numbers of the study together tell at most epsilon {rules.epsilon:g} at delta {rules.delta:g} of one person,"
        f" with up to {rules.colluders} colluding hospitals",
        *(f"{one.step}, {one.numbers}: noise with standard deviation {one.deviation:,.1f}" for one in lines),
        refused or left,
    )


def _leaving(study: Study) -> tuple[Leaving, ...]:
    found = []
    for step in kind_of(study.question).steps(study.question):
        layout = step.layout
        found.append(
            Leaving(
                step=step.name,
                statistic=step.statistic.name,
                rounds=step.statistic.rounds(step.params),
                groups=layout.cells,
                numbers=tuple((field.name, FIELD_KINDS[field.kind], field.size) for field in layout.fields),
            )
        )
    return tuple(found)


def _titles(spec: type) -> dict[str, str]:
    """The titles of a spec's fields."""
    properties = TypeAdapter(spec).json_schema().get("properties", {})
    return {name: str(part.get("title", name)) for name, part in properties.items()}


def _holds_cohorts(value: object) -> bool:
    return any(isinstance(one, Cohort) for one in (value if isinstance(value, tuple) else (value,)))


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_said(one) for one in value) or "none"
    return str(value)
