"""A node that dies at every point of a masked round, and a hub that tries to profit from what it forgot.

In one process: a crash is an exception at a point around or within a transaction or a letter, after which the node is made anew from its folder.
The same with real processes and kill -9 is `tests/integration/test_kill_masked.py`.
"""

import secrets
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import pytest

from dure.node.hub_link import HubLink
from dure.node.journal import Journal
from dure.node.worker import ANSWERS, Worker
from dure.wire.codec import decode, encode
from dure.wire.envelope import Envelope, peek, seal
from dure.wire.messages import Agreement, Exchange, Handshake, Provenance
from dure.wire.rules import Rules
from tests.unit.node.conftest import Network

LAST = Exchange.VALUES_OPEN
POINTS = 100
"""More than a round has."""


class Died(BaseException):
    """The process is gone."""


class Points:
    """Counts points, and dies at one, or once something has happened; `left` has all letters that may have left."""

    def __init__(self):
        self.count, self.die_at, self.left, self.link = 0, None, [], None
        self.happened = lambda: False

    def __call__(self):
        self.count += 1
        if self.count == self.die_at or self.happened():
            raise Died


@contextmanager
def pointed(*, early=False):
    """Points in every transaction and letter.

    Args:
        early: the seeded defect: a word on masks is sent before the decision that it tells is kept.
    """
    point, writing, post, shake = Points(), Journal.writing, HubLink.post, Worker._shake_hands

    @contextmanager
    def writing_(self, *, durable=True):
        point()
        with writing(self, durable=durable):
            yield
            point()
        point()

    def post_(self, door, body):
        point.left.append(body)
        point()
        post(self, door, body)
        point()

    def shake_early(self, player, task, permit):
        said = player.word(task, secret=secrets.token_bytes(32))
        sealed = seal(said, "handshake", self.node_key)
        point.link().post(ANSWERS, encode(sealed))
        with self.journal.writing():
            letter = self._write(sealed, "handshake")
            self.journal.give(task, permit, numbers=0, rule="", letter=letter, now=self.clock())
            self.journal.keep_party(task.run, encode(player.party))
        return True

    with (
        patch.object(Journal, "writing", writing_),
        patch.object(HubLink, "post", post_),
        patch.object(Worker, "_shake_hands", shake_early if early else shake),
    ):
        yield point


@pytest.fixture
def made(tmp_path):
    """Makes networks of five hospitals whose boards have signed, one of them with a real node, at the start of a run."""
    networks = []

    def make():
        network = Network(tmp_path / f"node {len(networks)}", rules=Rules(), provenance=Provenance.REAL)
        networks.append(network)
        for name in ("duri", "euna"):
            network.add(name)
        network.permitted()
        network.hub.compose()
        return network

    yield make
    for network in networks:
        network.journal.close()
        network.link.close()


def in_first_round(run):
    return not run.strands or (run.step == 0 and run.strands[0].round == 0)


def one_round(network):
    """Turns until the first round is over, whatever dies; whether anything did."""
    died = False
    while in_first_round(network.hub.run):
        try:
            network.turn()
        except Died:
            died = True
            network.link.close()
            network.boot()
    return died


def words(point):
    """What the node may have said of masks, by position."""
    said = {}
    for body in point.left:
        envelope = decode(Envelope, body, where="letter")
        if envelope.payloadType.endswith("handshake+json"):
            one = peek(Handshake, envelope, where="letter")
            said.setdefault(one.position, set()).add(envelope.payload)
    return said


def lived(made, die_at, *, early=False):
    """One round with a death at a point; whether it died, and the positions at which it may have said two things."""
    network = made()
    with pointed(early=early) as point:
        point.die_at, point.link = die_at, lambda: network.link
        died = one_round(network)
    said = words(point)
    assert {position.exchange for position in said} >= {Exchange.KEYS, LAST}
    assert not network.hub.run.dropped
    return died, [position for position, all_ in said.items() if len(all_) > 1]


@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_whenever_it_dies_the_round_is_finished_and_it_says_one_thing_at_each_position(made, stride):
    """Every thirteenth point; all of them when sweeps are run."""
    deaths = 0
    for die_at in range(1, POINTS, stride):
        died, doubled = lived(made, die_at)
        assert doubled == []
        if not died:
            break
        deaths += 1
    assert deaths * stride >= 60


def test_the_seeded_defect_is_found(made):
    """A word sent before it is kept: after the death another one is said in its place."""
    assert any(lived(made, die_at, early=True)[1] for die_at in range(7, 16))


def agreements(point):
    return {
        peek(Agreement, decode(Handshake, payload, where="").sealed[""], where="").members
        for position, payloads in words(point).items()
        for payload in payloads
        if position.exchange is Exchange.SUPPORT_AGREE
    }


@pytest.mark.parametrize(("early", "lists"), [(False, 1), (True, 2)])
def test_a_hub_gets_no_second_agreement_from_a_node_that_died_after_the_first(made, early, lists):
    """With two lists the hub would have both shares of the hospital in between. The seeded defect signs both."""
    network = made()
    with pointed(early=early) as point:
        point.link = lambda: network.link
        network.until(Exchange.SUPPORT_AGREE)
        point.happened = lambda: bool(agreements(point))
        with pytest.raises(Died):
            network.turn()
        point.happened = lambda: False
        network.link.close()
        network.boot()
        others = list(network.others)[:3]

        def lie(answer):
            return replace(
                answer,
                tasks=tuple(
                    replace(task, members=tuple(sorted(("hanbit", *others)))) for task in answer.tasks
                ),
            )

        network.hub.lie = lie
        network.turn()
    assert len(agreements(point)) == lists
