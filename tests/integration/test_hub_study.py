"""A study's whole life at the hub, on both databases, over its API: from the asker's signature to the report."""

import json

import numpy as np

from dure.hub.actions import log as log_actions
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.protocol.batch import warning
from dure.study.report import Report
from dure.study.spec import ByHand
from dure.wire.codec import decode
from dure.wire.rules import Mode, Noise, Rules
from tests.integration.conftest import EVERYONE


def test_a_study_is_asked_answered_and_reported(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    reply = served.submit(study, token)
    assert reply.status_code == 201
    assert reply.json() == {"study": study.digest}
    served.turn_all()
    now = served.get(f"/v1/studies/{study.digest}", token).json()
    assert (now["state"], now["over"]) == ("reported", True)
    assert {part["state"] for part in now["parts"]} == {"answered"}
    assert len(now["permits"]) == 5
    report = decode(Report, served.get(f"/v1/studies/{study.digest}/report", token).content, where="report")
    everyone = np.sort(np.concatenate([h.values for h in served.network.hospitals.values()]))
    rows = {row[1]: row for row in report.tables[0].rows}
    assert rows["median"][2] == len(everyone)
    low, high = rows["median"][3:]
    assert low <= np.quantile(everyone, 0.5, method="inverted_cdf") < high
    assert served.hub.reads(log_actions.verify).size > 0


def test_events_tell_each_hospital_and_no_number(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    served.submit(study, token)
    served.network.hospitals["aram"].declines = "Not our field."
    served.turn_all()
    found = served.get(f"/v1/studies/{study.digest}/events", token).json()
    assert found["over"] is True
    numbers = [event["number"] for event in found["events"]]
    assert numbers == list(range(1, len(numbers) + 1))
    told = [(event["what"], event["hospital"], event["detail"]) for event in found["events"]]
    assert ("declined", "aram", "Not our field.") in told
    assert told.count(("signed", "byeol", "")) == 1
    assert ("answering", "byeol", "step 1, round 1") in told
    assert ("started", None, warning(4)) in told
    assert told[-1] == ("reported", None, "")
    later = served.get(f"/v1/studies/{study.digest}/events", token, after=numbers[-2]).json()
    assert len(later["events"]) == 1


def test_an_asker_is_told_of_noise_before_the_run_and_in_the_report(served):
    """One board of five wants it."""
    token = served.user("ada@example.org")
    noise = Noise(epsilon=2.0, delta=1e-6, colluders=1)
    served.network.hospitals["byeol"].rules = Rules(noise=noise)
    study = served.network.study()
    served.submit(study, token)
    served.turn_all()
    found = served.get(f"/v1/studies/{study.digest}/events", token).json()
    told = {event["hospital"]: event["detail"] for event in found["events"] if event["what"] == "signed"}
    assert told.pop("byeol").startswith("It wants noise in all numbers: epsilon 2, delta 1e-06, with up to 1")
    assert set(told.values()) == {""}
    report = decode(Report, served.get(f"/v1/studies/{study.digest}/report", token).content, where="report")
    assert report.rules.noise == noise
    assert "noise" in {table.name for table in report.tables}
    assert any(banner.startswith("Every number carries noise") for banner in report.banners)


def test_by_hospital_reports_each(served):
    token = served.user("ada@example.org")
    study = served.network.study(mode=Mode.BY_HOSPITAL)
    assert served.submit(study, token).status_code in (201, 422)
    served.turn_all()
    body = served.get(f"/v1/studies/{study.digest}/report", token)
    if body.status_code == 200:
        assert json.loads(body.content)["mode"] == "by_hospital"


def test_what_is_carried_by_hand_is_not_offered(served):
    token = served.user("ada@example.org")
    question = Distribution(cohort=Cohort(name="everyone", circe=EVERYONE), one_round=True)
    named = ByHand(aggregator="ministry", collector_key=bytes(32))
    reply = served.submit(served.network.study(question=question, by_hand=named), token)
    assert reply.status_code == 422
    assert "carried by hand" in reply.json()["detail"]
