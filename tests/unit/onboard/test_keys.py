"""Where rows came from, and whether a column only rises."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dure.onboard.keys import Ascent, Places


@given(st.lists(st.lists(st.integers(0, 20), max_size=5), max_size=6))
def test_ascent_is_the_same_in_pieces_as_at_once(pieces: list[list[int]]) -> None:
    ascent = Ascent()
    for piece in pieces:
        ascent.add(np.array(piece, np.int64))
    whole = [value for piece in pieces for value in piece]
    assert ascent.rising == all(a < b for a, b in pairwise(whole))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.integers(1, 100), max_size=6)), max_size=8))
def test_places_gives_back_each_rows_file_and_line(runs: list[tuple[str, list[int]]]) -> None:
    places = Places()
    for file, lines in runs:
        places.add(file, np.array(sorted(set(lines)), np.int64))
    wanted = [(file, line) for file, lines in runs for line in sorted(set(lines))]
    assert [places.of(row) for row in range(places.rows)] == wanted
