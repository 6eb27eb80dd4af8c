"""Eras of generated records: whatever the records, the vectorised eras are the naive ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dure.demo.synth.eras import GAP, eras

RECORD = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 300), st.integers(0, 90))


def naive(records):
    found: dict[tuple[int, int], list[list[int]]] = {}
    for person, group, start, end in sorted(records):
        spans = found.setdefault((person, group), [])
        if spans and start - spans[-1][1] <= GAP:
            spans[-1][3] += max(start - spans[-1][1] - 1, 0)
            spans[-1][1] = max(spans[-1][1], end)
            spans[-1][2] += 1
        else:
            spans.append([start, end, 1, 0])
    return sorted((*key, *span) for key, spans in found.items() for span in spans)


@given(st.lists(RECORD, max_size=60))
def test_eras_are_the_naive_ones(drawn):
    records = [
        (person, group, 15000 + start, 15000 + start + length) for person, group, start, length in drawn
    ]
    columns = np.array(records, np.int64).reshape(-1, 4).T
    made = eras(*columns)
    got = zip(made.person, made.group, made.start, made.end, made.records, made.gap_days, strict=True)
    assert sorted(tuple(map(int, row)) for row in got) == naive(records)
