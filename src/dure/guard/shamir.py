"""Secret sharing: a secret in pieces, any `threshold` of which give it back, and fewer of which say nothing.

Responsible for: splitting and combining over the prime field of 2^256 + 297 elements. Pure: the coefficients come from a
seed. Not responsible for: who holds a piece (`masks`).

Source: A. Shamir, How to share a secret, Communications of the ACM 22 (1979). Written here because the libraries at hand share 16
bytes in a binary field, a hundred times slower than Python's integers; the tests hold it against one of them by its laws.
"""

from collections.abc import Mapping, Sequence

PRIME = 2**256 + 297
SECRET_BYTES, SHARE_BYTES = 32, 33


def split(secret: bytes, places: Sequence[int], coefficients: Sequence[int]) -> dict[int, bytes]:
    """The piece of each place.

    Args:
        secret: 32 bytes.
        places: distinct numbers from 1.
        coefficients: threshold - 1 numbers below PRIME, uniform and unknown to all but the dealer.
    """
    constant = int.from_bytes(secret, "big")
    pieces = {}
    for place in places:
        value = 0
        for coefficient in reversed(coefficients):
            value = (value + coefficient) * place % PRIME
        pieces[place] = ((value + constant) % PRIME).to_bytes(SHARE_BYTES, "big")
    return pieces


def combine(pieces: Mapping[int, bytes]) -> bytes | None:
    """The secret of the pieces, which must be `threshold` or more; None where they are of no one secret of 32 bytes."""
    places = list(pieces)
    secret = 0
    for place in places:
        above = below = 1
        for other in places:
            if other != place:
                above = above * other % PRIME
                below = below * (other - place) % PRIME
        secret += int.from_bytes(pieces[place], "big") * above * pow(below, -1, PRIME)
    secret %= PRIME
    return secret.to_bytes(SECRET_BYTES, "big") if secret < 2**256 else None
