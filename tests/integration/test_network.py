"""OHDSI's GiBleed example in five hospitals: five nodes and a hub as processes, over HTTP, give the undivided numbers."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dure.demo.network import Hospital, Network, Organisation
from dure.engines import open_engine
from dure.lab.run import Site, run
from dure.node.config import AutoSign
from dure.onboard.load import load
from dure.onboard.split import split
from dure.study.kinds.base import Cohort
from dure.study.kinds.feasibility import Feasibility
from dure.study.kinds.incidence import Incidence
from dure.study.report import Part
from dure.study.spec import Purpose, Study
from dure.wire.messages import Provenance
from dure.wire.rules import RULES_OFF, Mode, Rules

CIRCE = Path(__file__).parents[1] / "data" / "circe"
AUTO = AutoSign(
    kinds=("feasibility", "incidence"), purposes=("safety",), modes=tuple(Mode), askers=("maker",)
)
MAKER = Organisation(id="maker", name="Maker", email="a@maker.example", password="a long password")


def cohort(name):
    return Cohort(name=name, circe=json.loads((CIRCE / f"{name}.json").read_text()))


QUESTIONS = (
    Feasibility(cohort=cohort("celecoxib"), first_year=1950, last_year=2019),
    Incidence(
        target=cohort("celecoxib"),
        outcome=cohort("gi_bleed"),
        end_offset=365,
        clean_window=30,
        first_year=1950,
        last_year=2019,
    ),
)


def study(question, number, mode=Mode.TOTAL):
    now = datetime.now(UTC)
    return Study(
        title="GiBleed", asker="maker", purpose=Purpose.SAFETY, purpose_text="A test.", mode=mode, question=question,
        hospitals=(), created=now, closes=now + timedelta(minutes=2), expires=now + timedelta(hours=1), nonce=str(number),
    )  # fmt: skip


@pytest.fixture(scope="module")
def gibleed(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gibleed")
    load(shared / "data" / "gibleed_5.3_csv.zip", folder / "all.duckdb")
    split(folder / "all.duckdb", parts=5, seed=1, out_dir=folder / "parts")
    return folder


def pooled(gibleed):
    with open_engine(str(gibleed / "all.duckdb")) as engine:
        sites = {"all": Site(engine=engine, provenance=Provenance.SYNTHETIC, rules=RULES_OFF)}
        return [run(study(question, 0), sites) for question in QUESTIONS]


def network(gibleed, folder, rules, database=None):
    return Network(
        folder,
        hospitals=[
            Hospital(id=path.stem, name=path.stem, database=path, rules=rules, auto_sign=AUTO)
            for path in sorted((gibleed / "parts").glob("*.duckdb"))
        ],
        organisations=[MAKER],
        database=database,
    )


def ask(net, studies):
    with net.client("maker") as client:
        digests = [client.submit(one) for one in studies]
        for digest in digests:
            for _ in client.watch(digest):
                net.check()
        return [client.report(digest) for digest in digests]


def test_rules_off_gives_exactly_the_undivided_numbers(gibleed, tmp_path, database_url):
    """The datasets are declared synthetic, so the rules may be off; on every database that the hub can have."""
    with network(gibleed, tmp_path / "net", RULES_OFF, database_url) as net:
        reports = ask(net, [study(question, number) for number, question in enumerate(QUESTIONS)])
    for exact, report in zip(pooled(gibleed), reports, strict=True):
        assert report.tables == exact.tables
        assert all(part.part is Part.ANSWERED for part in report.participation)
        assert any("rules of disclosure are off" in banner for banner in report.banners)


def test_default_rules_hide_what_is_small_and_a_killed_node_comes_back(gibleed, tmp_path):
    with network(gibleed, tmp_path / "net", Rules()) as net:
        net.kill("hospital-3")
        with net.client("maker") as client:
            digest = client.submit(study(QUESTIONS[0], 1))
            time.sleep(1)
            assert not client.study(digest).over, "it waits for the one that is down"
            net.start_node("hospital-3")
            for _ in client.watch(digest):
                net.check()
            report = client.report(digest)
    exact = pooled(gibleed)[0]
    assert len(report.participation) == 5
    hidden = 0
    for before, after in zip(exact.tables, report.tables, strict=True):
        for old, new in zip(before.rows, after.rows, strict=True):
            assert new[-1] in {None, old[-1]}
            assert new[-1] is None or not 0 < old[-1] < 11
            hidden += new[-1] is None
    assert hidden
