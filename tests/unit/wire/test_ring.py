"""The ring adds as Python's integers do, and refuses what would wrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.wire import ring

WHOLE = st.integers(-(2**62), 2**62 - 1)


def as_integer(lanes):
    low, high = int(lanes[0, 0]), int(lanes[0, 1])
    value = (high << 64) | low
    return value - (1 << 128) if value >> 127 else value


@given(st.lists(WHOLE, min_size=1, max_size=20))
def test_addition_is_exact_in_any_order(numbers):
    lanes = [ring.to_ring(np.array([number], dtype=np.int64), 0) for number in numbers]
    forward, backward = np.zeros((1, 2), np.uint64), np.zeros((1, 2), np.uint64)
    for one in lanes:
        forward = ring.add(forward, one)
    for one in reversed(lanes):
        backward = ring.add(one, backward)
    assert as_integer(forward) == as_integer(backward) == sum(numbers)
    assert ring.from_ring(forward, 0)[0] == float(sum(numbers))


@given(st.lists(st.tuples(WHOLE, WHOLE), min_size=1, max_size=20))
def test_subtraction_undoes_addition(pairs):
    left, right = (ring.to_ring(np.array(each, dtype=np.int64), 0) for each in zip(*pairs, strict=True))
    np.testing.assert_array_equal(ring.subtract(ring.add(left, right), right), left)
    np.testing.assert_array_equal(ring.subtract(left, right), ring.add(left, ring.negated(right)))


@given(st.floats(-1e9, 1e9), st.integers(0, 50))
def test_fixed_point_is_within_half_a_step(value, scale):
    back = ring.from_ring(ring.to_ring(np.array([value]), scale), scale)[0]
    assert abs(back - value) <= 0.5 * 2.0**-scale


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 2.0**120, -(2.0**121)])
def test_what_would_wrap_does_not_enter(value):
    with pytest.raises(OverflowError):
        ring.to_ring(np.array([value]), 0)


def test_a_count_beyond_64_bits_is_an_error_and_not_a_number():
    most = ring.to_ring(np.array([2**63 - 1], dtype=np.int64), 0)
    with pytest.raises(OverflowError):
        ring.integers(ring.add(most, most))


@given(st.lists(WHOLE, max_size=9))
def test_bytes_round_trip(numbers):
    lanes = ring.to_ring(np.array(numbers, dtype=np.int64), 0)
    assert (ring.from_bytes(ring.to_bytes(lanes), len(numbers)) == lanes).all()
    with pytest.raises(ValueError):
        ring.from_bytes(ring.to_bytes(lanes), len(numbers) + 1)
