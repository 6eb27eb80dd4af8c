"""Demographics: the age, sex and calendar-year levels of people at a date.

Responsible for: the levels (fixed, never read off the data) and who falls into which. Not responsible for: cohorts.

Age is the difference of years, as OHDSI counts it: the birthday is not looked at.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from dure.engines.base import Engine
from dure.stats.strata import Strata

Days = NDArray[np.datetime64]
Ordinals = NDArray[np.int64]
Breakdown = Literal["age", "sex", "year"]

AGE = Strata(name="age", levels=(*(f"{low}-{low + 9}" for low in range(0, 90, 10)), "90+", "unknown"))
SEX = Strata(name="sex", levels=("female", "male", "other or unknown"))
FEMALE, MALE = 8532, 8507


def years(first: int, last: int) -> Strata:
    """Calendar years from `first` to `last`, with what lies outside at either end."""
    return Strata(
        name="year",
        levels=(f"before {first}", *(str(year) for year in range(first, last + 1)), f"after {last}"),
    )


def breakdowns(names: tuple[Breakdown, ...], *, first_year: int, last_year: int) -> tuple[Strata, ...]:
    """The strata of the breakdowns asked for, in the order asked."""
    known = {"age": AGE, "sex": SEX, "year": years(first_year, last_year)}
    return tuple(known[name] for name in names)


@dataclass(frozen=True, kw_only=True)
class People:
    """Everyone in the database, by ascending person_id. All arrays have shape (n,).

    Attributes:
        year_of_birth: 0 where it isn't known.
        gender: the gender concept.
    """

    person: Ordinals
    year_of_birth: Ordinals
    gender: Ordinals

    @classmethod
    def read(cls, engine: Engine) -> "People":
        """From the person table."""
        columns = ("person_id", "year_of_birth", "gender_concept_id")
        rows = engine.query(exp.select(*columns).from_("person").order_by("person_id"))
        arrays = [rows[name].combine_chunks().fill_null(0).to_numpy(zero_copy_only=False) for name in columns]
        return cls(person=arrays[0], year_of_birth=arrays[1], gender=arrays[2])

    def levels(self, strata: Strata, person: Ordinals, at: Days) -> Ordinals:
        """The level numbers of people at dates. All arrays have shape (m,); every person must be in the database."""
        row = np.searchsorted(self.person, person)
        year = at.astype("datetime64[Y]").astype(np.int64) + 1970
        if strata.name == "age":
            born = self.year_of_birth[row]
            age = year - born
            known = (born > 0) & (age >= 0)
            return np.where(known, np.clip(age // 10, 0, 9), 10)
        if strata.name == "sex":
            gender = self.gender[row]
            return np.where(gender == FEMALE, 0, np.where(gender == MALE, 1, 2))
        first, last = int(strata.levels[1]), int(strata.levels[-2])
        return np.clip(year - first + 1, 0, last - first + 2)


def days(column: NDArray[np.generic] | list[date]) -> Days:
    """Dates as days."""
    return np.asarray(column, dtype="datetime64[D]")
