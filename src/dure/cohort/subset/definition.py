"""What a subset of a cohort is: operators that one after the other keep some of its stays, as typed nodes.

Responsible for: the nodes and what each keeps. Not responsible for: reading CohortGenerator's JSON (`read`), keeping stays (slowly
and obviously `evaluate`, fast `dure.engines.subsets`).
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Limit(StrEnum):
    """Which of a person's stays are kept: "ever" before, "remaining" after observed time is looked at.

    Calendar and length are looked at last in either.
    """

    ALL = "all"
    FIRST_EVER = "firstEver"
    EARLIEST_REMAINING = "earliestRemaining"
    LATEST_REMAINING = "latestRemaining"
    LAST_EVER = "lastEver"


REMAINING = (Limit.EARLIEST_REMAINING, Limit.LATEST_REMAINING)
LATEST = (Limit.LAST_EVER, Limit.LATEST_REMAINING)


class Anchor(StrEnum):
    """A day of a stay."""

    START = "cohortStart"
    END = "cohortEnd"


@dataclass(frozen=True, kw_only=True)
class LimitOperator:
    """Stays by their place in a person's history, time observed around their start, calendar and length.

    Attributes:
        prior_days, follow_up_days: the start lies in an observation period with at least so many days of it before and
            after. Looked at only if one of them is above 0.
        first_day, last_day: between which a stay starts, both included.
        least_days: days from start to end.
    """

    limit: Limit = Limit.ALL
    prior_days: int = 0
    follow_up_days: int = 0
    first_day: date | None = None
    last_day: date | None = None
    least_days: int = 0

    @property
    def looks_at_observation(self) -> bool:
        return self.prior_days > 0 or self.follow_up_days > 0


@dataclass(frozen=True, kw_only=True)
class DemographicOperator:
    """Stays of people by age at the start (difference of years), and by concepts of gender, race and ethnicity (none: any)."""

    age_least: int = 0
    age_most: int = 99999
    genders: tuple[int, ...] = ()
    races: tuple[int, ...] = ()
    ethnicities: tuple[int, ...] = ()

    @property
    def concepts(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Columns of `person`, and the concepts that each must be one of; only those that say something."""
        said = (
            ("gender_concept_id", self.genders),
            ("race_concept_id", self.races),
            ("ethnicity_concept_id", self.ethnicities),
        )
        return tuple((name, ids) for name, ids in said if ids)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where a day of the other cohort's stay lies: from `first` to `last` days after a day of the target's, or (`negate`) not."""

    first: int
    last: int
    target: Anchor
    other: Anchor
    negate: bool = False


@dataclass(frozen=True, kw_only=True)
class CohortOperator:
    """Stays beside which a stay of one of the other cohorts (`every`: of each) lies in all windows.

    Attributes:
        negate: keep those beside which none does. A stay is known again by its person and start.
    """

    cohorts: tuple[int, ...]
    every: bool
    negate: bool
    windows: tuple[Window, ...]

    @property
    def least(self) -> int:
        """How many different cohorts there must be beside a stay. One that is listed twice counts once, so asks too much."""
        return len(self.cohorts) if self.every else 1


Operator = LimitOperator | DemographicOperator | CohortOperator


@dataclass(frozen=True, kw_only=True)
class SubsetDefinition:
    """Operators in the order in which they are applied."""

    name: str
    id: int
    operators: tuple[Operator, ...]

    @property
    def cohorts(self) -> tuple[int, ...]:
        """The other cohorts that it looks at, each once, in order."""
        named = [each for one in self.operators if isinstance(one, CohortOperator) for each in one.cohorts]
        return tuple(dict.fromkeys(named))
