"""A hub that logs all it ever gets, and looks for one hospital's numbers in it: nothing is there but noise.

The log is what five hospitals say in a whole masked run. The hub recovers every self-mask from the pieces that it was told,
takes them off, and looks at each hospital's vector, at the sum of every group of hospitals short of all of them, and at the differences of
one hospital's vectors over the run. A vector is bare where its elements are numbers of people, and not spread over the ring; and all bytes
together must be uniform. Seeded defects are found by the same looks: no masks, masks used twice, a hospital that leaves its peers' masks out.
"""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chi2

from dure.guard import masks, shamir
from dure.guard.neighbours import threshold
from dure.study.protocol import batch
from dure.study.protocol.player import Player
from dure.wire import ring
from dure.wire.messages import Contribution, Handshake
from tests.unit.study.test_party import NAMES, World

SMALL_BITS = 40


def log_of_a_run():
    """Everything that the hub got, in order."""
    world, log = World(), []
    honest = world.said
    world.said = lambda name, task: log.append(honest(name, task)) or log[-1]
    world.finish()
    return log


def self_masked(log):
    """Each hospital's vectors as sent, by exchange."""
    sent = {}
    for event in log:
        if isinstance(event, Contribution):
            lanes = ring.from_bytes(event.numbers, len(event.numbers) // 16)
            sent.setdefault(event.position, {})[event.hospital] = lanes
    return sent


def without_self_masks(log):
    """Each hospital's vectors once the hub has taken off the self-masks that the pieces in its log give."""
    told = {}
    for event in log:
        if isinstance(event, Handshake) and event.position.exchange in batch.OPENS.values():
            for about, piece in event.pieces.items():
                told.setdefault((event.position, about), {})[NAMES.index(event.hospital) + 1] = piece
    found = {}
    for position, by_hospital in self_masked(log).items():
        opens = batch.OPENS[position.exchange]
        for name, lanes in by_hospital.items():
            at = next((key for key in told if key[1] == name and _same(key[0], position, opens)), None)
            if at is None:
                continue
            seed = shamir.combine(dict(list(told[at].items())[: threshold(len(NAMES))]))
            bare = ring.add(lanes, ring.negated(masks.expand(seed, len(lanes))))
            found.setdefault(position, {})[name] = bare
    return found


def _same(opened, position, exchange):
    return (opened.step, opened.round, opened.exchange) == (position.step, position.round, exchange)


def looks(log):
    """Every vector that the hub can make of its log, short of the sum of all."""
    sent, unmasked = self_masked(log), without_self_masks(log)
    for views in (sent, unmasked):
        for by_hospital in views.values():
            for size in range(1, len(NAMES)):
                for group in combinations(sorted(by_hospital), size):
                    total = np.zeros_like(by_hospital[group[0]])
                    for name in group:
                        total = ring.add(total, by_hospital[name])
                    yield total
        for first, second in combinations(views, 2):
            for name in set(views[first]) & set(views[second]):
                size = min(len(views[first][name]), len(views[second][name]))
                yield ring.add(views[first][name][:size], ring.negated(views[second][name][:size]))


def is_bare(lanes):
    """Whether half of a vector's elements are small numbers: of uniform ones, one in 2^87 is."""
    magnitude = np.where((lanes[:, 1] >> np.uint64(63))[:, None] == 1, ring.negated(lanes), lanes)
    small = (magnitude[:, 1] == 0) & (magnitude[:, 0] < np.uint64(2**SMALL_BITS))
    return bool(small.mean() > 0.5)


def unevenness(log):
    """How likely bytes as uneven as the log's are, were they uniform."""
    lanes = [
        one
        for views in (self_masked(log), without_self_masks(log))
        for by in views.values()
        for one in by.values()
    ]
    counts = np.bincount(
        np.frombuffer(b"".join(ring.to_bytes(one) for one in lanes), np.uint8), minlength=256
    )
    expected = counts.sum() / 256
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), 255))


def found(log):
    """How many vectors are bare, and whether bytes are uneven."""
    return sum(is_bare(lanes) for lanes in looks(log)), unevenness(log) < 1e-6


def test_the_hub_finds_nothing_in_its_log():
    log = log_of_a_run()
    assert sum(1 for _ in looks(log)) > 500
    assert found(log) == (0, False)


def test_it_has_the_sum_of_all():
    """So the looks are good enough to see numbers where there are any."""
    unmasked = without_self_masks(log_of_a_run())
    for by_hospital in unmasked.values():
        assert sorted(by_hospital) == sorted(NAMES)
        total = np.zeros_like(by_hospital["a"])
        for lanes in by_hospital.values():
            total = ring.add(total, lanes)
        assert is_bare(total)


def plain(monkeypatch):
    honest = Player.over
    monkeypatch.setattr(Player, "over", lambda self, task, message: honest(self, task, message) and message)


def used_twice(monkeypatch):
    monkeypatch.setattr(batch, "place", lambda run, position: run)


def peers_left_out(monkeypatch):
    honest = masks.mask

    def mask(numbers, secret, place, *, me, others, transcript):
        return honest(
            numbers, secret, place, me=me, others={} if me == "a" else others, transcript=transcript
        )

    monkeypatch.setattr(masks, "mask", mask)


@pytest.mark.parametrize("defect", [plain, used_twice, peers_left_out])
def test_defects_are_found(monkeypatch, defect):
    defect(monkeypatch)
    log = log_of_a_run()
    bare, uneven = found(log)
    assert bare or uneven
