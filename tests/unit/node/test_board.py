"""The board's desk: what it reads, what it signs here or elsewhere, what it can't sign."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.govern.permit import NotPermitted
from dure.node.board import Board, Prepared, seal_prepared
from dure.node.budget import Budget
from dure.node.operate import stricter, words
from dure.node.plain_words import leaving_lines, lines
from dure.node.problems import BadKeyFile, NoSuchRequest, NotSignable
from dure.study.spec import Purpose
from dure.wire.codec import decode, encode
from dure.wire.envelope import Forged, open_sealed, peek, seal
from dure.wire.messages import Permit
from dure.wire.rules import Mode, Noise, Rules


@pytest.fixture
def board(network):
    network.turns()
    return Board(network.place, node_key=network.node_public)


def offered(network, **changes):
    network.hub.offer(network.study(**changes))
    network.turns()
    return network.hub.study.digest


def test_a_request_says_who_what_why_and_everything_that_would_leave(network, board):
    (pending,) = [board.request(offered(network), now=network.clock())]
    request = pending.request
    words = dict(lines(request))
    assert words["asker"] == "Maker (maker)"
    assert words["purpose"].startswith("safety: A test.")
    assert words["cohort"] == "celecoxib"
    assert words["variable"] == "age"
    assert words["mode"].startswith("total: only the whole network's totals")
    assert "11 people" in words["rules"]
    assert [leaving.step for leaving in request.leaving] == ["lower_quartile", "median", "upper_quartile"]
    text = "\n".join(leaving_lines(request.leaving[0]))
    assert "at most 3 rounds" in text
    assert "12 groups of people" in text
    assert "people (a count, 12 numbers)" in text


def test_by_hospital_is_said_loudly(network, board):
    request = board.request(offered(network, mode=Mode.BY_HOSPITAL), now=network.clock()).request
    assert "OWN numbers" in dict(lines(request))["mode"]


def test_a_forbidden_purpose_is_shown_with_its_basis(network, board):
    request = board.request(offered(network, purpose=Purpose.ADVERTISING), now=network.clock()).request
    assert "advertising" in request.forbidden[0]


@pytest.mark.parametrize("name", ["sha256:", "abc", "ffffffffffff", ""])
def test_a_request_is_found_by_a_beginning_that_only_it_has(network, board, name):
    digest = offered(network)
    assert board.request(digest.removeprefix("sha256:")[:8], now=network.clock()).offer.study == digest
    with pytest.raises(NoSuchRequest) as found:
        board.request(name, now=network.clock())
    assert found.value.exit_code == 76


SIGN = {"rules": None, "consent_by_hospital": False}


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({"mode": Mode.BY_HOSPITAL}, {}, "explicit yes"),
        ({"purpose": Purpose.REIDENTIFICATION}, {}, "negative list"),
        ({}, {"rules": Rules(least_people=5)}, "weaker"),
        ({}, {"rules": Rules(least_people=20, least_hospitals=2)}, "weaker"),
        ({"hospitals": ("bora",)}, {}, "doesn't ask this hospital"),
    ],
)
def test_what_a_board_cannot_sign(network, board, changes, options, says):
    digest = offered(network, **changes)
    with pytest.raises(NotSignable, match=says) as found:
        board.sign(digest, network.board_key, now=network.clock(), **{**SIGN, **options})
    assert found.value.exit_code == 77
    assert network.journal.decision(digest) is None
    assert network.journal.to_send() == []


def test_too_late_is_too_late(network, board):
    digest = offered(network)
    network.clock.pass_(hours=1)
    with pytest.raises(NotSignable, match="open until"):
        board.sign(digest, network.board_key, now=network.clock(), **SIGN)


def test_stricter_rules_go_into_the_permit(network, board):
    digest = offered(network)
    permit = board.sign(
        digest,
        network.board_key,
        rules=Rules(least_people=50),
        consent_by_hospital=False,
        now=network.clock(),
    )
    assert permit.rules.least_people == 50
    network.turns()
    assert peek(Permit, network.hub.permits["hanbit"], where="") == permit


def test_one_permit_may_want_noise(network, board):
    board.place = replace(board.place, config=replace(network.config, budget=Budget(epsilon=5.0, delta=1e-6)))
    noise = Noise(epsilon=1.0, delta=1e-6, colluders=1)
    rules = stricter(network.config.rules, None, None, None, noise)
    digest = offered(network)
    assert board.request(digest, now=network.clock()).request.noise == ()
    shown = board.request(digest, now=network.clock(), rules=rules).request.noise
    assert "epsilon 1 at delta 1e-06" in shown[0]
    assert shown[-1].startswith("budget: epsilon 5 at delta 1e-06; spent 0.00, 1.00 after this")
    permit = board.sign(
        digest, network.board_key, rules=rules, consent_by_hospital=False, now=network.clock()
    )
    assert permit.rules == Rules(noise=noise)
    assert "noise: epsilon 1, delta 1e-06, 1 colluders" in words(permit.rules)


def test_a_key_that_is_not_the_boards_signs_nothing(network, board):
    digest = offered(network)
    with pytest.raises(BadKeyFile):
        board.sign(digest, Ed25519PrivateKey.generate(), now=network.clock(), **SIGN)
    with pytest.raises(BadKeyFile):
        board.decline(digest, network.node_key, reason="No.", now=network.clock())
    assert network.journal.decision(digest) is None


def test_a_decline_carries_its_reason_and_ends_the_matter(network, board):
    digest = offered(network)
    board.decline(digest, network.board_key, reason="Not our field.", now=network.clock())
    network.turns()
    assert [one.reason for one in network.hub.declined] == ["Not our field."]
    with pytest.raises(NoSuchRequest, match="decided before"):
        board.sign(digest, network.board_key, now=network.clock(), **SIGN)
    assert board.requests(now=network.clock()) == []
    assert len(board.requests(now=network.clock(), everything=True)) == 1


def test_a_permit_is_sealed_on_another_machine(network, board):
    digest = offered(network)
    carried = encode(board.prepare(digest, now=network.clock(), **SIGN))
    sealed = seal_prepared(decode(Prepared, carried, where="file"), network.board_key)
    network.clock.pass_(minutes=20)
    board.take_signed(sealed, now=network.clock())
    network.turns()
    permit = open_sealed(Permit, network.hub.permits["hanbit"], "permit", network.board_public, where="")
    assert permit.study == digest


@pytest.mark.parametrize(
    "change",
    [
        {"rules": Rules(least_people=2)},
        {"rounds": 1000},
        {"dataset_version": "v9"},
        {"mode": Mode.BY_HOSPITAL},
        {"asker": "insurer"},
    ],
)
def test_a_carried_permit_that_was_changed_is_not_taken_even_if_the_board_key_signed_it(
    network, board, change
):
    digest = offered(network)
    prepared = board.prepare(digest, now=network.clock(), **SIGN)
    sealed = seal(replace(prepared.permit, **change), "permit", network.board_key)
    with pytest.raises((NoSuchRequest, NotSignable)):
        board.take_signed(sealed, now=network.clock())
    assert network.journal.decision(digest) is None


def test_a_carried_permit_by_another_key_is_forged(network, board):
    prepared = board.prepare(offered(network), now=network.clock(), **SIGN)
    with pytest.raises(Forged):
        board.take_signed(seal_prepared(prepared, Ed25519PrivateKey.generate()), now=network.clock())


def test_a_carried_permit_that_is_too_old_is_not_taken(network, board):
    prepared = board.prepare(offered(network), now=network.clock(), **SIGN)
    network.clock.pass_(days=2)
    with pytest.raises(NotPermitted):
        board.take_signed(seal_prepared(prepared, network.board_key), now=network.clock())


def test_a_prepared_permit_for_another_study_than_the_one_shown_is_not_sealed(network, board):
    prepared = board.prepare(offered(network), now=network.clock(), **SIGN)
    other = network.hub.offer(network.study(title="Another"))
    with pytest.raises(NoSuchRequest):
        seal_prepared(replace(prepared, study=other), network.board_key)


def test_a_request_whose_asker_was_dropped_cannot_be_signed(network, board):
    digest = offered(network)
    network.version = 2
    members = network.members()[1:]
    network.members = lambda: members
    network.turns()
    pending = board.request(digest, now=network.clock())
    assert pending.request is None
    assert "lists no member 'maker'" in pending.fault
    with pytest.raises(Exception, match="lists no member"):
        board.sign(digest, network.board_key, now=network.clock(), **SIGN)


def test_an_expired_study_says_so(network, board):
    digest = offered(network, expires=network.clock() + timedelta(hours=2))
    network.clock.pass_(hours=3)
    assert "The study holds from" in board.request(digest, now=network.clock()).fault
