"""The log-rank test and Fleming and Harrington's G-rho, in two ways: of a released risk table, and stratified by hospital.

Exact for: of a table, its grid. Stratified by hospital, everything: each hospital compares its own groups at its own
exact times, and only observed and expected events and their covariance are added. No time is released. One round.

The weight of an event is Kaplan-Meier survival just before it, of its stratum, to the power rho: rho 0 is the log-rank test,
rho 1 Peto and Peto's. Source: Harrington and Fleming, Biometrika 69 (1982), as R's `survdiff` has it.
"""

from collections.abc import Iterable
from functools import lru_cache
from math import log
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Checked
from scipy.special import chdtrc

from dure.stats.base import Answer, Done, Frame, Nothing, OneRound, Released, SplitsBy
from dure.stats.strata import Strata, rows_of_strata
from dure.stats.survival_curves import AtRisk
from dure.wire.codec import message
from dure.wire.rules import Mode
from dure.wire.sums import Field, FieldKind, Layout, Relation, Sums, Unit

Floats = NDArray[np.float64]
EVERYONE, EVENTS, WITHOUT = range(3)
MOST_PEOPLE = 1e9
MOST_EXPECTED = 1 + log(MOST_PEOPLE)
"""Nobody is expected to have more events than a sum of 1/i over all who could be at risk."""


@message
class LogRankParams:
    """Which groups are compared.

    Attributes:
        stratified: whether a column `stratum` divides each hospital further.
    """

    groups: Strata
    rho: Annotated[float, Checked(ge=0, le=10)] = 0.0
    stratified: bool = False


@message
class LogRankResult:
    """The test. None: something that it takes is hidden.

    Attributes:
        observed, expected: (weighted) events by group.
        variance: of observed less expected, row by row.
        freedom: degrees of freedom.
    """

    observed: tuple[float, ...] | None
    expected: tuple[float, ...] | None
    variance: tuple[tuple[float, ...], ...] | None
    chi_square: float | None
    freedom: int | None
    p_value: float | None


class LogRank(OneRound[LogRankParams, LogRankResult]):
    """Groups compared within each hospital (and stratum), at exact times."""

    name = "log_rank"
    params = LogRankParams
    result = LogRankResult
    splits_by = SplitsBy.SITE
    modes = (Mode.TOTAL, Mode.BY_HOSPITAL)
    tolerance = 1e-12

    def layout(self, params: LogRankParams) -> Layout:
        """Everyone, with an event and without; by group; by both."""
        return _layout(params)

    def populations(self, params: LogRankParams) -> tuple[str, ...]:
        return ("everyone", "event")

    def columns(self, params: LogRankParams) -> tuple[str, ...]:
        """`time` last seen, `event` (0 or 1), the group's level number; `stratum` where stratified."""
        return ("time", "event", params.groups.name, *(("stratum",) if params.stratified else ()))

    def local(self, frame: Frame, params: LogRankParams, state: Nothing) -> Answer:
        """One row a person. A column `hospital` is one more stratum."""
        levels = len(params.groups.levels)
        time, group = frame.columns["time"], frame.columns[params.groups.name].astype(np.int64)
        event = frame.columns["event"] != 0
        observed, expected, variance = np.zeros(levels), np.zeros(levels), np.zeros((levels, levels))
        for rows in _strata(frame, params):
            found = compare(*_tally(time[rows], event[rows], group[rows], levels), params.rho)
            observed, expected, variance = observed + found[0], expected + found[1], variance + found[2]
        people = np.bincount(group, minlength=levels)
        cases = np.bincount(group[event], minlength=levels)
        support = np.concatenate(
            [[len(time), event.sum(), len(time) - event.sum()], people, cases, people - cases]
        )
        return Answer(
            sums=Sums(
                layout=self.layout(params),
                values={
                    "observed": observed,
                    "expected": expected,
                    "variance": variance[np.tril_indices(levels)],
                },
            ),
            support=support.astype(np.int64),
            populations={"everyone": np.unique(frame.person), "event": np.unique(frame.person[event])},
        )

    def step(self, params: LogRankParams, state: Nothing, total: Released) -> Done[LogRankResult]:
        levels = len(params.groups.levels)
        if not total.open[total.layout.rests_on].all():
            nothing = LogRankResult(
                observed=None, expected=None, variance=None, chi_square=None, freedom=None, p_value=None
            )
            return Done(result=nothing)
        variance = np.zeros((levels, levels))
        variance[np.tril_indices(levels)] = total.values["variance"]
        variance += np.tril(variance, -1).T
        observed, expected = (
            total.values[name].astype(np.float64, copy=False) for name in ("observed", "expected")
        )
        return Done(result=_result(observed, expected, variance))


