"""A node runs what its board signed and nothing else: each test spoils one thing, and one check notices."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.govern.permit import NotPermitted, judge_run, judge_task, verify_permit, verify_study
from dure.stats.base import BadState
from dure.study.kinds import kind_of
from dure.study.kinds.base import Cohort
from dure.study.kinds.distribution import Distribution
from dure.study.protocol.run import compose
from dure.study.spec import BadStudy, Purpose, Study
from dure.wire.codec import Malformed, digest, encode
from dure.wire.directory import Directory, Member, Role, Untrusted
from dure.wire.envelope import Forged, public_text, seal
from dure.wire.messages import Exchange, Permit, Position, Provenance, RunOffer, Task, pack
from dure.wire.rules import RULES_OFF, Mode, Noise, Rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CIRCE = json.loads((Path(__file__).parents[2] / "data" / "circe" / "celecoxib.json").read_text())
HOSPITALS = ("east", "north", "south", "west")
NAMES = (*(f"{name} {kind}" for name in HOSPITALS for kind in ("board", "node")), "asker", "rival", "thief")
KEYS = {name: Ed25519PrivateKey.generate() for name in NAMES}
STUDY = Study(
    title="t", asker="maker", purpose=Purpose.SAFETY, purpose_text="p", mode=Mode.TOTAL,
    question=Distribution(cohort=Cohort(name="users", circe=CIRCE), bins=4),
    hospitals=(), created=NOW, closes=NOW + timedelta(hours=1), expires=NOW + timedelta(days=1), nonce="n",
)  # fmt: skip


def text(name):
    return public_text(KEYS[name])


def holder(name, **changes):
    member = Member(
        id=name, name=name, role=Role.HOLDER, affiliation=name,
        board_key=text(f"{name} board"), node_key=text(f"{name} node"),
    )  # fmt: skip
    return replace(member, **changes)


MAKER = Member(id="maker", name="m", role=Role.USER, affiliation="maker", asker_key=text("asker"))
RIVAL = Member(id="rival", name="r", role=Role.USER, affiliation="rival", asker_key=text("rival"))


def directory(*members):
    listed = {member.id: member for member in (MAKER, RIVAL, *map(holder, HOSPITALS), *members)}
    return Directory(version=1, issued=NOW, expires=NOW + timedelta(days=9), members=tuple(listed.values()))


def sealed_study(study=STUDY, key="asker"):
    return seal(study, "study", KEYS[key])


def permit(hospital, of=STUDY, **changes):
    signed = Permit(
        study=sealed_study(of).digest, asker="maker", asker_key=text("asker"), hospital=hospital,
        node_key=text(f"{hospital} node"), epoch=1, dataset_version="1", provenance=Provenance.REAL, mode=of.mode,
        rules=Rules(), rounds=12, issued=NOW, expires=NOW + timedelta(days=1),
    )  # fmt: skip
    return replace(signed, **changes)


def sealed_permit(value, key=None):
    return seal(value, "permit", KEYS[key or f"{value.hospital} board"])


def offer(permits, of=STUDY, **changes):
    by_digest = {digest(encode(value)): value for value in permits}
    manifest = compose(sealed_study(of).digest, of, by_digest, run="r", now=NOW)
    return RunOffer(
        manifest=encode(replace(manifest, **changes)),
        permits=tuple(sealed_permit(value) for value in permits),
    )


def seat(permits=None, of=STUDY, *, known=None, floor=None, now=NOW, mine=0, **changes):
    permits = [permit(name, of) for name in HOSPITALS] if permits is None else permits
    return judge_run(
        offer(permits, of, **changes), sealed_study(of), sealed_permit(permits[mine]), known or directory(),
        floor=floor or Rules(), now=now,
    )  # fmt: skip


def with_first(**changes):
    first, *rest = (permit(name) for name in HOSPITALS)
    return [replace(first, **changes), *rest]


# the study


def test_a_signed_study_is_believed():
    assert verify_study(sealed_study(), directory(), now=NOW, where="test") == STUDY


@pytest.mark.parametrize(
    ("envelope", "known", "now", "error"),
    [
        (sealed_study(key="thief"), directory(), NOW, Forged),
        (sealed_study(replace(STUDY, asker="nobody")), directory(), NOW, Untrusted),
        (sealed_study(replace(STUDY, asker="east"), key="east board"), directory(), NOW, NotPermitted),
        (
            sealed_study(replace(STUDY, asker="east"), key="thief"),
            directory(holder("east", asker_key=text("thief"))),
            NOW,
            NotPermitted,
        ),
        (sealed_study(), directory(), NOW - timedelta(minutes=6), NotPermitted),
        (sealed_study(), directory(), STUDY.expires, NotPermitted),
        (sealed_study(replace(STUDY, closes=NOW)), directory(), NOW, BadStudy),
    ],
    ids=[
        "another key",
        "stranger",
        "no asker",
        "a hospital that asks",
        "future",
        "expired",
        "cannot be asked",
    ],
)
def test_any_other_study_is_not(envelope, known, now, error):
    with pytest.raises(error):
        verify_study(envelope, known, now=now, where="test")


def test_a_member_without_a_key_asks_nothing():
    keyless = directory(replace(MAKER, asker_key=None))
    with pytest.raises(NotPermitted):
        verify_study(sealed_study(), keyless, now=NOW, where="test")


def test_dates_at_the_end_of_time_are_a_no_and_not_a_crash():
    first = datetime.min.replace(tzinfo=UTC)
    early = replace(STUDY, created=first)
    assert verify_study(sealed_study(early), directory(), now=NOW, where="test") == early
    with pytest.raises(NotPermitted):
        ended = permit("east", issued=first, expires=first)
        verify_permit(sealed_permit(ended), directory(), now=NOW, where="test")


# the permit


@pytest.mark.parametrize(
    ("changes", "known", "error"),
    [
        ({"epoch": 2}, None, NotPermitted),
        ({}, holder("east", epoch=2), NotPermitted),
        ({"node_key": text("thief")}, None, NotPermitted),
        ({}, holder("east", node_key=text("thief")), NotPermitted),
        ({}, holder("east", board_key=text("thief")), Forged),
        ({}, holder("east", board_key=None), NotPermitted),
        ({"expires": NOW}, None, NotPermitted),
        ({"issued": NOW + timedelta(minutes=6)}, None, NotPermitted),
        ({"rules": RULES_OFF}, None, NotPermitted),
    ],
)
def test_a_permit_that_holds_no_more(changes, known, error):
    envelope = sealed_permit(permit("east", **changes), "east board")
    with pytest.raises(error):
        verify_permit(envelope, directory(*([known] if known else [])), now=NOW, where="test")


def test_a_permit_of_a_stranger():
    envelope = sealed_permit(replace(permit("east"), hospital="nowhere"), "east board")
    with pytest.raises(Untrusted):
        verify_permit(envelope, directory(), now=NOW, where="test")


@pytest.mark.parametrize("provenance", [Provenance.SYNTHETIC, Provenance.PUBLIC])
def test_rules_may_be_off_for_what_is_no_secret(provenance):
    value = permit("east", rules=RULES_OFF, provenance=provenance)
    assert verify_permit(sealed_permit(value), directory(), now=NOW, where="test") == value


# the run


def test_the_manifest_that_follows_from_the_permits_is_taken():
    seated = seat()
    assert seated.permit == permit("east")
    assert seated.manifest.rules == Rules()


def test_the_strictest_rules_of_all_permits_hold():
    strict = Rules(least_people=20, round_to=5, least_hospitals=4)
    assert seat(with_first(rules=strict)).manifest.rules == replace(strict, round_to=10)


@pytest.mark.parametrize(
    "changes",
    [
        {"study": "sha256:other"},
        {"asker": "rival"},
        {"asker_key": text("rival")},
        {"mode": Mode.BY_HOSPITAL},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_permit_for_something_else(changes):
    with pytest.raises(NotPermitted, match="another study, asker or mode"):
        seat(with_first(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"rules": replace(Rules(), least_people=2)},
        {"layouts": ()},
        {"roster": ()},
        {"expires": NOW + timedelta(days=2)},
        {"mode": Mode.BY_HOSPITAL},
        {"study": "sha256:other"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_altered_manifest(changes):
    with pytest.raises(NotPermitted, match="follows from the permits"):
        seat(**changes)


def test_a_manifest_in_other_bytes():
    good = offer([permit(name) for name in HOSPITALS])
    spaced = replace(good, manifest=good.manifest.replace(b",", b", ", 1))
    with pytest.raises(NotPermitted, match="follows from the permits"):
        judge_run(spaced, sealed_study(), sealed_permit(permit("east")), directory(), floor=Rules(), now=NOW)


def test_a_run_in_which_i_have_no_seat():
    others = [permit(name) for name in HOSPITALS[1:]]
    with pytest.raises(NotPermitted, match="stand on this hospital"):
        judge_run(
            offer(others), sealed_study(), sealed_permit(permit("east")), directory(), floor=Rules(), now=NOW
        )


def test_a_permit_that_another_key_signed():
    forged = replace(
        offer([permit(name) for name in HOSPITALS]),
        permits=tuple(sealed_permit(permit(name), "thief") for name in HOSPITALS),
    )
    with pytest.raises(Forged):
        judge_run(forged, sealed_study(), sealed_permit(permit("east")), directory(), floor=Rules(), now=NOW)


def test_a_hospital_that_sits_twice():
    twice = [permit("east"), permit("east", rounds=13), permit("north"), permit("south")]
    with pytest.raises(NotPermitted, match="sits twice"):
        seat(twice)


def test_too_few_hospitals():
    with pytest.raises(NotPermitted, match="2 hospitals outside"):
        seat([permit("east"), permit("north")])


def test_the_asker_s_own_hospitals_do_not_count():
    own = [holder(name, affiliation="maker") for name in HOSPITALS[1:3]]
    with pytest.raises(NotPermitted, match="2 hospitals outside"):
        seat(known=directory(*own))


def test_one_of_the_asker_s_own_is_no_harm_among_enough_others():
    assert seat(known=directory(holder("north", affiliation="maker"))).manifest.roster


def test_by_hospital_each_one_s_consent_is_enough():
    study = replace(STUDY, mode=Mode.BY_HOSPITAL)
    assert seat([permit("east", study)], study).manifest.mode is Mode.BY_HOSPITAL


def test_rules_below_the_node_s_own():
    with pytest.raises(NotPermitted, match="weaker"):
        seat(floor=replace(Rules(), least_people=12))


def test_the_node_s_own_rules_guard_real_data_only():
    synthetic = [permit(name, provenance=Provenance.SYNTHETIC) for name in HOSPITALS]
    assert seat(synthetic, floor=replace(Rules(), least_people=12))


# the task


def task(seated, exchange=Exchange.SUPPORT, *, step=0, turn=0, state=None, **changes):
    asked = Task(
        run="r", manifest=seated.digest, position=Position(step=step, round=turn, exchange=exchange),
        state=encode(STATISTIC.begin(PARAMS)) if state is None else state,
    )  # fmt: skip
    return replace(asked, **changes)


SEATED = seat()
STEP = kind_of(STUDY.question).steps(STUDY.question)[0]
STATISTIC, PARAMS = STEP.statistic, STEP.params
CELLS = len(STATISTIC.layout(PARAMS).cells)
OPEN = pack(np.ones(CELLS, dtype=bool))


def test_lawful_tasks():
    assert judge_task(SEATED, task(SEATED), rounds_spent=0, now=NOW).params == PARAMS
    values = task(SEATED, Exchange.VALUES, open=OPEN)
    assert judge_task(SEATED, values, rounds_spent=11, now=NOW).name == STEP.name


@pytest.mark.parametrize(
    ("asked", "spent", "now", "error"),
    [
        (task(SEATED, run="other"), 0, NOW, NotPermitted),
        (task(SEATED, manifest="other"), 0, NOW, NotPermitted),
        (task(SEATED), 0, SEATED.manifest.expires, NotPermitted),
        (task(SEATED, Exchange.RELEASE), 0, NOW, NotPermitted),
        (task(SEATED, Exchange.ACCEPT), 0, NOW, NotPermitted),
        (task(SEATED, step=3), 0, NOW, NotPermitted),
        (task(SEATED, step=-1), 0, NOW, NotPermitted),
        (task(SEATED, turn=STATISTIC.rounds(PARAMS)), 0, NOW, NotPermitted),
        (task(SEATED, turn=-1), 0, NOW, NotPermitted),
        (task(SEATED), 12, NOW, NotPermitted),
        (replace(task(SEATED), state=None), 0, NOW, NotPermitted),
        (task(SEATED, open=OPEN), 0, NOW, NotPermitted),
        (task(SEATED, Exchange.VALUES), 0, NOW, NotPermitted),
        (task(SEATED, Exchange.VALUES, open=OPEN + b"\xff"), 0, NOW, Malformed),
        (task(SEATED, state=b"{}"), 0, NOW, Malformed),
        (task(SEATED, state=b'{"interval":{"low":3,"high":4},"cuts":1}'), 0, NOW, BadState),
        (task(SEATED, state=b'{"interval":{"low":0,"high":128},"cuts":-1}'), 0, NOW, BadState),
    ],
    ids=[
        "another run", "another manifest", "too late", "another mode", "the seat again", "no such step",
        "a step before the first", "a round too many", "a round before the first", "rounds spent", "no state",
        "open cells too early", "no open cells", "a wider bitmap", "no state at all", "a chosen interval", "cuts below 0",
    ],
)  # fmt: skip
def test_any_other_task(asked, spent, now, error):
    with pytest.raises(error):
        judge_task(SEATED, asked, rounds_spent=spent, now=now)


# noise

NOISE = Noise(epsilon=1.0, delta=1e-6)


def test_the_noise_that_one_board_wants_holds_for_all():
    assert seat(with_first(rules=Rules(noise=NOISE))).manifest.rules.noise == NOISE


@pytest.mark.parametrize("weaker", [None, replace(NOISE, epsilon=2.0), replace(NOISE, delta=1e-5)])
def test_a_run_with_less_noise_than_the_hospital_s_rules_is_refused(weaker):
    permits = [permit(name, rules=Rules(noise=weaker)) for name in HOSPITALS]
    with pytest.raises(NotPermitted, match="weaker"):
        seat(permits, floor=Rules(noise=NOISE))


def test_no_hospital_s_own_numbers_leave_where_a_board_wants_noise():
    study = replace(STUDY, mode=Mode.BY_HOSPITAL)
    with pytest.raises(NotPermitted, match="only totals under masks"):
        seat([permit("east", study, rules=Rules(noise=NOISE))], study)


def test_a_manifest_that_leaves_the_noise_out_is_refused():
    with pytest.raises(NotPermitted, match="not the one that follows"):
        seat(with_first(rules=Rules(noise=NOISE)), rules=Rules())
