"""Every kind of study, once, on a hub and three nodes as processes: totals under masks are what the lab says without."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dure import demo
from dure.client import study_file
from dure.demo import synth
from dure.demo.network import Hospital, Network, Organisation
from dure.engines import open_engine
from dure.lab.run import Site, run
from dure.node.budget import Budget
from dure.node.config import AutoSign
from dure.node.place import opened
from dure.study.kinds import KINDS
from dure.study.protocol.noised import cost
from dure.study.report import Part
from dure.wire.messages import Provenance
from dure.wire.rules import Mode, Noise, Rules

STUDIES = Path(demo.__file__).parent / "studies"
MAKER = Organisation(id="maker", name="Maker", email="a@maker.example", password="a long password")
ASKED = {
    "1_heart_failure_feasibility.yaml": {},
    "2_heart_failure_incidence.yaml": {},
    "7_diabetes_characterise.yaml": {},
    "8_diabetes_pathways.yaml": {},
    "10_diabetes_prevalence.yaml": {},
    # Without negative controls the outcome stays shut: that ends it after the balance.
    "11_heart_failure_effect.yaml": {"control_concepts": (), "pieces": 1, "penalty": 0.005},
    "12_mortality_survival.yaml": {"death_competes": True, "width": 365},
    "13_sun_cream_self_controlled.yaml": {},
    "14_antiplatelet_subgroup.yaml": {"adjust": (), "ages": (), "by_sex": False},
    "15_diabetes_age_distribution.yaml": {},
}


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nation")
    for number in (1, 2, 3):
        synth.generate(persons=4000, seed=2026, hospital=number, path=folder / f"h{number}.duckdb")
    return {f"h{number}": folder / f"h{number}.duckdb" for number in (1, 2, 3)}


def asked(file):
    now = datetime.now(UTC)
    study = study_file.read(STUDIES / file).study(asker="maker", lasting=timedelta(hours=2), now=now)
    study = replace(study, mode=Mode.TOTAL, closes=now + timedelta(hours=1))
    return replace(study, question=replace(study.question, **ASKED[file]))


def alone(study, hospitals):
    engines = {name: open_engine(str(path)) for name, path in hospitals.items()}
    sites = {
        name: Site(engine=engine, provenance=Provenance.SYNTHETIC, rules=Rules())
        for name, engine in engines.items()
    }
    try:
        return run(study, sites)
    finally:
        for engine in engines.values():
            engine.close()


@pytest.mark.slow
def test_every_kind_under_masks(hospitals, tmp_path):
    studies = [asked(file) for file in ASKED]
    assert {study.question.kind for study in studies} == set(KINDS)
    auto = AutoSign(
        kinds=tuple(KINDS),
        purposes=tuple({study.purpose.value for study in studies}),
        modes=(Mode.TOTAL,),
        askers=("maker",),
    )
    net = Network(
        tmp_path / "net",
        hospitals=[
            Hospital(id=name, name=name, database=path, rules=Rules(), auto_sign=auto)
            for name, path in hospitals.items()
        ],
        organisations=[MAKER],
    )
    with net, net.client("maker") as client:
        for study in studies:
            digest = client.submit(study)
            for _ in client.watch(digest):
                net.check()
            report = client.report(digest)
            assert [part.part for part in report.participation] == [Part.ANSWERED] * 3, study.title
            assert report.tables == alone(study, hospitals).tables, study.title
            assert any(table.rows for table in report.tables), study.title
            assert report.methods, study.title


@pytest.mark.slow
def test_noise_that_one_board_wants(hospitals, tmp_path):
    """All add it, and all pay; a second study is more than the smallest budget, and that board doesn't sign."""
    first, second = asked("10_diabetes_prevalence.yaml"), asked("10_diabetes_prevalence.yaml")
    auto = AutoSign(
        kinds=("prevalence",), purposes=(first.purpose.value,), modes=(Mode.TOTAL,), askers=("maker",)
    )
    noise = Noise(epsilon=2.0, delta=1e-6)
    net = Network(
        tmp_path / "net",
        hospitals=[
            Hospital(
                id=name,
                name=name,
                database=path,
                rules=Rules(noise=noise if name == "h1" else None),
                budget=Budget(epsilon=2.5 if name == "h1" else 20.0, delta=1e-6),
                auto_sign=auto,
            )
            for name, path in hospitals.items()
        ],
        organisations=[MAKER],
    )
    with net, net.client("maker") as client:
        digest = client.submit(first)
        for _ in client.watch(digest):
            net.check()
        report = client.report(digest)
        assert [part.part for part in report.participation] == [Part.ANSWERED] * 3
        assert report.rules.noise == noise
        told, exact = (
            {table.name: table for table in each.tables} for each in (report, alone(first, hospitals))
        )
        ((step, numbers, deviation),) = told["noise"].rows
        assert (step, numbers) == ("people", "people")
        people, truth = told["overall"].rows[0][1], exact["overall"].rows[0][1]
        assert abs(people - truth) < 8 * deviation
        assert told["by_age"].rows != exact["by_age"].rows
        for hospital in net.hospitals:
            with opened(net.node_folder(hospital.id)) as place:
                assert place.journal.spent() == pytest.approx(cost(first.question, noise, 3))
                assert place.journal.populations() == []
        digest = client.submit(second)
        while True:
            net.check()
            states = {part.hospital: part.state for part in client.study(digest).parts}
            if [states[name] for name in ("h2", "h3")] == ["signed"] * 2:
                break
            time.sleep(0.1)
        assert states["h1"] == "offered"
