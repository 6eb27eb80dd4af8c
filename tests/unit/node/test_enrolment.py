"""Making a node: whole or not at all, and one clear line for everything that can be wrong."""

import base64
import stat
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.demo.synth import generate
from dure.engines.dataset import Dataset
from dure.engines.problems import DatabaseMissing, DatabaseUnreadable, NotACdm
from dure.node import config as node_config
from dure.node import keys
from dure.node.config import NodeConfig
from dure.node.declaration import declare, two_digits
from dure.node.enrolment import Application, enrol, root_key
from dure.node.hub_link import HubLink
from dure.node.place import opened
from dure.node.problems import BadKeyFile, BadSetup, HubRefused, HubUnreachable
from dure.wire.codec import decode
from dure.wire.envelope import fingerprint, open_sealed, public_text
from dure.wire.messages import DatasetDeclaration, Enrolment, Provenance
from dure.wire.rules import RULES_OFF, Rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = public_text(Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def cdm(tmp_path_factory):
    path = tmp_path_factory.mktemp("cdm") / "hospital.duckdb"
    generate(persons=321, seed=1, hospital=1, path=path, force=True, progress=lambda done: None)
    return path


def settings(cdm, **changes) -> NodeConfig:
    fields = {
        "hub": "https://hub.test",
        "hospital": "hanbit",
        "name": "Hanbit Hospital",
        "affiliation": "hanbit",
        "root_key": ROOT,
        "board_key": "",
        "cdm": str(cdm),
        "provenance": Provenance.SYNTHETIC,
    }
    return NodeConfig(**{**fields, **changes})


class Door:
    """The enrolment door of a hub."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.bodies = []
        self.skew = timedelta(0)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/health":
            return httpx.Response(
                200, json={"status": "ok", "now": (datetime.now(UTC) + self.skew).isoformat()}
            )
        assert request.url.path == "/v1/enrolments"
        self.bodies.append(request.content)
        answer = self.answers.pop(0) if self.answers else httpx.Response(202)
        if isinstance(answer, Exception):
            raise answer
        return answer


def link(door) -> HubLink:
    return HubLink("https://hub.test", transport=httpx.MockTransport(door))


def make(folder, cdm, door, *, passphrase=None, code="once", **changes):
    return enrol(folder, settings(cdm, **changes), code=code, passphrase=passphrase, link=link(door), now=NOW)


def test_an_enrolment_is_signed_by_both_keys_and_says_nothing_exact(tmp_path, cdm):
    door = Door()
    done = make(tmp_path / "node", cdm, door)
    application = decode(Application, door.bodies[0], where="body")
    claimed = decode(Enrolment, application.enrolment.payload, where="")
    told = open_sealed(
        Enrolment, application.enrolment, "enrolment", claimed.board_key, claimed.node_key, where=""
    )
    declaration = open_sealed(DatasetDeclaration, told.declaration, "declaration", told.board_key, where="")
    assert application.code == "once"
    assert told.board_key != told.node_key
    assert (done.board, done.node) == (fingerprint(told.board_key), fingerprint(told.node_key))
    assert declaration.people_about == 320
    assert (declaration.first_date.month, declaration.first_date.day) == (1, 1)
    assert (declaration.last_date.month, declaration.last_date.day) == (12, 31)


def test_the_folder_is_readable_by_its_owner_only(tmp_path, cdm):
    make(tmp_path / "node", cdm, Door())
    assert stat.S_IMODE((tmp_path / "node").stat().st_mode) == 0o700
    for path in (tmp_path / "node").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert not (tmp_path / "node.partial").exists()
    with opened(tmp_path / "node") as place:
        assert place.config.board_key == public_text(keys.read(place.board_key))
        assert place.config.hospital == "hanbit"


def problem(status, slug, what):
    return httpx.Response(
        status,
        json={
            "type": f"https://dure.invalid/problems/{slug}",
            "detail": what,
            "where": "code",
            "mend": "Ask for a new one.",
        },
    )


@pytest.mark.parametrize(
    ("answer", "raised", "code"),
    [
        (problem(403, "code-refused", "The enrolment code ended."), HubRefused, 73),
        (httpx.Response(404, text="<html>not here</html>"), HubRefused, 73),
    ],
)
def test_what_the_hub_refuses_leaves_nothing_behind(tmp_path, cdm, answer, raised, code):
    with pytest.raises(raised) as found:
        make(tmp_path / "node", cdm, Door(answer))
    assert found.value.exit_code == code
    assert list(tmp_path.iterdir()) == []


def test_the_hubs_own_words_are_told(tmp_path, cdm):
    with pytest.raises(HubRefused, match=r"The enrolment code ended\. \(code\)\. Ask for a new one\."):
        make(tmp_path / "node", cdm, Door(problem(403, "code-refused", "The enrolment code ended.")))


def test_a_hub_that_is_down_leaves_nothing_behind(tmp_path, cdm):
    def down(request):
        raise httpx.ConnectError("refused")

    with pytest.raises(HubUnreachable) as found:
        enrol(tmp_path / "node", settings(cdm), code="once", passphrase=None, link=link(down), now=NOW)
    assert found.value.exit_code == 72
    assert list(tmp_path.iterdir()) == []


def test_a_lost_receipt_goes_on_with_the_same_keys(tmp_path, cdm):
    door = Door(httpx.ReadTimeout("lost"))
    with pytest.raises(HubUnreachable):
        make(tmp_path / "node", cdm, door)
    assert not (tmp_path / "node").exists()
    make(tmp_path / "node", cdm, door)
    assert door.bodies[0] == door.bodies[1]
    assert not (tmp_path / "node.partial").exists()


def test_an_unfinished_enrolment_of_another_hospital_is_not_taken_over(tmp_path, cdm):
    door = Door(httpx.ReadTimeout("lost"))
    with pytest.raises(HubUnreachable):
        make(tmp_path / "node", cdm, door)
    with pytest.raises(BadSetup, match="unfinished enrolment of hanbit"):
        make(tmp_path / "node", cdm, door, hospital="other")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hospital": "Hanbit Hospital"}, "can't name a hospital"),
        ({"hub": "ftp://hub"}, "no hub's address"),
        ({"hub": "hub.example.org"}, "no hub's address"),
        ({"hub": "http://hub.example.org"}, "anyone on the way"),
        ({"rules": RULES_OFF, "provenance": Provenance.REAL}, "off for real data"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path, cdm, changes, says):
    with pytest.raises(BadSetup, match=says) as found:
        make(tmp_path / "node", cdm, Door(), **changes)
    assert found.value.exit_code == 70
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hub", "insecure"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://localhost", False),
        ("http://[::1]:1", False),
        ("http://hub.lan", True),
    ],
)
def test_plain_http_is_for_this_machine_or_by_name(hub, insecure):
    node_config.check_address(hub, insecure_http=insecure, where="hub")


def test_a_node_is_never_made_over_another(tmp_path, cdm):
    (tmp_path / "node").mkdir()
    with pytest.raises(BadSetup, match="exists"):
        make(tmp_path / "node", cdm, Door())


def test_a_clock_that_is_off_is_told_in_minutes(tmp_path, cdm):
    door = Door()
    door.skew = timedelta(minutes=10)
    with pytest.raises(BadSetup, match="10 minutes behind the hub's"):
        make(tmp_path / "node", cdm, door)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "raised"), [(None, DatabaseMissing), (b"person_id,year\n", DatabaseUnreadable)]
)
def test_a_database_that_cannot_be_read_is_named(tmp_path, content, raised):
    path = tmp_path / "x.duckdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(raised):
        make(tmp_path / "node", path, Door())
    assert not (tmp_path / "node.partial").exists()


def test_a_database_in_which_nobody_is_observed_is_no_dataset():
    empty = Dataset(version="v", cdm_version="5.4", source="s", persons=0, first_date=None, last_date=None)
    with pytest.raises(NotACdm):
        declare(empty, hospital="hanbit", provenance=Provenance.REAL, where="x", now=NOW)


@pytest.mark.parametrize(
    ("people", "about"),
    [(0, 0), (7, 7), (99, 99), (104, 100), (105, 110), (20_417, 20_000), (2_651_000, 2_700_000)],
)
def test_people_are_told_to_two_digits(people, about):
    assert two_digits(people) == about


def test_dates_are_told_to_whole_years():
    dataset = Dataset(
        version="v",
        cdm_version="5.4",
        source="s",
        persons=5,
        first_date=date(2001, 5, 6),
        last_date=date(2020, 2, 3),
    )
    told = declare(dataset, hospital="h", provenance=Provenance.REAL, where="x", now=NOW)
    assert (told.first_date, told.last_date) == (date(2001, 1, 1), date(2020, 12, 31))


def test_the_root_key_comes_as_text_or_file(tmp_path):
    path = tmp_path / "root.pub"
    path.write_text(ROOT + "\n")
    assert root_key(str(path)) == root_key(ROOT) == ROOT
    for bad in ("", "nonsense", base64.b64encode(b"short").decode(), str(tmp_path)):
        with pytest.raises(BadSetup, match="no public key"):
            root_key(bad)


def test_a_locked_board_key_needs_its_passphrase(tmp_path, cdm):
    make(tmp_path / "node", cdm, Door(), passphrase="field")
    path = tmp_path / "node" / "board.key"
    assert keys.is_locked(path)
    assert keys.ask(path, lambda: "field")
    for wrong in (None, "meadow"):
        with pytest.raises(BadKeyFile):
            keys.read(path, wrong)
    assert not keys.is_locked(tmp_path / "node" / "node.key")


def test_a_key_that_others_can_read_is_not_used(tmp_path):
    path = tmp_path / "k"
    keys.make(path)
    path.chmod(0o644)
    with pytest.raises(BadKeyFile, match="read by others") as found:
        keys.read(path)
    assert "chmod 600" in found.value.mend


def test_a_key_that_is_gone_says_where_it_should_be(tmp_path):
    with pytest.raises(BadKeyFile, match="No such file"):
        keys.read(tmp_path / "board.key")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hub: https://hub.test\n  hospital: x\n", "isn't YAML"),
        ("hub: https://hub.test\n", "Field required|required"),
        ("", "."),
    ],
)
def test_a_spoiled_node_yaml_is_named_with_its_place(tmp_path, cdm, line, says):
    make(tmp_path / "node", cdm, Door())
    (tmp_path / "node" / "node.yaml").write_text(line)
    with pytest.raises(Exception, match=says) as found:
        node_config.read(tmp_path / "node")
    assert "node.yaml" in found.value.where


def test_an_unknown_setting_is_refused(tmp_path, cdm):
    make(tmp_path / "node", cdm, Door())
    path = tmp_path / "node" / "node.yaml"
    path.write_text(path.read_text() + "\nleast_peple: 3\n")
    with pytest.raises(Exception, match=r"least_peple|Unexpected"):
        node_config.read(tmp_path / "node")


def test_settings_come_back_as_they_were_written(tmp_path, cdm):
    config = settings(cdm, rules=Rules(least_people=20), proxy="http://proxy:3128", board_key=ROOT)
    node_config.write(tmp_path, config)
    assert node_config.read(tmp_path) == config
