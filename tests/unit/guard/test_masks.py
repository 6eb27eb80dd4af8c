"""Masks cancel exactly when they should: every drop-out pattern up to the threshold, and no sum beyond it."""

from fractions import Fraction
from itertools import combinations
from math import log2

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from dure.guard import masks, shamir
from dure.guard.neighbours import DEGREE, neighbours, threshold
from dure.study.protocol.batch import holders
from dure.wire import ring

PLACE = "run/0/0/values"
TRANSCRIPT = bytes(32)


class Network:
    """Hospitals that all follow the protocol, one exchange of which is summed."""

    def __init__(self, count, cells=5, seed=1):
        rng = np.random.default_rng(seed)
        self.names = tuple(f"h{number:03}" for number in range(count))
        self.secrets = {name: rng.bytes(32) for name in self.names}
        self.numbers = {name: ring.to_ring(rng.normal(size=cells) * 1e6, 40) for name in self.names}
        self.holders = holders(self.names, TRANSCRIPT)
        self.announced = {name: masks.announce(secret, PLACE) for name, secret in self.secrets.items()}
        self.pieces = {
            name: masks.deal(secret, [PLACE], self.holders[name], threshold(len(self.holders[name])))
            for name, secret in self.secrets.items()
        }

    def sent(self, name, asked):
        others = {
            other: self.announced[other].key
            for other in self.holders[name]
            if other != name and other in asked
        }
        return masks.mask(
            self.numbers[name], self.secrets[name], PLACE, me=name, others=others, transcript=TRANSCRIPT
        )

    def told(self, about, helpers, *, of_key):
        near = self.holders[about]
        found = {
            at: masks.piece_of(self.pieces[about][name], 0, of_key=of_key)
            for at, name in enumerate(near, 1)
            if name in helpers
        }
        return dict(list(found.items())[: threshold(len(near))])

    def opened(self, survivors, helpers=None):
        helpers = survivors if helpers is None else helpers
        dropped = [name for name in self.names if name not in survivors]
        total = np.zeros_like(self.numbers[self.names[0]])
        for name in survivors:
            total = ring.add(total, self.sent(name, self.names))
        return masks.unmask(
            total,
            PLACE,
            announced=self.announced,
            near=self.holders,
            survivors=survivors,
            dropped=dropped,
            selves={name: self.told(name, helpers, of_key=False) for name in survivors},
            keys={name: self.told(name, helpers, of_key=True) for name in dropped},
            transcript=TRANSCRIPT,
        )

    def plain(self, survivors):
        total = np.zeros_like(self.numbers[self.names[0]])
        for name in survivors:
            total = ring.add(total, self.numbers[name])
        return total


@pytest.mark.parametrize("count", range(1, 8))
def test_every_pattern_of_drop_outs_up_to_the_threshold_opens_to_the_plain_sum(count):
    network = Network(count)
    for lost in range(count - threshold(count) + 1):
        for gone in combinations(network.names, lost):
            survivors = tuple(name for name in network.names if name not in gone)
            np.testing.assert_array_equal(network.opened(survivors), network.plain(survivors))


@pytest.mark.parametrize("count", range(4, 8))
def test_any_large_enough_set_of_helpers_opens_the_same_sum(count):
    network = Network(count)
    for helpers in combinations(network.names, threshold(count)):
        np.testing.assert_array_equal(network.opened(network.names, helpers), network.plain(network.names))


@pytest.mark.parametrize("count", range(2, 8))
def test_one_helper_too_few_opens_nothing(count):
    network = Network(count)
    for helpers in combinations(network.names, threshold(count) - 1):
        with pytest.raises(masks.BadPieces):
            network.opened(network.names, helpers)


def test_a_wrong_piece_is_noticed_and_its_dealer_named():
    network = Network(5)
    network.pieces["h002"]["h000"] = network.pieces["h001"]["h000"]
    with pytest.raises(masks.BadPieces, match="h002"):
        network.opened(network.names)


