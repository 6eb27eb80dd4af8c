"""The tree of logs against a naive one, and against whoever changes an entry."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.wire.merkle import (
    Checkpoint,
    consistency,
    continues,
    frontier,
    includes,
    inclusion,
    leaf_hash,
    root,
)

SIZES = range(1, 34)


def naive(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive(leaves[:k]) + naive(leaves[k:])).digest()


def log_of(size):
    return [leaf_hash(str(number).encode()) for number in range(size)]


@pytest.mark.parametrize("size", [0, *SIZES])
def test_the_root_is_the_standard_s(size):
    assert root(log_of(size)) == naive(log_of(size))


@pytest.mark.parametrize("size", SIZES)
def test_every_entry_can_be_shown_to_be_in_it_and_no_other(size):
    leaves = log_of(size)
    checkpoint = frontier(leaves).checkpoint
    for index, leaf in enumerate(leaves):
        path = inclusion(leaves, index)
        assert includes(leaf, index, path, checkpoint)
        assert not includes(leaf_hash(b"another"), index, path, checkpoint)
        assert not includes(leaf, (index + 1) % size, path, checkpoint) or size == 1
        assert not includes(leaf, index, (*path, leaf), checkpoint)


@pytest.mark.parametrize("size", SIZES)
def test_every_older_log_is_continued_and_a_rewritten_one_is_not(size):
    leaves = log_of(size)
    new = frontier(leaves).checkpoint
    for first in range(1, size + 1):
        path = consistency(leaves, first)
        old = frontier(leaves[:first]).checkpoint
        assert continues(old, new, path)
        changed = [leaf_hash(b"changed"), *leaves[1:first]]
        assert not continues(frontier(changed).checkpoint, new, path)
        assert not continues(Checkpoint(size=first + size, root=old.root), new, path)


@given(st.integers(1, 40), st.data())
def test_a_changed_entry_changes_the_root(size, data):
    leaves = log_of(size)
    changed = list(leaves)
    changed[data.draw(st.integers(0, size - 1))] = leaf_hash(b"changed")
    assert root(changed) != root(leaves)
