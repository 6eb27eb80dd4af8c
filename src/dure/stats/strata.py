"""Strata: named tables of levels, into which people fall. Shared by the statistics that are broken down."""

import numpy as np
from numpy.typing import NDArray

from dure.wire.codec import message


@message
class Strata:
    """One breakdown: its name and its levels in order. A frame's column of the same name holds level numbers."""

    name: str
    levels: tuple[str, ...]


def people_per_level(people: NDArray[np.int64], level: NDArray[np.int64], levels: int) -> NDArray[np.int64]:
    """Distinct people in each level. Both arrays have shape (n,); the result has shape (levels,)."""
    _, who = np.unique(people, return_inverse=True)
    return np.bincount(np.unique(who * levels + level) % levels, minlength=levels).astype(np.int64)


def power_sums_per_level(
    people: NDArray[np.int64],
    level: NDArray[np.int64],
    levels: int,
    values: NDArray[np.int64],
    *,
    most: int,
) -> NDArray[np.int64]:
    """Sums of values in each level, of which one person adds at most `most`, and the sums of what people add, squared.

    Arrays of shape (n,); the result has shape (2, levels).
    """
    _, who = np.unique(people, return_inverse=True)
    key, which = np.unique(who * levels + level, return_inverse=True)
    of_person = np.zeros(len(key), dtype=np.int64)
    np.add.at(of_person, which, values)
    added = np.minimum(of_person, most)
    found = np.zeros((2, levels), dtype=np.int64)
    np.add.at(found[0], key % levels, added)
    np.add.at(found[1], key % levels, added * added)
    return found


def rows_of_strata(columns: list[NDArray[np.int64]], rows: int) -> list[NDArray[np.int64]]:
    """The rows of every combination of levels that occurs; all rows where there is nothing to tell them apart by."""
    if not columns or not rows:
        return [np.arange(rows)]
    _, which = np.unique(np.stack(columns), axis=1, return_inverse=True)
    order = np.argsort(which, kind="stable")
    return np.split(order, np.cumsum(np.bincount(which))[:-1])


def distinct(people: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorted, distinct people: mostly they are already, and sorting a million again takes longer than a model's round."""
    return people if (people[1:] > people[:-1]).all() else np.unique(people)
