"""Untrusted bytes become exactly what they say, or a clear error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.wire.codec import MAX_DEPTH, Malformed, decode, encode
from dure.wire.messages import Exchange, Position, Task
from dure.wire.rules import Rules

TASK = Task(
    run="r", manifest="m", position=Position(step=0, round=1, exchange=Exchange.VALUES), state=b"\x00\xff"
)


def test_a_message_round_trips():
    assert decode(Task, encode(TASK), where="test") == TASK


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"least_people": 11, "least_people": 5}', "stands twice"),
        (b'{"least_people": NaN}', "NaN"),
        (b'{"least_people": 1e999}', "1e999"),
        (b'{"least_people": 11, "mode": "total"}', "$.mode"),
        (b'{"least_people": "11"}', "$.least_people"),
        (b'{"least_people": 11.5}', "$.least_people"),
        (b"{", "Not JSON"),
        (b"\xff\xfe", "Not JSON"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "deeper"),
        (b"[" * 100_000, "deeper"),
    ],
)
def test_what_is_refused_and_how_it_is_said(body, said):
    with pytest.raises(Malformed) as caught:
        decode(Rules, body, where="test")
    assert said in str(caught.value)


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_spoiled_bytes_never_raise_anything_else(noise, place, byte):
    body = bytearray(encode(TASK))
    body[place % len(body)] = byte
    for spoiled in (bytes(body), bytes(body[: place % len(body)]), noise):
        try:
            assert isinstance(decode(Task, spoiled, where="test"), Task)
        except Malformed:
            continue
