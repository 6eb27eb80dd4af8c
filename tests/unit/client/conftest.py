"""Studies, cohorts and a report for the client's tests."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.client import study_file
from dure.client.connection import Client
from dure.client.transport import Transport
from dure.study.protocol.run import compose
from dure.study.report import Chart, Part, Participation, Report, Table
from dure.wire.answers import StudyNow, StudyState
from dure.wire.codec import decode, digest, encode
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import public_text, seal
from dure.wire.messages import Permit, Provenance
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


class Network:
    """A root, an asker, three hospitals and a hub that answers what it is told to: all keys are real."""

    def __init__(self):
        self.root, self.asker, self.other = (Ed25519PrivateKey.generate() for _ in range(3))
        self.boards = {name: Ed25519PrivateKey.generate() for name in ("east", "north", "south")}
        self.answers = {}
        self.requests = []
        self.list_members()

    def list_members(self, *, version=1, signer=None, expires=timedelta(days=1)):
        """Sign a directory, by the root unless another signs."""
        holders = tuple(
            Member(
                id=name,
                name=name.title() + " Hospital",
                role=Role.HOLDER,
                affiliation=name,
                board_key=public_text(board),
                node_key=public_text(board),
            )
            for name, board in self.boards.items()
        )
        user = Member(
            id="aram", name="Aram", role=Role.USER, affiliation="aram", asker_key=public_text(self.asker)
        )
        issued = datetime.now(UTC) - timedelta(days=2)
        directory = Directory(
            version=version, issued=issued, expires=datetime.now(UTC) + expires, members=(user, *holders)
        )
        self.answers["GET /v1/directory"] = encode(seal(directory, "directory", signer or self.root))

    def client(self, **more):
        """A client of this network, as the asker."""
        given = {"root": public_text(self.root), "key": self.asker, **more}
        return Client(
            Transport(
                "https://hub.example", "t", transport=httpx.MockTransport(self.answer), pause=lambda s: None
            ),
            **given,
        )

    def answer(self, request):
        """What the hub says."""
        self.requests.append(request)
        door = f"{request.method} {request.url.path}"
        told = self.answers.get(door)
        if callable(told):
            return told(request)
        return (
            httpx.Response(404, json={"title": "Nothing"})
            if told is None
            else httpx.Response(200, content=told)
        )

    def ask(self, study):
        """Let every board permit a study and the hub report it; returns what the hub will say, to be spoiled."""
        envelope = seal(study, "study", self.asker)
        permits = tuple(
            seal(
                Permit(
                    study=envelope.digest,
                    asker="aram",
                    asker_key=public_text(self.asker),
                    hospital=name,
                    node_key=public_text(board),
                    epoch=1,
                    dataset_version="v1",
                    provenance=Provenance.REAL,
                    mode=study.mode,
                    rules=Rules(),
                    rounds=9,
                    issued=study.created,
                    expires=study.expires,
                ),
                "permit",
                board,
            )
            for name, board in self.boards.items()
        )
        opened = {permit.digest: decode(Permit, permit.payload, where="t") for permit in permits}
        manifest = encode(compose(envelope.digest, study, opened, run="r", now=study.created))
        parts = tuple(
            Participation(
                hospital=permit.hospital, part=Part.ANSWERED, reason="", permit=key, dataset_version="v1"
            )
            for key, permit in opened.items()
        )
        report = Report(
            title=study.title,
            kind=study.question.kind,
            asker="aram",
            mode=study.mode,
            rules=Rules(),
            banners=(),
            tables=(),
            charts=(),
            methods=(),
            participation=parts,
            study=envelope.digest,
            manifest=digest(manifest),
            software="dure",
            finished=study.closes,
        )
        now = StudyNow(
            study=envelope.digest,
            envelope=envelope,
            state=StudyState.REPORTED,
            reason="",
            over=True,
            parts=(),
            manifest=manifest,
            permits=permits,
        )
        return now, report

    def tell(self, now, report):
        """Let the hub answer these."""
        self.answers[f"GET /v1/studies/{now.study}"] = encode(now)
        self.answers[f"GET /v1/studies/{now.study}/report"] = encode(report)


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def study(study_folder):
    """A study by the asker, not signed yet."""
    return study_file.read(study_folder / "study.yaml").study(asker="aram")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user with no key and no sign-in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("DURE_HUB", "DURE_TOKEN", "DURE_ROOT"):
        monkeypatch.delenv(name, raising=False)
