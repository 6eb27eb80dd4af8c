"""What a kind of study is: a question people ask, made of statistics.

Responsible for: the types that every kind shares. Not responsible for: the order of messages (`dure.study.protocol`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field

from dure.engines.base import Engine
from dure.stats.base import BadState, Frame, Statistic
from dure.study.report import Chart, Table
from dure.wire.codec import message
from dure.wire.problems import Problem
from dure.wire.sums import Layout

Q = TypeVar("Q")
NETWORK = "network"
"""The name of the only result in `total` mode; in `by_hospital` results are named after their hospitals."""


@message
class Cohort:
    """A named cohort, as the OHDSI Circe expression that ATLAS exports."""

    name: Annotated[str, Field(title="Name", min_length=1, max_length=120)]
    circe: Annotated[
        dict[str, Any], Field(title="Definition", description="A Circe expression (ATLAS JSON).")
    ]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One statistic of a study. Everything here follows from the spec, so a node can check it against the permit.

    Attributes:
        needs: earlier steps whose results the hospitals are told, because this step's frame is made with them.
    """

    name: str
    statistic: Statistic[Any, Any, Any]
    params: Any
    needs: tuple[str, ...] = ()

    @cached_property
    def layout(self) -> Layout:
        """The statistic's layout, made once: of thousands of covariates it takes a while."""
        return self.statistic.layout(self.params)


Carried = Mapping[str, Any]
"""Results of earlier steps by their names: those that a step needs, and no others."""


class Kind(ABC, Generic[Q]):
    """A kind of study. Stateless.

    Attributes:
        name: as in a study's `kind`.
        spec: the message type of the question; its fields carry title, help and default, from which the web form, the
            command line and the manual derive.
    """

    name: ClassVar[str]
    spec: ClassVar[type]

    @abstractmethod
    def check(self, spec: Q) -> None:
        """Raise a Problem where the question can't be asked: a cohort that doesn't parse, an empty range."""

    @abstractmethod
    def steps(self, spec: Q) -> tuple[Step, ...]:
        """The statistics, in order."""

    def judge(self, spec: Q, step: str, carried: Carried) -> None:
        """Raise BadState where what is carried to a step is no lawful question. A kind whose steps need others overrides it."""
        if carried:
            raise BadState(
                f"The kind {self.name} says of nothing that may be carried to {step} what is lawful.",
                where="carried",
                mend="Override `judge` in the kind.",
            )

    def lock(self, spec: Q, step: str, carried: Carried) -> str | None:
        """Why a step must not be asked, given what it needs (a diagnostic that failed); None where nothing forbids it."""
        return None

    def against_noise(self, spec: Q) -> str | None:
        """Why its answers can't carry noise. None: its steps and tables are right for numbers that contradict each other, and
        one person adds no more than its fields' bounds (`tests/generative/test_noise.py`)."""
        return f"The kind {self.name} can't be read off noised numbers."

    @abstractmethod
    def extract(self, spec: Q, step: str, engine: Engine, carried: Carried) -> Frame:
        """One hospital's frame for a step."""

    @abstractmethod
    def tables(self, spec: Q, results: Mapping[str, Mapping[str, Any]]) -> tuple[Table, ...]:
        """Tables from the results by step, then by NETWORK or hospital. A step may lack some, or all: withheld."""

    @abstractmethod
    def charts(self, spec: Q) -> tuple[Chart, ...]:
        """How the tables are drawn."""

    @abstractmethod
    def methods(self, spec: Q) -> tuple[str, ...]:
        """What was done, as a methods section says it."""


class BadQuestion(Problem):
    """A question whose fields contradict each other."""

    slug, title, status, exit_code = "bad-question", "The question contradicts itself", 422, 32


def check_years(first: int, last: int) -> None:
    """Raise BadQuestion where the range of years is empty or longer than a century."""
    if not first <= last < first + 100:
        raise BadQuestion(
            f"The years {first} to {last} are no range of 1 to 100 years.",
            where="question.first_year, question.last_year",
            mend="Give the first year, then a last year that isn't before it.",
        )
