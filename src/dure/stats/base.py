"""What a statistic is: a pure step at the hospital, an addition, a pure step at the hub.

Responsible for: the types that every statistic shares. Not responsible for: any statistic, thresholds (`guard`), the
order of messages (`dure.study.protocol`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from dure.stats.kept import Kept
from dure.wire.codec import message
from dure.wire.problems import Problem
from dure.wire.rules import Mode
from dure.wire.sums import Layout, Numbers, Sums, Support

if TYPE_CHECKING:
    from scipy.sparse import csr_array

P = TypeVar("P")
K = TypeVar("K")
S = TypeVar("S")
R = TypeVar("R")


class BadState(Problem):
    """A state that a statistic would never reach by itself: the hub asks something else than it was permitted."""

    slug, title, status, exit_code = "bad-state", "This state is no lawful question", 422, 40


class SplitsBy(StrEnum):
    """The unit that must stay whole within one hospital for the split answer to equal the pooled one.

    A statistic that is split by stratum reads a column `stratum`. One that isn't split by person may read a column `hospital`,
    which holds one value at a hospital, and several only where frames of several hospitals are pooled.
    """

    PERSON = "person"
    STRATUM = "stratum"
    SITE = "site"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Columns of equal length about people of one hospital; never leaves it.

    Attributes:
        person: stable private ordinal of the person that each row is about. Shape (n,).
        columns: further columns, each of shape (n,).
        matrices: sparse designs, each of shape (n, number of covariates).
    """

    person: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    matrices: Mapping[str, "csr_array[Any]"] = field(default_factory=dict)
    _kept: Kept = field(default_factory=Kept, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raise ValueError where lengths differ."""
        for name, array in (*self.columns.items(), *self.matrices.items()):
            if array.shape[0] != len(self.person) or (name in self.columns and array.ndim != 1):
                raise ValueError(f"{name}: {array.shape} beside {self.person.shape}")

    def once(self, make: "Callable[[Frame, K], R]", asked: K) -> R:
        """What `make` says of this frame and `asked`: worked out in the first round, and kept with the frame for the others.

        A frame's arrays never change, so the two are all that it follows from.
        """
        return self._kept.find(make, asked, lambda: make(self, asked))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a hospital computed, before its gate.

    Attributes:
        sums: the numbers.
        support: people behind every cell of the layout. Shape (len(layout.cells),).
        populations: the people that it rests on, by the cell that counts them: sorted ordinals. They never leave. Which cells
            these are follows from the parameters (`Statistic.populations`).
    """

    sums: Sums
    support: Support
    populations: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Released:
    """Numbers that a gate let through; hidden ones are zero and `open` says which they are.

    Attributes:
        open: which cells are shown. Shape (len(layout.cells),).
        values: one array a field.
    """

    layout: Layout
    open: NDArray[np.bool_]
    values: Mapping[str, Numbers]

    def shown(self, name: str) -> list[float | int | None]:
        """A field's elements in order, None where hidden."""
        field = next(field for field in self.layout.fields if field.name == name)
        pairs = zip(
            self.values[name].ravel().tolist(), self.open[field.rests_on.ravel()].tolist(), strict=True
        )
        return [value if is_open else None for value, is_open in pairs]


@dataclass(frozen=True, kw_only=True)
class Again(Generic[S]):
    """One more round, from this state."""

    state: S


@dataclass(frozen=True, kw_only=True)
class Done(Generic[R]):
    """The statistic is finished."""

    result: R


class Statistic(ABC, Generic[P, S, R]):
    """A statistic made of sums. Stateless: everything it knows is in its arguments.

    Attributes:
        params, state, result: the message types, by which the codec stores and sends them.
        splits_by: the unit that must not be split between hospitals.
        modes: in which modes it may be released.
        tolerance: by which share of (the added magnitudes + 1 a person) a pooled answer may differ from the added ones:
            0 for integers, which are exact; floats are added in another order within one hospital than over several.
            Between hospitals, in the ring, the order never matters.
    """

    name: ClassVar[str]
    params: ClassVar[type]
    state: ClassVar[type]
    result: ClassVar[type]
    splits_by: ClassVar[SplitsBy]
    modes: ClassVar[tuple[Mode, ...]]
    tolerance: ClassVar[float] = 0.0

    @abstractmethod
    def layout(self, params: P) -> Layout:
        """The layout, from the parameters alone."""

    @abstractmethod
    def columns(self, params: P) -> tuple[str, ...]:
        """The frame's columns that `local` reads."""

    def populations(self, params: P) -> tuple[str, ...]:
        """The cells whose people `local` names: whole groups, that are held against those of other answers."""
        return ("everyone",)

    @abstractmethod
    def rounds(self, params: P) -> int:
        """The most rounds it may take."""

    @abstractmethod
    def begin(self, params: P) -> S:
        """The state of the first round."""

    @abstractmethod
    def judge(self, params: P, state: S) -> None:
        """Raise BadState where `state` is no lawful question under `params`."""

    @abstractmethod
    def local(self, frame: Frame, params: P, state: S) -> Answer:
        """One hospital's answer."""

    @abstractmethod
    def step(self, params: P, state: S, total: Released) -> Again[S] | Done[R]:
        """What the network's (or, in `by_hospital`, one hospital's) released numbers lead to."""


@message
class Nothing:
    """The state of a statistic that needs only one round."""


class OneRound(Statistic[P, Nothing, R]):
    """A statistic whose first total is its result."""

    state = Nothing

    def rounds(self, params: P) -> int:
        return 1

    def begin(self, params: P) -> Nothing:
        return Nothing()

    def judge(self, params: P, state: Nothing) -> None:
        """An empty state can ask nothing that the parameters don't."""
