"""People, not events, are counted rule by rule."""

import pyarrow as pa

from dure.engines.attrition import Funnel, funnel


def test_people_are_left_after_each_rule():
    qualified = pa.table({
        "person_id": [1, 1, 2, 3, 3],
        "mask": [0b01, 0b11, 0b10, 0b01, 0b10],
    })  # fmt: skip
    assert funnel(qualified, ("a", "b")) == Funnel(persons=3, satisfied=(2, 3), left=(2, 1))


def test_without_rules_or_events():
    empty = pa.table({"person_id": pa.array([], pa.int64()), "mask": pa.array([], pa.int64())})
    assert funnel(empty, ()) == Funnel(persons=0, satisfied=(), left=())
