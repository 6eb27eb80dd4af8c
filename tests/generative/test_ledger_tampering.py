"""No byte of a ledger can be changed, left out or put in without the verifier saying so."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.market.ledger import BANKS, Account, Books, Cause, Heading, move, verify
from dure.market.problems import BrokenBooks

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def made():
    books, bodies = Books(), []
    for number in range(5):
        purse = Account(heading=Heading.PURSE, owner=f"member-{number % 2}")
        deposit = move(Cause.DEPOSIT, f"bank-{number}", (BANKS, -1000 - number), (purse, 1000 + number))
        bodies += books.post(deposit, at=NOW, who="operator")
    return books.checkpoint, bodies


HEAD, BODIES = made()
PLACES = st.integers(0, len(BODIES) - 1).flatmap(
    lambda number: st.tuples(st.just(number), st.integers(0, len(BODIES[number]) - 1))
)


@given(PLACES, st.integers(1, 255), st.sampled_from(["flip", "drop", "add"]))
def test_any_changed_byte_is_detected(place, change, how):
    number, index = place
    body = BODIES[number]
    new = {
        "flip": body[:index] + bytes([body[index] ^ change]) + body[index + 1 :],
        "drop": body[:index] + body[index + 1 :],
        "add": body[:index] + bytes([change]) + body[index:],
    }[how]
    if new == body:
        return
    with pytest.raises(BrokenBooks):
        verify([*BODIES[:number], new, *BODIES[number + 1 :]], head=HEAD)


def test_the_ledger_as_it_is_passes():
    assert verify(BODIES, head=HEAD).checkpoint == HEAD
