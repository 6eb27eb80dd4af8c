"""A Merkle tree over leaves that are only ever appended (RFC 6962, section 2.1): the audit log's mathematics, and the ledger's.

Responsible for: leaf and tree hashes, proofs that an entry is in a log and that one log continues another. Not responsible
for: what an entry says (`dure.govern.log`, `dure.market.ledger`), keeping leaves (the hub's store).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from dure.wire.codec import message


@message
class Checkpoint:
    """The log at one size. Whoever keeps it can hold every later log against it.

    Attributes:
        root: the tree's hash, 64 hexadecimal digits.
    """

    size: int
    root: str


def leaf_hash(body: bytes) -> bytes:
    """The hash of an entry's exact bytes."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """All that is needed to append and to know the root: the full subtrees on the right edge, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier after one more leaf hash."""
        peaks, size = [*self.peaks, leaf], self.size
        while size & 1:
            right, left = peaks.pop(), peaks.pop()
            peaks.append(node_hash(left, right))
            size >>= 1
        return Frontier(self.size + 1, tuple(peaks))

    @property
    def root(self) -> bytes:
        """The tree's hash; that of no bytes for an empty log."""
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        total = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            total = node_hash(peak, total)
        return total

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(size=self.size, root=self.root.hex())


def frontier(leaves: Sequence[bytes]) -> Frontier:
    """The frontier of a whole log."""
    edge = Frontier()
    for leaf in leaves:
        edge = edge.append(leaf)
    return edge


def root(leaves: Sequence[bytes]) -> bytes:
    """The tree's hash over leaf hashes."""
    return frontier(leaves).root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The audit path of leaf `index` (PATH of RFC 6962), nearest sibling first.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path = []
    while len(leaves) > 1:
        middle = _split(len(leaves))
        if index < middle:
            path.append(root(leaves[middle:]))
            leaves = leaves[:middle]
        else:
            path.append(root(leaves[:middle]))
            leaves, index = leaves[middle:], index - middle
    return tuple(reversed(path))


def consistency(leaves: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """The proof that the log of the first `first` leaves is continued by this one (PROOF of RFC 6962).

    Raises:
        IndexError: `first` isn't from 1 to the log's size.
    """
    if not 1 <= first <= len(leaves):
        raise IndexError(first)
    path, whole = [], True
    while first < len(leaves):
        middle = _split(len(leaves))
        if first <= middle:
            path.append(root(leaves[middle:]))
            leaves = leaves[:middle]
        else:
            path.append(root(leaves[:middle]))
            leaves, first, whole = leaves[middle:], first - middle, False
    if not whole:
        path.append(root(leaves))
    return tuple(reversed(path))


def includes(leaf: bytes, index: int, path: Sequence[bytes], checkpoint: Checkpoint) -> bool:
    """Whether `path` shows that `leaf` is number `index` of the log at `checkpoint` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < checkpoint.size:
        return False
    position, last, total = index, checkpoint.size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            total = node_hash(sibling, total)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            total = node_hash(total, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and total.hex() == checkpoint.root


def continues(old: Checkpoint, new: Checkpoint, path: Sequence[bytes]) -> bool:
    """Whether `path` shows that the log at `new` is the log at `old` and more (RFC 9162, 2.1.4.2)."""
    if old.size == new.size:
        return old.root == new.root and not path
    if not 0 < old.size < new.size:
        return False
    hashes = list(path)
    if old.size & (old.size - 1) == 0:
        hashes.insert(0, bytes.fromhex(old.root))
    if not hashes:
        return False
    position, last = old.size - 1, new.size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and before.hex() == old.root and after.hex() == new.root
