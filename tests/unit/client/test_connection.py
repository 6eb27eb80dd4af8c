"""A client trusts the pinned root and what was signed, and takes nothing on the hub's word."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import dure
from dure.client import login
from dure.client.problems import NoReport, NoSignIn, Unverified
from dure.study.report import Part, Participation, Table
from dure.study.spec import Study
from dure.wire.answers import Event, Events, StudyState, Submitted, What
from dure.wire.codec import decode, digest, encode
from dure.wire.directory import Untrusted
from dure.wire.envelope import Envelope, Forged, open_sealed, public_text, seal
from dure.wire.rules import RULES_OFF


def test_a_study_is_signed_with_the_askers_key(network, study_folder):
    def take(request):
        envelope = decode(Envelope, request.content, where="test")
        return httpx.Response(201, content=encode(Submitted(study=envelope.digest)))

    network.answers["POST /v1/studies"] = take
    asked = network.client().submit(study_folder / "study.yaml")
    envelope = decode(Envelope, network.requests[-1].content, where="test")
    study = open_sealed(Study, envelope, "study", public_text(network.asker), where="test")
    assert (study.asker, envelope.digest) == ("aram", asked)


def test_a_key_that_is_not_listed_says_so(network, study_folder):
    with pytest.raises(NoSignIn) as caught:
        network.client(key=network.other).submit(study_folder / "study.yaml")
    assert "doesn't list your key" in caught.value.what
    assert not [request for request in network.requests if request.method == "POST"]


def test_without_a_pinned_root_nothing_is_believed(network, study_folder):
    with pytest.raises(NoSignIn):
        network.client(root=None).submit(study_folder / "study.yaml")


def test_a_directory_by_another_root_is_refused(network):
    network.list_members(signer=network.other)
    with pytest.raises(Forged):
        network.client().directory()


def test_an_expired_directory_is_refused(network):
    network.list_members(expires=timedelta(seconds=-1))
    with pytest.raises(Untrusted):
        network.client().directory()


def test_an_older_directory_than_one_seen_is_refused(network):
    login.keep(login.Login(hub="https://hub.example", token="t"))
    network.list_members(version=5)
    assert network.client().directory().version == 5
    seen = login.found(hub=None, token=None, root=None).directory_version
    assert seen == 5
    network.list_members(version=4)
    with pytest.raises(Untrusted):
        network.client(least_version=seen).directory()


def test_a_report_that_was_signed_for_is_shown(network, study):
    now, report = network.ask(study)
    network.tell(now, report)
    result = network.client().result(now.study)
    assert result.report == report
    assert result.hospitals["north"] == "North Hospital"


def _other_title(now, report):
    return now, replace(report, title="Another")


def _weaker_rules(now, report):
    return now, replace(report, rules=RULES_OFF)


def _other_manifest(now, report):
    return now, replace(report, manifest=digest(b"x"))


def _hospital_left_out(now, report):
    return now, replace(report, participation=report.participation[1:])


def _hospital_made_silent(now, report):
    silent = Participation(hospital="east", part=Part.SILENT, reason="")
    return now, replace(report, participation=(silent, *report.participation[1:]))


def _permit_taken_away(now, report):
    return replace(now, permits=now.permits[1:]), report


def _numbers_without_a_run(now, report):
    table = Table(name="t", title="T", columns=("people",), rows=((5,),))
    none = tuple(
        Participation(hospital=p.hospital, part=Part.SILENT, reason="") for p in report.participation
    )
    return replace(now, manifest=None, permits=()), replace(report, tables=(table,), participation=none)


@pytest.mark.parametrize(
    "spoil",
    [
        _other_title,
        _weaker_rules,
        _other_manifest,
        _hospital_left_out,
        _hospital_made_silent,
        _permit_taken_away,
        _numbers_without_a_run,
    ],
)
def test_a_report_that_does_not_match_is_refused(network, study, spoil):
    network.tell(*spoil(*network.ask(study)))
    client = network.client()
    with pytest.raises(Unverified):
        client.report(seal(study, "study", network.asker).digest)


def test_a_permit_by_another_key_is_refused(network, study):
    network.boards["east"], honest = Ed25519PrivateKey.generate(), network.boards["east"]
    now, report = network.ask(study)
    network.boards["east"] = honest
    network.list_members()
    network.tell(now, report)
    with pytest.raises(Forged):
        network.client().report(now.study)


def test_another_study_under_this_digest_is_refused(network, study):
    now, report = network.ask(study)
    other = seal(replace(study, title="Another"), "study", network.asker)
    network.tell(replace(now, envelope=other), report)
    with pytest.raises(Unverified):
        network.client().report(now.study)


def test_a_study_without_a_report_says_why(network, study):
    now, report = network.ask(study)
    network.tell(replace(now, state=StudyState.UNPERMITTED, reason="Too few hospitals."), report)
    with pytest.raises(NoReport) as caught:
        network.client().report(now.study)
    assert caught.value.what == "Too few hospitals."


def test_watching_goes_on_until_the_study_is_over(network, study):
    events = [Event(number=n, at=study.created, what=What.ANSWERED, hospital="east") for n in (1, 2, 3)]

    def tell(request):
        after = int(request.url.params["after"])
        return httpx.Response(
            200, content=encode(Events(events=tuple(events[after : after + 1]), over=after >= 2))
        )

    network.answers["GET /v1/studies/d/events"] = tell
    assert list(network.client().watch("d")) == events
    assert list(network.client().watch("d", after=2)) == events[2:]


def test_connect_takes_what_is_kept(network):
    login.keep(login.Login(hub="https://hub.example", token="t", root=public_text(network.root)))
    dure.connect().close()
    with pytest.raises(NoSignIn):
        dure.connect("https://other.example")
    with pytest.raises(AttributeError):
        dure.disconnect  # noqa: B018
