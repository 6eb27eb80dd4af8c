"""All that a report of any kind says is said in Korean too, and who answered is counted."""

import re
from io import StringIO

import pytest
from rich.console import Console

from dure.client import presentation
from dure.client.terminal import show_report
from dure.features.demographics import AGE, SEX, years
from dure.look.words import Words
from dure.study import assemble
from dure.study.kinds import KINDS
from dure.study.kinds.base import Cohort
from dure.study.kinds.no_estimate import WHY, why_none
from dure.study.protocol.run import Outcome, Run, Stage, Withholding
from dure.wire.rules import Mode, Rules

KO = Words("ko")
LATIN = re.compile(r"[A-Za-z]{2,}")
WITHHELD = Withholding(
    rule="least-hospitals", reason="A total needs 3 hospitals outside the asker's affiliation."
)
NAMES = {"OHDSI", "Circe", "CohortIncidence", "FeatureExtraction", "ATLAS", "Garwood", "Xyz", "Anyone"}


@pytest.fixture(params=sorted(KINDS))
def asked(request, study):
    """A question of every kind."""
    kind = KINDS[request.param]
    cohort = Cohort(name="Xyz", circe=study.question.cohort.circe)
    cohorts = {
        name: (cohort,) if "tuple" in str(hint) else cohort
        for name, hint in kind.spec.__annotations__.items()
        if "Cohort" in str(hint)
    }
    return kind, kind.spec(**cohorts)


def _english(text):
    return [word for word in LATIN.findall(text) if word not in NAMES]


def test_titles_columns_and_methods(asked):
    kind, question = asked
    for table in kind.tables(question, {}):
        assert not _english(KO.text(table.title)), table.title
        assert not [name for name in table.columns if _english(KO.column(name))]
    for chart in kind.charts(question):
        assert not _english(KO.text(chart.title)), chart.title
    for paragraph in kind.methods(question):
        assert not _english(KO.text(paragraph)), paragraph


@pytest.mark.parametrize("level", [*AGE.levels, *SEX.levels, *years(2012, 2014).levels])
def test_levels(level):
    assert not _english(KO.text(level))


@pytest.mark.parametrize("trouble", sorted(WHY))
@pytest.mark.parametrize("suspects", [(), ("Xyz",)])
def test_why_there_is_no_estimate(trouble, suspects):
    assert not _english(KO.text(why_none(trouble, suspects)))


@pytest.mark.parametrize(
    "said",
    ["under 65", "65 and over", "from 40 years", "not known", "before exposure", "A number of its people is hidden.",
     "An arm has fewer than 10 outcomes.", "withheld", "outcome", "competing event", "p-value of the rate before exposure"],
)  # fmt: skip
def test_what_tables_of_kinds_say(said):
    assert not _english(KO.text(said))


def test_stages(study):
    stages = KINDS["feasibility"].steps(study.question)[0].params.stages
    for stage in (*stages, "1. unnamed rule"):
        assert not _english(KO.text(stage)), stage


@pytest.mark.parametrize("mode", list(Mode))
def test_banners_and_disclosure(study, mode):
    run = Run(
        id="r",
        manifest="m",
        mode=mode,
        masked=mode is Mode.TOTAL,
        rules=Rules(),
        roster=(),
        unaffiliated=(),
        stage=Stage.REFUSED,
        accepted=(),
        dropped={},
        step=0,
        strands=(),
        outcomes=(Outcome(step="people", name="network", result=None, withheld=WITHHELD),),
        deadline=study.closes,
        patience_seconds=1,
    )
    report = assemble.report(
        study, study_digest="d", run=run, permits={}, declined={}, silent=("north",), now=study.closes
    )
    for text in (*report.banners, *report.methods, report.participation[0].reason):
        assert not _english(KO.text(text)), text


def test_who_answered(report):
    assert presentation.answered(report) == (1, 2)
    lines = presentation.parts(report, KO, {"north": "북쪽 병원"})
    assert [(line.name, line.status, line.kind) for line in lines] == [
        ("북쪽 병원", "응답", "good"),
        ("south", "거절", "warn"),
    ]


def test_a_report_on_a_terminal(report):
    console = Console(record=True, width=200, file=StringIO())
    show_report(report, console)
    text = console.export_text()
    for said in (
        "1 of 2 hospitals answered.",
        "Our board says no.",
        "Nothing here is evidence.",
        "hidden",
        "40.50",
    ):
        assert said in text
    assert "–" not in text, "a row about nobody is left out"
    assert "Rates <b>of</b> something" in text
