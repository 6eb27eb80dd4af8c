"""Masks that cancel: each hospital adds random numbers to its own, and only the sum over all of them is rid of them.

Responsible for: from one secret of a hospital to its keys, its pieces for the others, its masks; from the pieces of enough
hospitals to the sum without masks. Pure: the secret is an argument. Not responsible for: the order of messages and what each
party checks (`dure.study.protocol.party`), signatures, what may be summed (`gate`).

For every exchange a hospital has two fresh secrets, both derived: a self-mask seed and a mask key (X25519), from which each
pair has a common seed. What is sent is x + PRG(self) ± PRG(pair) over the neighbours. Who sent it is opened by its self-mask
seed; who dropped out before is opened by its mask key: never both of one hospital in one exchange, or its x is bare.
Secrets of different exchanges are independent, so that what one exchange opens says nothing about another.

Source: Bonawitz et al., Practical secure aggregation for privacy-preserving machine learning, CCS 2017.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dure.guard import shamir
from dure.wire import ring

SEED_BYTES = 32
PIECE_BYTES = 2 * shamir.SHARE_BYTES
"""Of one exchange: a piece of the self-mask seed, a piece of the mask key."""
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class BadPieces(ValueError):
    """Pieces that don't give back what was announced: a hospital dealt or told wrong ones. Names the hospital."""


@dataclass(frozen=True, kw_only=True)
class Announced:
    """What a hospital announces of an exchange: the public mask key, and a commitment to the self-mask seed. 32 bytes each."""

    key: bytes
    commitment: bytes


def seal_key(secret: bytes) -> X25519PrivateKey:
    """The key to which others seal their pieces for this hospital."""
    return X25519PrivateKey.from_private_bytes(derived(secret, "seal"))


def announce(secret: bytes, place: str) -> Announced:
    """What to announce of an exchange.

    Args:
        secret: 32 bytes that only this hospital knows.
        place: names the exchange; no two have one name.
    """
    key = X25519PrivateKey.from_private_bytes(derived(secret, "key", place))
    return Announced(
        key=key.public_key().public_bytes_raw(), commitment=_commitment(derived(secret, "self", place))
    )


def deal(secret: bytes, places: Sequence[str], holders: Sequence[str], threshold: int) -> dict[str, bytes]:
    """Each holder's pieces of both secrets of every exchange, in the order of `places`.

    Args:
        holders: in an order that all parties share; a piece's place is the position here.
    """
    pieces: dict[str, list[bytes]] = {holder: [] for holder in holders}
    positions = range(1, len(holders) + 1)
    for place in places:
        for part in ("self", "key"):
            drawn = _stream(derived(secret, "coefficients", part, place), 64 * (threshold - 1))
            coefficients = [
                int.from_bytes(drawn[at : at + 64], "big") % shamir.PRIME for at in range(0, len(drawn), 64)
            ]
            split = shamir.split(derived(secret, part, place), positions, coefficients)
            for position, holder in zip(positions, holders, strict=True):
                pieces[holder].append(split[position])
    return {holder: b"".join(held) for holder, held in pieces.items()}


def seal_pieces(pieces: bytes, to: bytes, *, about: bytes) -> bytes:
    """Pieces that only the holder of the key can read. `about` binds dealer, holder and run."""
    return _SUITE.encrypt(pieces, X25519PublicKey.from_public_bytes(to), info=about)


def open_pieces(sealed: bytes, key: X25519PrivateKey, *, about: bytes) -> bytes:
    """The pieces. Raises `cryptography`'s InvalidTag or ValueError where they were sealed to another key or about another thing."""
    return _SUITE.decrypt(sealed, key, info=about)


def piece_of(pieces: bytes, index: int, *, of_key: bool) -> bytes:
    """One piece of those dealt: of the exchange `index`, of the mask key or else of the self-mask seed."""
    start = index * PIECE_BYTES + (shamir.SHARE_BYTES if of_key else 0)
    return pieces[start : start + shamir.SHARE_BYTES]


def mask(
    numbers: ring.Lanes, secret: bytes, place: str, *, me: str, others: Mapping[str, bytes], transcript: bytes
) -> ring.Lanes:
    """Numbers under this hospital's masks. Shape (n, 2), as given.

    Args:
        others: public mask keys, of this exchange, of the neighbours that take part.
        transcript: digest of all that was announced; all parties must have the same.
    """
    size = len(numbers)
    masked = ring.add(numbers, expand(derived(secret, "self", place), size))
    key = X25519PrivateKey.from_private_bytes(derived(secret, "key", place))
    for other, public in others.items():
        seed = _pair_seed(key, public, place, transcript)
        masked = _signed(masked, expand(seed, size), plus=me < other)
    return masked


def unmask(
    total: ring.Lanes,
    place: str,
    *,
    announced: Mapping[str, Announced],
    near: Mapping[str, Collection[str]],
    survivors: Collection[str],
    dropped: Collection[str],
    selves: Mapping[str, Mapping[int, bytes]],
    keys: Mapping[str, Mapping[int, bytes]],
    transcript: bytes,
) -> ring.Lanes:
    """The sum of the survivors' numbers, from the sum of what they sent.

    Args:
        near: every hospital's neighbours.
        selves: of every survivor, pieces of its self-mask seed by place; `threshold` or more.
        keys: of every hospital that dropped out, pieces of its mask key by place; `threshold` or more.

    Raises:
        BadPieces: what the pieces give isn't what was announced.
    """
    size = len(total)
    for name in survivors:
        seed = shamir.combine(selves[name])
        if seed is None or _commitment(seed) != announced[name].commitment:
            raise BadPieces(name)
        total = _signed(total, expand(seed, size), plus=False)
    for name in dropped:
        recovered = shamir.combine(keys[name])
        if recovered is None:
            raise BadPieces(name)
        key = X25519PrivateKey.from_private_bytes(recovered)
        if key.public_key().public_bytes_raw() != announced[name].key:
            raise BadPieces(name)
        for other in near[name]:
            if other in survivors:
                seed = _pair_seed(key, announced[other].key, place, transcript)
                total = _signed(total, expand(seed, size), plus=name < other)
    return total


def _signed(numbers: ring.Lanes, addend: ring.Lanes, *, plus: bool) -> ring.Lanes:
    return ring.add(numbers, addend) if plus else ring.subtract(numbers, addend)


def derived(secret: bytes, *labels: str) -> bytes:
    """32 bytes that say nothing about those of other labels."""
    info = b"dure masks" + b"".join(
        len(label.encode()).to_bytes(4, "big") + label.encode() for label in labels
    )
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=info).derive(secret)


def _pair_seed(key: X25519PrivateKey, public: bytes, place: str, transcript: bytes) -> bytes:
    common = key.exchange(X25519PublicKey.from_public_bytes(public))
    info = b"dure pair" + transcript + place.encode()
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=info).derive(common)


def _commitment(seed: bytes) -> bytes:
    return hashlib.sha256(b"dure self" + seed).digest()


def _stream(seed: bytes, size: int) -> bytes:
    """ChaCha20's key stream: a seed is used for one stream."""
    return Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor().update(bytes(size))


def expand(seed: bytes, size: int) -> ring.Lanes:
    """`size` uniform elements of the ring. Shape (size, 2)."""
    return np.frombuffer(_stream(seed, 16 * size), dtype="<u8").astype(np.uint64, copy=False).reshape(size, 2)