def of_table(strata: Iterable[tuple[AtRisk, ...]], rho: float = 0.0) -> LogRankResult:
    """The test of a released table.

    Args:
        strata: for each stratum, the groups in the same order. Events of any cause count.
    """
    found = [
        compare(
            np.stack([group.at_risk for group in groups]),
            np.stack([group.all_events for group in groups]),
            rho,
        )
        for groups in strata
    ]
    observed, expected, variance = (np.sum([each[part] for each in found], axis=0) for part in range(3))
    return _result(observed, expected, variance)


def compare(at_risk: Floats, events: Floats, rho: float) -> tuple[Floats, Floats, Floats]:
    """Weighted observed and expected events of each group, and their covariance, in one stratum.

    Args:
        at_risk, events: by group and time, ascending. Shapes (groups, times).
    """
    some = (events.sum(axis=0) > 0) & (at_risk.sum(axis=0) > 0)
    at_risk, events = at_risk[:, some], events[:, some]
    n, d = at_risk.sum(axis=0), events.sum(axis=0)
    before = np.concatenate([[1.0], np.cumprod(1 - d / n)[:-1]]) if len(n) else np.zeros(0)
    weight = before**rho
    share = at_risk / n
    spread = weight**2 * d * (n - d) / np.maximum(n - 1, 1)
    variance = np.diag(share @ spread) - (share * spread) @ share.T
    return events @ weight, share @ (weight * d), variance


def _tally(
    time: NDArray[np.float64], event: NDArray[np.bool_], group: NDArray[np.int64], levels: int
) -> tuple[Floats, Floats]:
    """At risk and events by group and event time."""
    times = np.unique(time[event])
    at_risk, events = np.zeros((levels, len(times))), np.zeros((levels, len(times)))
    for level in range(levels):
        own = np.sort(time[group == level])
        at_risk[level] = len(own) - np.searchsorted(own, times, side="left")
        place = np.searchsorted(times, time[event & (group == level)])
        events[level] = np.bincount(place, minlength=len(times))
    return at_risk, events


def _strata(frame: Frame, params: LogRankParams) -> list[NDArray[np.int64]]:
    """The rows of each stratum."""
    names = ("hospital", "stratum") if params.stratified else ("hospital",)
    return rows_of_strata([frame.columns[name] for name in names if name in frame.columns], len(frame.person))


def _result(observed: Floats, expected: Floats, variance: Floats) -> LogRankResult:
    """A group without anyone at risk is left out; of the others the last follows from the rest."""
    compared = np.flatnonzero(expected > 0)[:-1]
    difference = (observed - expected)[compared]
    chi_square = (
        float(difference @ np.linalg.pinv(variance[np.ix_(compared, compared)]) @ difference)
        if len(compared)
        else 0.0
    )
    return LogRankResult(
        observed=tuple(observed.tolist()),
        expected=tuple(expected.tolist()),
        variance=tuple(tuple(row) for row in variance.tolist()),
        chi_square=chi_square,
        freedom=len(compared),
        p_value=float(chdtrc(len(compared), chi_square)) if len(compared) else 1.0,
    )


@lru_cache(maxsize=8)
def _layout(params: LogRankParams) -> Layout:
    levels = len(params.groups.levels)
    groups = np.arange(3, 3 + levels, dtype=np.int64)
    cases, others = groups + levels, groups + 2 * levels
    name = params.groups.name
    relations = [
        Relation(whole=EVERYONE, parts=(EVENTS, WITHOUT)),
        Relation(whole=EVERYONE, parts=tuple(groups.tolist())),
        Relation(whole=EVENTS, parts=tuple(cases.tolist())),
        Relation(whole=WITHOUT, parts=tuple(others.tolist())),
        *(
            Relation(whole=int(whole), parts=(int(case), int(other)))
            for whole, case, other in zip(groups, cases, others, strict=True)
        ),
    ]
    rows, columns = np.tril_indices(levels)
    return Layout(
        cells=(
            "everyone",
            "event",
            "no event",
            *(f"{name}/{level}" for level in params.groups.levels),
            *(f"{name}/{level} & event" for level in params.groups.levels),
            *(f"{name}/{level} & no event" for level in params.groups.levels),
        ),
        relations=tuple(relations),
        fields=(
            _field("observed", 1.0, cases),
            _field("expected", MOST_EXPECTED, groups),
            # Between two groups it is 0 where either is empty: at most what the smaller one brings.
            _field("variance", MOST_EXPECTED, groups[np.maximum(rows, columns)]),
        ),
    )


def _field(name: str, bound: float, rests_on: NDArray[np.int64]) -> Field:
    return Field(
        name=name, kind=FieldKind.DERIVATIVE, unit=Unit.STRATUM, bound=bound, rests_on=rests_on, scale=64
    )
