"""A study over five databases equals the study over the undivided one: OHDSI's GiBleed example, split at random."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dure.engines import open_engine
from dure.lab.run import Site, run
from dure.market.settlement import settle
from dure.market.shares import Rule, Split, information
from dure.onboard.load import load
from dure.onboard.split import split
from dure.study.kinds.base import Cohort
from dure.study.kinds.characterise import Characterise
from dure.study.kinds.distribution import Distribution
from dure.study.kinds.feasibility import Feasibility
from dure.study.kinds.incidence import Incidence
from dure.study.kinds.pathways import TreatmentPathways
from dure.study.kinds.prevalence import Prevalence
from dure.study.kinds.self_controlled import RiskWindow, SelfControlled
from dure.study.kinds.survival import Survival
from dure.study.report import Part
from dure.study.spec import Purpose, Study
from dure.wire.messages import Provenance
from dure.wire.rules import RULES_OFF, Mode, Rules
from tests.spec.market.deal import contract, quote

CIRCE = Path(__file__).parents[1] / "data" / "circe"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def cohort(name: str) -> Cohort:
    return Cohort(name=name, circe=json.loads((CIRCE / f"{name}.json").read_text()))


QUESTIONS = {
    "feasibility": Feasibility(cohort=cohort("celecoxib"), first_year=1950, last_year=2019),
    "incidence": Incidence(
        target=cohort("celecoxib"),
        outcome=cohort("gi_bleed"),
        end_offset=365,
        clean_window=30,
        first_year=1950,
        last_year=2019,
    ),
    "standardised": Incidence(
        target=cohort("celecoxib"), outcome=cohort("gi_bleed"), breakdowns=(), standard="who_2000"
    ),
    "prevalence": Prevalence(
        target=cohort("celecoxib"),
        condition=cohort("gi_bleed"),
        first_day=date(1990, 1, 1),
        last_day=date(1999, 12, 31),
    ),
    "characterise": Characterise(target=cohort("celecoxib"), comparator=cohort("gi_bleed")),
    "pathways": TreatmentPathways(
        target=cohort("celecoxib"), events=(cohort("gi_bleed"),), combination_window=0, depth=2
    ),
    "survival": Survival(
        arms=(cohort("celecoxib"),), outcome=cohort("gi_bleed"), death_competes=True, horizon=365, width=7
    ),
    "distribution": Distribution(cohort=cohort("celecoxib"), variable="days_before", bins=8),
}


def study(question, mode=Mode.TOTAL) -> Study:
    return Study(
        title="GiBleed",
        asker="maker",
        purpose=Purpose.SAFETY,
        purpose_text="A test on synthetic people.",
        mode=mode,
        question=question,
        hospitals=(),
        created=NOW,
        closes=NOW + timedelta(hours=1),
        expires=NOW + timedelta(days=1),
        nonce="1",
    )


@pytest.fixture(scope="module")
def gibleed(shared, tmp_path_factory):
    """The undivided database, and its people at random in five."""
    folder = tmp_path_factory.mktemp("gibleed")
    account = load(shared / "data" / "gibleed_5.3_csv.zip", folder / "all.duckdb")
    assert account.read == account.loaded + account.rejected
    split(folder / "all.duckdb", parts=5, seed=1, out_dir=folder / "parts")
    engines = {path.stem: open_engine(str(path)) for path in sorted((folder / "parts").glob("*.duckdb"))}
    whole = open_engine(str(folder / "all.duckdb"))
    yield whole, engines
    for engine in (whole, *engines.values()):
        engine.close()


def sites(engines, rules):
    return {
        name: Site(engine=engine, provenance=Provenance.SYNTHETIC, rules=rules)
        for name, engine in engines.items()
    }


@pytest.mark.parametrize("question", QUESTIONS)
def test_five_hospitals_give_the_undivided_numbers(gibleed, question):
    whole, parts = gibleed
    pooled = run(study(QUESTIONS[question]), sites({"all": whole}, RULES_OFF), now=NOW)
    network = run(study(QUESTIONS[question]), sites(parts, RULES_OFF), now=NOW)
    assert network.tables == pooled.tables
    assert any(value for table in network.tables for row in table.rows for value in row[2:])
    assert "rules of disclosure are off" in " ".join(network.banners)


def test_ratios_within_people_are_those_of_the_undivided_database(gibleed):
    whole, parts = gibleed
    question = SelfControlled(
        exposure=cohort("celecoxib"),
        outcome=cohort("gi_bleed"),
        windows=(RiskWindow(name="ten days after", start=0, end_anchor="start", end=10),),
        pre_exposure=0,
    )
    pooled = run(study(question), sites({"all": whole}, RULES_OFF), now=NOW)
    network = run(study(question), sites(parts, RULES_OFF), now=NOW)
    (before,), (after,) = (
        next(table for table in answer.tables if table.name == "ratios").rows for answer in (pooled, network)
    )
    assert before[:2] == after[:2] == ("network", "ten days after")
    assert after[2:] == pytest.approx(before[2:], rel=1e-9)
    assert before[2] > 1


@pytest.mark.parametrize("question", ["feasibility", "incidence"])
def test_default_rules_hide_small_numbers_and_change_no_other(gibleed, question):
    whole, parts = gibleed
    pooled = run(study(QUESTIONS[question]), sites({"all": whole}, RULES_OFF), now=NOW)
    network = run(study(QUESTIONS[question]), sites(parts, Rules()), now=NOW)
    hidden = 0
    for exact, shown in zip(pooled.tables, network.tables, strict=True):
        people = exact.columns.index("people")
        for before, after in zip(exact.rows, shown.rows, strict=True):
            if 0 < before[people] < 11:
                assert after[people] is None
            hidden += after[people] is None
            assert all(value is None or value == other for value, other in zip(after, before, strict=True))
    assert hidden


def test_by_hospital_rounds_and_names_every_hospital(gibleed):
    _, parts = gibleed
    answer = run(study(QUESTIONS["feasibility"], Mode.BY_HOSPITAL), sites(parts, Rules()), now=NOW)
    assert [part.hospital for part in answer.participation] == sorted(parts)
    counts = [row[-1] for table in answer.tables for row in table.rows if row[-1] is not None]
    assert any(counts)
    assert all(count % 10 == 0 for count in counts)


@pytest.mark.parametrize(
    ("question", "split"),
    [
        ("feasibility", Split(rule=Rule.EQUAL)),
        ("standardised", Split(rule=Rule.SHAPLEY, table="overall", low="rate_low", high="rate_high")),
    ],
)
def test_a_network_s_report_is_settled_by_what_it_shows(gibleed, question, split):
    _, parts = gibleed
    answer = run(study(QUESTIONS[question], Mode.BY_HOSPITAL), sites(parts, Rules()), now=NOW)
    hospitals = tuple(sorted(parts))
    terms = {"hospitals": hospitals, "buyer": "maker", "study": answer.study, "mode": Mode.BY_HOSPITAL}
    made = settle(contract(quote(split=split, **terms)), answer)
    shown = {delivery.hospital for delivery in made.metered if delivery.numbers}
    assert shown
    assert made.hospitals.keys() == shown
    assert sum(made.hospitals.values()) == made.bill.hospitals >= 1_000_000 * len(shown)
    if split.rule is Rule.SHAPLEY:
        told = information(split, answer, hospitals)
        assert all(told.values())
        assert sorted(shown, key=made.hospitals.get) == sorted(shown, key=told.get)


def test_a_cohort_that_differs_by_a_few_people_is_refused_by_hospital(gibleed):
    """The same question about everyone but the oldest few would give those few by subtraction."""
    _, parts = gibleed
    five = sites(parts, Rules())
    first = QUESTIONS["feasibility"]
    run(study(first, Mode.BY_HOSPITAL), five, now=NOW)
    definition = json.loads(json.dumps(first.cohort.circe))
    age = {"Value": 46, "Op": "lt"}
    definition["InclusionRules"][0]["expression"]["DemographicCriteriaList"].append({"Age": age})
    second = Feasibility(cohort=Cohort(name="younger", circe=definition), first_year=1950, last_year=2019)
    answer = run(study(second, Mode.BY_HOSPITAL), five, now=NOW)
    refused = [part for part in answer.participation if part.part is Part.REFUSED]
    assert refused
    assert all("differ by a few" in part.reason for part in refused)
