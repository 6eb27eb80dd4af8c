"""What the hub's doors refuse and how they say it, on both databases."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import httpx
import numpy as np
import pytest
from sqlalchemy import create_engine, delete, update

from dure.govern.log import BrokenLog
from dure.hub.actions import catalogue, log, status
from dure.hub.actions.accounts import UserRole
from dure.hub.store import tables
from dure.hub.store.work import Unaudited
from dure.study.spec import Purpose
from dure.wire.codec import decode, encode
from dure.wire.merkle import Checkpoint, continues, includes, leaf_hash
from dure.wire.messages import Acceptance, PollAnswer
from dure.wire.problems import PROBLEM_BASE
from dure.wire.rules import Mode, Rules

PASSWORD = "correct horse battery"


def told(reply: httpx.Response) -> tuple[int, str]:
    """The status and the slug of a problem; every problem says where and how to mend it."""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    document = reply.json()
    assert document["where"]
    assert document["mend"]
    return reply.status_code, document["type"].removeprefix(PROBLEM_BASE)


def post(served, door, value):
    return served.http.post(door, content=value if isinstance(value, bytes) else encode(value))


# users


def test_a_wrong_password_says_not_which_half_and_guessing_stops(served):
    served.user("ada@example.org")
    wrong = [{"email": mail, "password": "x" * 12} for mail in ("ada@example.org", "eve@example.org")]
    known, unknown = (served.http.post("/v1/sessions", json=one) for one in wrong)
    assert told(known) == told(unknown) == (401, "not-signed-in")
    assert known.json()["detail"] == unknown.json()["detail"]
    for _ in range(4):
        served.http.post("/v1/sessions", json=wrong[0])
    right = {"email": "ada@example.org", "password": PASSWORD}
    assert told(served.http.post("/v1/sessions", json=right)) == (429, "too-many-attempts")


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer a b"])
def test_a_wrong_token_opens_nothing(served, token):
    assert told(served.get("/v1/studies", token)) == (401, "not-signed-in")


def test_signing_out_ends_the_token(served):
    token = served.user("ada@example.org")
    assert served.http.delete("/v1/sessions", headers={"authorization": token}).status_code == 204
    assert told(served.get("/v1/studies", token)) == (401, "not-signed-in")


def test_another_organisation_sees_nothing_and_a_regulator_no_result(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    served.submit(study, token)
    served.turn_all()
    stranger = served.user("bo@other.example", organisation="other")
    door = f"/v1/studies/{study.digest}"
    for path in (door, f"{door}/events", f"{door}/report"):
        assert told(served.get(path, stranger)) == (404, "unknown")
    assert served.get("/v1/studies", stranger).json() == []
    regulator = served.user("reg@ministry.example", organisation="ministry", role=UserRole.REGULATOR)
    assert served.get(door, regulator).status_code == 200
    assert told(served.get(f"{door}/report", regulator)) == (403, "not-allowed")
    assert told(served.get("/v1/log/checkpoint", token)) == (403, "not-allowed")


# studies


def test_the_same_study_again_changes_nothing(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    assert [served.submit(study, token).status_code for _ in range(3)] == [201, 200, 200]
    assert len(served.get("/v1/studies", token).json()) == 1


def test_an_unknown_hospital_is_named(served):
    token = served.user("ada@example.org")
    reply = served.submit(served.network.study(hospitals=("aram", "nowhere")), token)
    assert told(reply) == (422, "bad-study")
    assert "nowhere" in reply.json()["detail"]
    assert reply.json()["where"] == "hospitals[1]"


def test_a_forbidden_purpose_is_refused_with_its_rule_and_recorded(served):
    token = served.user("ada@example.org")
    study = served.network.study(purpose=Purpose.ADVERTISING)
    for _ in range(2):
        reply = served.submit(study, token)
        assert told(reply) == (403, "forbidden")
        assert reply.json()["rule"] == "advertising"
        assert reply.json()["basis"]
    assert served.get(f"/v1/studies/{study.digest}", token).json()["state"] == "forbidden"
    assert not served.network.hospitals["aram"].turn(served.http, served.network.asker).offers


def test_a_study_of_somebody_else_s_is_not_taken(served):
    stranger = served.user("bo@other.example", organisation="other")
    assert told(served.submit(served.network.study(), stranger)) == (403, "not-allowed")


def test_a_study_that_was_changed_after_signing_is_forged(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    changed = replace(study, payload=study.payload.replace(b'"Ages"', b'"Ague"'))
    assert told(served.submit(changed, token)) == (401, "forged")


def test_a_withdrawn_study_is_over_for_everyone(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    served.submit(study, token)
    aram = served.network.hospitals["aram"]
    assert aram.turn(served.http, served.network.asker, send=False).offers
    for _ in range(2):
        door = f"/v1/studies/{study.digest}/withdraw"
        assert served.http.post(door, headers={"authorization": token}).status_code == 204
    found = aram.turn(served.http, served.network.asker, send=False)
    assert (found.offers, found.closed) == ((), (study.digest,))
    late = post(served, "/v1/node/decisions", aram.decide(study, served.network.asker))
    assert told(late) == (409, "settled")
    assert told(served.get(f"/v1/studies/{study.digest}/report", token)) == (404, "unknown")


def test_without_a_permit_there_is_no_run_and_each_reason_is_told(served):
    token = served.user("ada@example.org")
    for name, hospital in served.network.hospitals.items():
        hospital.declines = f"Not at {name}."
    study = served.network.study()
    served.submit(study, token)
    served.turn_all()
    now = served.get(f"/v1/studies/{study.digest}", token).json()
    assert (now["state"], now["over"]) == ("unpermitted", True)
    assert [part["reason"] for part in now["parts"]] == [
        f"Not at {name}." for name in served.network.hospitals
    ]


def test_too_few_hospitals_outside_the_asker_s_group_make_no_total(served):
    token = served.user("ada@example.org")
    for name in ("aram", "byeol", "chorok"):
        served.network.hospitals[name].declines = "No."
    study = served.network.study()
    served.submit(study, token)
    served.turn_all()
    now = served.get(f"/v1/studies/{study.digest}", token).json()
    assert now["state"] == "unpermitted"
    assert "needs 3" in now["reason"]


# nodes


def test_a_poll_is_used_once_and_its_clock_is_right(served):
    aram = served.network.hospitals["aram"]
    envelope = aram.poll()
    assert post(served, "/v1/node/poll", envelope).status_code == 200
    assert told(post(served, "/v1/node/poll", envelope)) == (409, "settled")
    for minutes in (10, -10):
        sent = served.hub.clock() + timedelta(minutes=minutes)
        reply = post(served, "/v1/node/poll", aram.poll(sent=sent))
        assert told(reply) == (400, "clock-skew")
        assert f"{sent:%H:%M:%S}" in reply.json()["detail"]


def test_a_poll_by_another_key_or_epoch_is_refused(served):
    aram, byeol = (served.network.hospitals[name] for name in ("aram", "byeol"))
    assert told(post(served, "/v1/node/poll", byeol.poll(hospital="aram"))) == (401, "forged")
    assert told(post(served, "/v1/node/poll", aram.poll(epoch=2))) == (403, "not-permitted")
    assert told(post(served, "/v1/node/poll", aram.poll(hospital="nowhere"))) == (403, "untrusted")


def test_a_permit_for_another_mode_or_study_is_refused(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    served.submit(study, token)
    aram, asker = served.network.hospitals["aram"], served.network.asker
    door = "/v1/node/decisions"
    assert told(post(served, door, aram.permit(study, asker, mode=Mode.BY_HOSPITAL))) == (
        403,
        "not-permitted",
    )
    other = served.network.study()
    assert told(post(served, door, aram.permit(other, asker))) == (404, "unknown")
    assert post(served, door, aram.decide(study, asker)).status_code == 204
    assert post(served, door, aram.decide(study, asker)).status_code == 204
    assert told(post(served, door, aram.permit(study, asker, rounds=7))) == (409, "settled")


def test_an_answer_counts_once_and_only_from_its_own_seat(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    served.submit(study, token)
    hospitals = list(served.network.hospitals.values())
    for hospital in hospitals:
        hospital.turn(served.http, served.network.asker)
    aram = hospitals[0]
    (task,) = aram.turn(served.http, served.network.asker, send=False).tasks
    before = served.hub.reads(log.checkpoint).size
    for _ in range(3):
        assert post(served, "/v1/node/answers", aram.answer(task)).status_code == 204
    assert served.hub.reads(log.checkpoint).size == before + 1
    false = Acceptance(run="0" * 32, manifest=task.manifest, hospital="aram")
    from dure.wire.envelope import seal

    assert told(post(served, "/v1/node/answers", seal(false, "acceptance", aram.node))) == (404, "unknown")
    stolen = Acceptance(run=task.run, manifest=task.manifest, hospital="aram")
    reply = post(served, "/v1/node/answers", seal(stolen, "acceptance", hospitals[1].node))
    assert told(reply) == (401, "forged")


def test_a_refusal_and_impossible_numbers_drop_a_hospital_not_the_hub(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    served.submit(study, token)
    aram, byeol, *others = served.network.hospitals.values()
    for hospital in (aram, byeol, *others):
        hospital.turn(served.http, served.network.asker)
    for hospital in (aram, byeol, *others):
        hospital.turn(served.http, served.network.asker)
    (task,) = aram.turn(served.http, served.network.asker, send=False).tasks
    assert post(served, "/v1/node/answers", aram.refuse(task, "The gate says no.")).status_code == 204
    byeol.values = np.zeros(0, dtype=np.int64)
    served.turn_all()
    now = served.get(f"/v1/studies/{study.digest}", token).json()
    assert now["state"] == "reported"
    parts = {part["hospital"]: (part["state"], part["reason"]) for part in now["parts"]}
    assert parts["aram"] == ("dropped", "The gate says no.")
    assert parts["byeol"][0] == "answered"
    assert {one.hospital for one in served.hub.reads(status.delivered, study.digest)} == set(parts) - {"aram"}


def test_a_held_poll_is_answered_when_something_comes(served):
    token = served.user("ada@example.org")
    aram = served.network.hospitals["aram"]
    import threading

    found: list[PollAnswer] = []
    address = str(served.http.base_url)

    def hold() -> None:
        with httpx.Client(base_url=address) as http:
            body = encode(aram.poll(wait=25, version=served.network.version))
            reply = http.post("/v1/node/poll", content=body, timeout=40)
            found.append(decode(PollAnswer, reply.content, where="poll"))

    holding = threading.Thread(target=hold)
    holding.start()
    study = served.network.study()
    served.submit(study, token)
    holding.join(timeout=20)
    assert not holding.is_alive()
    assert [offer.study.digest for offer in found[0].offers] == [study.digest]
    assert found[0].directory is None


# being listed


def test_enrolment_needs_its_code_once_in_time_and_for_this_hospital(served):
    from dure.hub.actions.enrolments import EnrolmentRequest

    newcomer = replace(served.network.hospitals["aram"], id="haneul", affiliation="haneul")
    envelope, door = newcomer.enrolment(), "/v1/enrolments"
    wrong = EnrolmentRequest(code="nonsense", enrolment=envelope)
    assert told(post(served, door, wrong)) == (403, "code-refused")
    other = EnrolmentRequest(code=served.code("byeol"), enrolment=envelope)
    assert told(post(served, door, other)) == (403, "code-refused")
    late = EnrolmentRequest(code=served.code("haneul", hours=-1), enrolment=envelope)
    assert told(post(served, door, late)) == (403, "code-refused")
    right = EnrolmentRequest(code=served.code("haneul"), enrolment=envelope)
    assert [post(served, door, right).status_code for _ in range(2)] == [202, 202]
    again = replace(right, enrolment=newcomer.enrolment())
    assert told(post(served, door, again)) == (403, "code-refused")
    token = served.user("ada@example.org")
    assert len(served.get(door, token).json()) == 1
    served.network.hospitals["haneul"] = newcomer
    served.put_directory()
    assert served.get(door, token).json() == []
    lines = {line.hospital: line for line in served.hub.reads(catalogue.hospitals, now=served.hub.clock())}
    assert lines["haneul"].people_about == 200
    assert lines["byeol"].people_about is None


def test_a_declaration_is_the_board_s_and_never_older(served):
    aram, byeol = (served.network.hospitals[name] for name in ("aram", "byeol"))
    door = "/v1/declarations"
    first = aram.declaration()
    assert [post(served, door, first).status_code for _ in range(2)] == [204, 204]
    old = aram.declaration(declared=served.hub.clock() - timedelta(days=1))
    assert told(post(served, door, old)) == (409, "settled")
    assert told(post(served, door, byeol.declaration(hospital="aram"))) == (401, "forged")


def test_a_directory_is_the_root_s_and_only_grows(served):
    network, door = served.network, "/v1/directory"
    newest = network.directory()
    assert served.http.put(door, content=encode(newest)).status_code == 204
    assert served.http.put(door, content=encode(newest)).status_code == 204
    old = network.directory(version=1)
    assert told(served.http.put(door, content=encode(old))) == (403, "untrusted")
    network.version = newest_version = 2
    clash = network.directory(version=newest_version)
    assert told(served.http.put(door, content=encode(clash))) == (409, "settled")
    stranger = replace(network, root=network.asker_key)
    assert told(served.http.put(door, content=encode(stranger.directory(version=9)))) == (401, "forged")


# the log


def test_proofs_hold_for_a_regulator_s_checkpoints(served):
    regulator = served.user("reg@ministry.example", organisation="ministry", role=UserRole.REGULATOR)
    old = decode(Checkpoint, served.get("/v1/log/checkpoint", regulator).content, where="")
    token = served.user("ada@example.org")
    served.submit(served.network.study(), token)
    new = decode(Checkpoint, served.get("/v1/log/checkpoint", regulator).content, where="")
    proof = served.get("/v1/log/proof", regulator, old=old.size, size=new.size).json()
    assert continues(old, new, [bytes.fromhex(part) for part in proof["hashes"]])
    import base64

    entries = served.get("/v1/log/entries", regulator).json()
    assert [entry["number"] for entry in entries] == list(range(new.size))
    for entry in entries:
        found = served.get("/v1/log/proof", regulator, entry=entry["number"], size=new.size).json()
        path = [bytes.fromhex(part) for part in found["hashes"]]
        body = base64.urlsafe_b64decode(entry["body"])
        assert includes(leaf_hash(body), entry["number"], path, new)
    assert told(served.get("/v1/log/proof", regulator, entry=10**6, size=new.size)) == (404, "unknown")
    assert told(served.get("/v1/log/proof", regulator, entry=0, size=10**6)) == (404, "unknown")


@pytest.mark.parametrize("crime", ["change", "remove", "cut"])
def test_tampering_is_found(served, database_url, crime):
    known = served.hub.reads(log.verify)
    served.user("ada@example.org")
    last = served.hub.reads(log.verify, known).size - 1
    entries = tables.entries
    statement = {
        "change": update(entries).where(entries.c.number == 1).values(body=b"{}"),
        "remove": delete(entries).where(entries.c.number == 1),
        "cut": delete(entries).where(entries.c.number == last),
    }[crime]
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(statement)
    engine.dispose()
    with pytest.raises(BrokenLog):
        served.hub.reads(log.verify)


def test_a_write_without_an_audit_entry_is_never_committed(served):
    with pytest.raises(Unaudited), served.hub.store.write() as work:
        work.write(tables.organisations.insert().values(id="x", name="x", created=served.hub.clock()))
    assert served.hub.reads(lambda work: work.one(tables.organisations.select())) is None
    with pytest.raises(TypeError), served.hub.store.read() as work:
        work.write(tables.organisations.delete())


def test_a_failed_action_leaves_neither_write_nor_entry(served):
    before = served.hub.reads(log.verify)
    with suppress(ZeroDivisionError), served.hub.store.write() as work:
        work.write(tables.organisations.insert().values(id="x", name="x", created=served.hub.clock()))
        work.record("organisation added", who="admin", at=served.hub.clock())
        raise ZeroDivisionError
    assert served.hub.reads(log.verify) == before
    assert served.hub.reads(lambda work: work.one(tables.organisations.select())) is None


def test_rules_may_be_off_only_for_data_that_are_not_real(served):
    token = served.user("ada@example.org")
    study = served.network.study()
    served.submit(study, token)
    off = Rules(least_people=1, round_to=1, least_hospitals=1)
    permit = served.network.hospitals["aram"].permit(study, served.network.asker, rules=off)
    assert told(post(served, "/v1/node/decisions", permit)) == (403, "not-permitted")


def test_a_body_over_the_limit_is_not_read_to_its_end(served):
    assert told(post(served, "/v1/node/poll", b" " * (5 * 2**20))) == (413, "too-large")
