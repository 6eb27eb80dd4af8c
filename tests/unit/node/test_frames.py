"""Frames through the pipe's bytes: columns and sparse matrices come out as they went in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from dure.node import frames
from dure.stats.base import Frame


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=st.integers(0, 30), width=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_a_frame_comes_out_as_it_went_in(rows, width, seed):
    rng = np.random.default_rng(seed)
    matrix = csr_array(random_array((rows, width), density=0.3, rng=rng))
    frame = Frame(
        person=rng.integers(0, 2**60, rows),
        columns={"matrix x": rng.normal(size=rows), "person": rng.integers(0, 3, rows)},
        matrices={"x": matrix, "empty": csr_array((rows, 7), dtype=np.float64)},
    )
    again = frames.load(bytes(frames.dump(frame)))
    np.testing.assert_array_equal(again.person, frame.person)
    for name, column in frame.columns.items():
        np.testing.assert_array_equal(again.columns[name], column)
    assert again.matrices["x"].shape == matrix.shape
    assert again.matrices["empty"].shape == (rows, 7)
    np.testing.assert_array_equal(again.matrices["x"].toarray(), matrix.toarray())


def test_what_is_no_frame_is_said():
    with pytest.raises(ValueError, match="not an Arrow stream"):
        frames.load(b"nothing")


def test_a_matrix_of_another_height_is_no_part_of_a_frame():
    with pytest.raises(ValueError, match="x"):
        Frame(person=np.arange(3), columns={}, matrices={"x": csr_array((2, 4))})
