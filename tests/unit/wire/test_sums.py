"""Sums are laid out as their layout says, and add exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.wire import ring
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

LAYOUT = Layout(
    cells=("all", "some"),
    relations=(Relation(whole=0, parts=(1,), disjoint=False),),
    fields=(
        Field(name="n", kind=FieldKind.COUNT, unit=Unit.PERSON, bound=1, rests_on=np.array([0, 1])),
        Field(
            name="x",
            kind=FieldKind.MOMENT,
            unit=Unit.PERSON,
            bound=9.0,
            rests_on=np.array([[0], [1]]),
            scale=40,
        ),
    ),
)
WHOLE = st.integers(-(2**40), 2**40)
REAL = st.floats(-1e6, 1e6)
SUMS = st.builds(
    lambda n, x: Sums(layout=LAYOUT, values={"n": np.array(n), "x": np.array(x).reshape(2, 1)}),
    st.lists(WHOLE, min_size=2, max_size=2),
    st.lists(REAL, min_size=2, max_size=2),
)


@given(SUMS, SUMS, SUMS)
def test_in_the_ring_the_order_never_matters(a, b, c):
    x, y, z = (part.to_ring() for part in (a, b, c))
    assert (ring.add(ring.add(x, y), z) == ring.add(x, ring.add(z, y))).all()
    for field in LAYOUT.fields:
        assert ((a + b).values[field.name] == (b + a).values[field.name]).all()
        assert (
            (Sums.zero(LAYOUT) + a).values[field.name] == (a + Sums.zero(LAYOUT)).values[field.name]
        ).all()


@given(SUMS)
def test_what_was_in_the_ring_once_stays_itself(a):
    once = Sums.from_ring(LAYOUT, a.to_ring())
    assert (Sums.from_ring(LAYOUT, once.to_ring()).values["x"] == once.values["x"]).all()
    assert (np.abs(once.values["x"] - a.values["x"]) <= 2.0**-41).all()


@pytest.mark.parametrize(
    "values",
    [
        {"n": np.array([1, 1])},
        {"n": np.array([1, 1]), "x": np.zeros((2, 1)), "y": np.zeros(1)},
        {"n": np.array([1.0, 1.0]), "x": np.zeros((2, 1))},
        {"n": np.array([1, 1]), "x": np.zeros(2)},
        {"n": np.array([1]), "x": np.zeros((2, 1))},
    ],
    ids=["a field too few", "too many", "another type", "another shape", "too short"],
)
def test_what_is_laid_out_otherwise_is_no_sums(values):
    with pytest.raises(ValueError):
        Sums(layout=LAYOUT, values=values)


def test_the_digest_tells_every_difference():
    from dataclasses import replace

    first, second = LAYOUT.fields
    others = [
        replace(LAYOUT, cells=("all", "few")),
        replace(LAYOUT, relations=(Relation(whole=0, parts=(1,)),)),
        replace(LAYOUT, fields=(second, first)),
        *(
            replace(LAYOUT, fields=(replace(first, **change), second))
            for change in (
                {"name": "m"},
                {"kind": FieldKind.MOMENT},
                {"unit": Unit.STRATUM},
                {"bound": 2},
                {"scale": 1},
                {"grain": 2},
                {"rests_on": np.array([1, 0])},
                {"rests_on": np.array([[0, 1]])},
            )
        ),
    ]
    assert len({LAYOUT.digest, *(other.digest for other in others)}) == len(others) + 1


def test_two_layouts_do_not_add():
    from dataclasses import replace

    other = replace(LAYOUT, cells=("all", "few"))
    with pytest.raises(ValueError):
        Sums.zero(LAYOUT) + Sums.zero(other)
