"""Studies, cohorts and a report for the client's tests."""

import json
from datetime import UTC, datetime

import pytest

from dure.study.report import Chart, Part, Participation, Report, Table
from dure.wire.rules import Mode, Rules

CIRCE = {
    "ConceptSets": [],
    "PrimaryCriteria": {
        "CriteriaList": [{"ConditionOccurrence": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    },
    "QualifiedLimit": {"Type": "First"},
    "ExpressionLimit": {"Type": "First"},
    "InclusionRules": [],
    "CensoringCriteria": [],
    "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0},
}
STUDY = """\
title: Anyone with a condition
purpose: research
purpose_text: To see whether the network answers.
mode: total
closes_in: 2 hours
expires_in: 1 day
question:
  kind: feasibility
  cohort: {name: Anyone, file: anyone.json}
  breakdowns: [age, sex]
"""


@pytest.fixture
def study_folder(tmp_path):
    """A folder with study.yaml and the cohort that it names."""
    (tmp_path / "anyone.json").write_text(json.dumps(CIRCE))
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def report():
    """A report with a hidden number, a zero, a rate of nobody, and a hospital that declined."""
    return Report(
        title="Rates <b>of</b> something",
        kind="incidence",
        asker="aram",
        mode=Mode.TOTAL,
        rules=Rules(),
        banners=("Synthetic data: these people do not exist. Nothing here is evidence.",),
        tables=(
            Table(
                name="by_sex",
                title="Incidence by sex",
                columns=(
                    "hospital",
                    "sex",
                    "people",
                    "outcomes",
                    "rate_per_1000_person_years",
                    "rate_low",
                    "rate_high",
                ),
                rows=(
                    ("network", "female", 100, 12, 40.5, 30.25, 52.0),
                    ("network", "male", None, None, None, None, None),
                    ("network", "other or unknown", 0, 0, None, None, None),
                ),
            ),
        ),
        charts=(
            Chart(
                table="by_sex",
                title="Incidence by sex",
                form="interval",
                x="sex",
                y="rate_per_1000_person_years",
                low="rate_low",
                high="rate_high",
                panel="hospital",
            ),
        ),
        methods=("People are counted per hospital: one person in two hospitals counts twice.",),
        participation=(
            Participation(
                hospital="north",
                part=Part.ANSWERED,
                reason="",
                permit="sha256:" + "a" * 64,
                dataset_version="v1",
            ),
            Participation(hospital="south", part=Part.DECLINED, reason="Our board says no."),
        ),
        study="sha256:" + "1" * 64,
        manifest="sha256:" + "2" * 64,
        software="dure 0.1.0",
        finished=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )
