"""The array types that the generator passes around. A day is a whole number of days since 1970-01-01."""

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.signedinteger[Any]]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Rng = np.random.Generator

EPOCH = date(1970, 1, 1)
FIRST_DAY = (date(2012, 1, 1) - EPOCH).days
LAST_DAY = (date(2024, 12, 31) - EPOCH).days
YEAR = 365.25


def day(when: date) -> int:
    """Days since 1970-01-01."""
    return (when - EPOCH).days


def days_of_year(days: Ints) -> Ints:
    """1 for the first of January, up to 366."""
    dates = days.astype("datetime64[D]")
    since_new_year: Ints = (dates - dates.astype("datetime64[Y]")).astype(np.int32)
    return since_new_year + 1


def years_of(days: Ints) -> Ints:
    """The calendar year of each day."""
    return (days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int32) + 1970).astype(np.int32)


def between(rng: Rng, low: Ints, high: Ints) -> Ints:
    """A whole day in [low, high], uniformly; needs low <= high everywhere."""
    return (low + np.floor(rng.random(len(low)) * (high - low + 1))).astype(np.int32)


def expit(x: Floats) -> Floats:
    """The probability of a log-odds."""
    return (1.0 / (1.0 + np.exp(-x))).astype(np.float32)
