"""Every message of the network survives its codec bit for bit, and its spoiled bytes never crash anybody."""

import dataclasses
import typing
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.wire import directory, envelope, messages, rules
from dure.wire.codec import Malformed, decode, encode
from dure.wire.messages import pack, unpack

MESSAGES = [
    kind
    for module in (messages, envelope, directory, rules)
    for kind in vars(module).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
]
OFFSETS = st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-3, minutes=-30))])
MOMENTS = st.datetimes(min_value=datetime(1900, 1, 2), timezones=OFFSETS)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
PLAIN = {
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(1, 2**63 - 1),
    float: st.floats(1e-9, 1e-3),
    bytes: st.binary(max_size=40),
    date: st.dates(),
    datetime: MOMENTS,
}


def values(kind):
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return values(arguments[0])
    if origin is dict:
        return st.dictionaries(TEXT, values(arguments[1]), max_size=3)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is not None:
        return st.one_of(*(st.none() if each is type(None) else values(each) for each in arguments))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return st.builds(
            kind, **{field.name: values(hints[field.name]) for field in dataclasses.fields(kind)}
        )
    return PLAIN[datetime if getattr(kind, "__name__", "") == "AwareDatetime" else kind]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_round_trip_and_spoiling(kind, data):
    value = data.draw(values(kind))
    body = encode(value)
    assert decode(kind, body, where="test") == value
    assert encode(decode(kind, body, where="test")) == body
    spoiled = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(decode(kind, bytes(spoiled), where="test"), kind)
    except (Malformed, rules.BadRules):
        return


@pytest.mark.parametrize(
    "moment", ["2026-01-01T00:00:00", "2026-01-01", "", "2026-13-01T00:00:00Z", "0000-01-01T00:00:00Z"]
)
def test_a_time_without_its_offset_is_none(moment):
    body = f'{{"study":"s","hospital":"h","reason":"r","issued":"{moment}"}}'.encode()
    with pytest.raises(Malformed, match="issued"):
        decode(messages.Decline, body, where="test")


@given(st.lists(st.booleans(), max_size=70))
def test_a_bitmap_holds_every_bit(bits):
    packed = pack(np.array(bits, dtype=np.bool_))
    assert unpack(packed, len(bits), where="test").tolist() == bits
    with pytest.raises(Malformed):
        unpack(packed + b"\0", len(bits), where="test")
