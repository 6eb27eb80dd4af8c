"""The running node: what it waits for, how long, and that nothing the network does ends it."""

import sys
import time
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest

from dure.node import loop
from dure.node.hub_link import HubLink
from dure.node.loop import Backoff, Node
from dure.wire.problems import PROBLEM_BASE


class Enough(Exception):
    """Ends a loop that would never end."""


@pytest.fixture
def sleeps(monkeypatch):
    """The pauses that the loop made, none of which is slept; after a hundred it is ended."""
    made: list[float] = []

    def sleep(seconds):
        made.append(seconds)
        if len(made) >= 100:
            raise Enough

    # The loop's own clock, not the process's: other threads of the test run sleep too.
    monkeypatch.setattr(loop, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    return made


@pytest.fixture
def node(network):
    def answer(request):
        return network.hub.handle(request)

    made = Node(
        network.place, HubLink("https://hub.test", transport=httpx.MockTransport(answer)), clock=network.clock
    )
    yield made
    made.close()


def test_pauses_double_to_their_limit_with_jitter():
    backoff = Backoff(shortest=0.5, longest=60.0)
    pauses = [backoff.wait() for _ in range(12)]
    for index, pause in enumerate(pauses):
        span = min(0.5 * 2**index, 60.0)
        assert span / 2 <= pause <= span
    assert len(set(pauses)) == len(pauses)
    backoff.reset()
    assert backoff.wait() <= 0.5


def test_a_hub_that_is_down_for_an_hour_is_waited_for_in_one_line(network, node, sleeps, caplog):
    caplog.set_level("INFO", logger="dure.node")
    network.hub.down = True
    with pytest.raises(Enough):
        node.run()
    assert sum(sleeps) > 3600 / 2
    assert max(sleeps) <= 60
    waits = [record.message for record in caplog.records]
    assert len(waits) == 1
    assert waits[0].startswith("waits for the hub: No answer: ConnectError.")


def test_work_goes_on_when_the_hub_is_back(network, node, monkeypatch):
    network.permitted()
    network.hub.compose()
    network.hub.down = True

    sleeps: list[float] = []

    def back(seconds):
        sleeps.append(seconds)
        network.hub.down = len(sleeps) < 5
        if len(sleeps) >= 30:
            raise Enough

    monkeypatch.setattr(loop, "time", SimpleNamespace(sleep=back, monotonic=time.monotonic))
    node._computing = network.worker.computing()
    with pytest.raises(Enough):
        node.run()
    assert network.hub.run.stage.value == "done"


def test_a_clock_that_is_off_gives_one_clear_line_and_no_end(network, node, sleeps, caplog):
    caplog.set_level("INFO", logger="dure.node")
    honest = network.hub.handle

    def skewed(request):
        if request.url.path != "/v1/node/poll":
            return honest(request)
        document = {
            "type": PROBLEM_BASE + "clock-skew",
            "detail": "The message says 12:10:00 UTC; the hub's clock says 12:00:00 UTC.",
            "where": "body of POST /v1/node/poll, sent",
            "mend": "Set this machine's clock by a time server, then try again.",
        }
        return httpx.Response(400, json=document)

    network.hub.handle = skewed
    with pytest.raises(Enough):
        node.run()
    (line,) = {record.message for record in caplog.records if "time" in record.message}
    assert line.startswith("waits for the right time: The message says 12:10:00 UTC")
    assert "time server" in line


def test_a_hospital_that_is_not_listed_waits_with_its_fingerprints(network, node, sleeps, caplog):
    caplog.set_level("INFO", logger="dure.node")
    network.members = lambda: ()
    with pytest.raises(Enough):
        node.run()
    (line,) = {record.message for record in caplog.records}
    assert "The root hasn't listed hanbit yet" in line
    assert "Read the fingerprints to the root: board " in line


def test_a_hub_with_another_root_is_not_believed(network, node, sleeps, caplog):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    caplog.set_level("INFO", logger="dure.node")
    network.root = Ed25519PrivateKey.generate()
    with pytest.raises(Enough):
        node.run()
    assert "No valid signature" in caplog.text
    assert network.journal.fact("directory") is None


def test_a_full_disk_is_said_and_waited_for(network, node, sleeps, caplog, monkeypatch):
    import sqlite3

    caplog.set_level("INFO", logger="dure.node")
    network.hub.offer(network.study())

    def full(*arguments, **options):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(network.journal, "add_offer", full)
    with pytest.raises(Enough):
        node.run()
    assert "Free room on that disk" in caplog.text


def test_a_hub_that_does_not_hold_polls_is_not_asked_in_a_tight_circle(network, node, sleeps):
    network.hub.offer(network.study())
    with pytest.raises(Enough):
        node.run()
    polls = [door for door, _ in network.hub.bodies if door == "/v1/node/poll"]
    assert len(polls) <= len(sleeps) + 3
    assert sleeps[-1] >= 1


def test_a_node_that_has_worked_and_is_idle_asks_to_start_afresh(network, node, sleeps):
    object.__setattr__(network.config, "idle_minutes", 0)
    network.hub.offer(network.study())
    node.run()
    assert loop.HEAVY in sys.modules
    assert network.journal.undecided() == 1


def test_the_clock_is_only_ever_given(network, node):
    """Signatures, decisions and letters bear the time that the node was given."""
    network.clock.pass_(minutes=3)
    network.hub.offer(network.study())
    node.turn(wait_seconds=0)
    (offer,) = network.journal.offers()
    assert offer.seen == network.clock()
    assert offer.seen - network.study().created == timedelta(minutes=3)