def test_a_large_network_masks_with_neighbours_only(monkeypatch):
    """The same code with a smaller degree, so that the test stays short."""
    monkeypatch.setattr("dure.guard.neighbours.COMPLETE_TO", 20)
    monkeypatch.setattr("dure.guard.neighbours.DEGREE", 16)
    network = Network(45, cells=2)
    near = neighbours(network.names, TRANSCRIPT)
    assert {len(others) for others in near.values()} == {16}
    assert all(name in near[other] for name, others in near.items() for other in others)
    assert neighbours(network.names, bytes([1] * 32)) != near
    survivors = tuple(name for at, name in enumerate(network.names) if at % 9)
    np.testing.assert_array_equal(network.opened(survivors), network.plain(survivors))


def test_the_degree_keeps_what_the_decision_record_says():
    """At 1,000 hospitals: 15 % colluding bare nobody's secrets, but with 2^-38; 15 % lost still open, but with 2^-20."""
    parties, holding = 1000, DEGREE + 1
    least = threshold(holding)
    enough_to_bare = 2 * least - holding
    bared = parties * hypergeom.sf(enough_to_bare - 1, parties - 1, 150, DEGREE)
    stuck = parties * hypergeom.cdf(least - 2, parties - 1, parties - 1 - 150, DEGREE)
    assert log2(bared) < -38
    assert log2(stuck) < -20


@settings(max_examples=60, deadline=None, derandomize=True)
@given(secret=st.binary(min_size=32, max_size=32), count=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_pieces_give_back_the_secret_and_fewer_do_not(secret, count, seed):
    rng = np.random.default_rng(seed)
    least = int(rng.integers(1, count + 1))
    drawn = [int.from_bytes(rng.bytes(64), "big") % shamir.PRIME for _ in range(least - 1)]
    pieces = shamir.split(secret, range(1, count + 1), drawn)
    chosen = {int(at): pieces[int(at)] for at in rng.permutation(np.arange(1, count + 1))[:least]}
    assert shamir.combine(chosen) == secret
    if least > 1:
        chosen.popitem()
        assert shamir.combine(chosen) != secret


def test_masks_of_two_exchanges_and_of_two_runs_are_unlike():
    network = Network(3)
    plain = np.zeros_like(network.numbers["h000"])
    others = {name: network.announced[name].key for name in network.names[1:]}
    seen = {
        ring.to_bytes(
            masks.mask(plain, network.secrets["h000"], place, me="h000", others=others, transcript=told)
        )
        for place in (PLACE, "run/0/1/values", "other/0/0/values")
        for told in (TRANSCRIPT, bytes([1] * 32))
    }
    assert len(seen) == 6


def test_sealed_pieces_open_only_for_their_holder_and_their_run():
    key = masks.seal_key(b"a" * 32)
    sealed = masks.seal_pieces(b"pieces", key.public_key().public_bytes_raw(), about=b"run 1")
    assert masks.open_pieces(sealed, key, about=b"run 1") == b"pieces"
    for other, about in ((masks.seal_key(b"b" * 32), b"run 1"), (key, b"run 2")):
        with pytest.raises(InvalidTag):
            masks.open_pieces(sealed, other, about=about)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(values=st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=6), scale=st.integers(0, 50))
def test_a_masked_sum_of_fixed_point_numbers_is_within_half_a_step_a_hospital(values, scale):
    """And one rounding to double at the end; the order of hospitals never matters."""
    network = Network(len(values), cells=1)
    for name, value in zip(network.names, values, strict=True):
        network.numbers[name] = ring.to_ring(np.array([value]), scale)
    total = Fraction(float(ring.from_ring(network.opened(network.names), scale)[0]))
    exact = sum(Fraction(value) for value in values)
    steps = Fraction(len(values), 2) / 2**scale
    assert abs(total - exact) <= steps + (abs(exact) + steps) / 2**53
