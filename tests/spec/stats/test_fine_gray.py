"""Fine and Gray's model against R, and what it says of few people with a competing event.

R 4.2.2, cmprsk 2.2-11 and survival 3.5-3, of the sixty people below: at one hospital `crr(day, event, cbind(new, age))`; at three
`coxph(..., weights = fgwt)` of `finegray`, with `strata(hospital)` in both.
"""

import numpy as np
import pytest

from dure.guard.gate import judge_total
from dure.stats.base import BadState, Frame
from dure.stats.cox import Cox, CoxState
from dure.stats.cox_model import CoxParams
from dure.stats.design import BadDesign, binary, continuous
from dure.stats.fine_gray import FineGray, FineGrayParams
from dure.stats.newton import begin
from dure.wire.rules import Rules

SIXTY = """
    4,1,1,0,77,2 49,5,0,0,61,2 32,3,0,0,64,2 59,9,0,0,74,2 14,1,1,1,58,2 48,5,0,0,68,3
    2,1,1,0,71,3 53,6,1,0,41,1 8,1,1,1,32,2 17,1,1,1,45,2 23,2,2,1,44,2 41,4,0,0,73,1
    36,3,1,1,75,1 51,5,2,0,30,2 56,8,1,0,54,3 30,3,0,0,71,1 58,9,1,1,36,2 55,7,1,1,69,3
    21,2,1,1,35,3 50,5,1,0,53,1 18,1,2,1,70,1 52,6,2,0,45,3 7,1,1,1,47,1 42,4,2,1,43,1
    1,1,1,0,65,2 20,2,0,1,42,3 47,5,1,1,79,1 19,2,1,1,52,2 37,3,1,1,53,2 22,2,1,1,55,1
    3,1,1,0,59,3 40,3,1,1,57,3 54,7,0,0,55,2 39,3,2,0,79,3 31,3,0,0,70,2 10,1,2,1,69,3
    9,1,2,1,65,3 6,1,2,1,61,2 15,1,2,1,47,1 29,3,1,1,79,1 16,1,2,1,53,2 57,8,0,0,40,1
    5,1,2,1,72,3 38,3,1,1,38,3 24,2,2,0,72,1 44,4,1,0,60,2 12,1,2,1,35,1 60,9,2,0,32,1
    45,5,1,1,52,2 46,5,0,0,31,3 27,2,0,0,37,3 25,2,1,0,55,2 35,3,0,0,78,2 26,2,2,1,53,2
    34,3,0,0,70,1 13,1,2,0,75,2 11,1,1,1,71,3 28,3,1,1,61,2 33,3,1,0,52,1 43,4,2,1,55,1
"""
NAMES = ("day", "week", "event", "new", "age", "hospital")
PEOPLE = dict(zip(NAMES, np.array([row.split(",") for row in SIXTY.split()], dtype=int).T, strict=True))
COVARIATES = (binary("new"), continuous("age", 20, 100))


def frames(columns, *, apart=True):
    """One frame for each hospital, or one for all."""
    place = columns["hospital"] if apart else np.zeros_like(columns["hospital"])
    for hospital in np.unique(place):
        here = np.flatnonzero(place == hospital)
        yield Frame(
            person=here,
            columns={name: column[here] for name, column in columns.items() if name != "hospital"},
        )


@pytest.mark.parametrize(
    ("clock", "ties", "apart", "new", "age", "likelihoods"),
    [
        ("day", "breslow", False, 0.57008022308642, 0.00348456663824, (-99.5675524642, -100.677740617)),
        ("day", "breslow", True, 0.58941101052134, 0.00456894754514, (-70.4135069465, -71.5937421492)),
        ("week", "breslow", False, 0.59020988271035, 0.00167470350001, None),
        ("week", "breslow", True, 0.61183613222699, 0.00245151312855, (-71.8810813774, -73.1251849620)),
        ("week", "efron", False, 0.63055799475429, 0.00188056844981, None),
        ("week", "efron", True, 0.6335172689711, 0.0032565671459, (-70.6417860974, -71.9790688463)),
    ],
)
def test_it_is_what_r_finds(clock, ties, apart, new, age, likelihoods, ask):
    params = FineGrayParams(covariates=COVARIATES, ties=ties)
    found, _ = ask(FineGray(), params, list(frames({**PEOPLE, "time": PEOPLE[clock]}, apart=apart)))
    assert (found.people, found.events, found.competing) == (60, 28, 18)
    assert [row.estimate for row in found.fit.coefficients] == pytest.approx([new, age], rel=1e-9)
    if likelihoods is not None:
        told = (found.fit.log_likelihood, found.fit.null_log_likelihood)
        assert told == pytest.approx(likelihoods, rel=1e-10)


def test_its_errors_are_those_of_fine_and_gray(ask):
    """With the censoring curve's own error in them: 0.343 and 0.00997 if it were known."""
    params = FineGrayParams(covariates=COVARIATES)
    found, _ = ask(FineGray(), params, list(frames({**PEOPLE, "time": PEOPLE["day"]}, apart=False)))
    errors = [row.robust_error for row in found.fit.coefficients]
    assert errors == pytest.approx([0.3874625281855, 0.0116286578086], rel=1e-10)
    for row in found.fit.coefficients:
        assert (row.high - row.low) / 2 == pytest.approx(1.959963984540054 * row.robust_error)


def test_strata_at_one_hospital_are_hospitals(ask):
    columns = {**PEOPLE, "time": PEOPLE["week"], "stratum": PEOPLE["hospital"]}
    apart, _ = ask(FineGray(), FineGrayParams(covariates=COVARIATES), list(frames(columns)))
    within, _ = ask(
        FineGray(), FineGrayParams(covariates=COVARIATES, stratified=True), list(frames(columns, apart=False))
    )
    for one, other in zip(apart.fit.coefficients, within.fit.coefficients, strict=True):
        assert (one.estimate, one.robust_error) == pytest.approx((other.estimate, other.robust_error))


def test_where_nothing_competes_it_is_cox_s_model(ask):
    columns = {**PEOPLE, "time": PEOPLE["week"], "event": (PEOPLE["event"] == 1).astype(int)}
    found, _ = ask(FineGray(), FineGrayParams(covariates=COVARIATES), list(frames(columns)))
    model = CoxParams(covariates=COVARIATES, ties="breslow", robust=True)
    plain, _ = ask(Cox(), model, list(frames(columns)))
    assert found.competing == 0
    for one, other in zip(found.fit.coefficients, plain.fit.coefficients, strict=True):
        assert (one.estimate, one.error, one.robust_error) == pytest.approx(
            (other.estimate, other.error, other.robust_error), rel=1e-9
        )


def test_where_nobody_is_censored_a_competing_event_is_staying_for_ever(ask):
    some = {name: column[PEOPLE["event"] > 0] for name, column in PEOPLE.items()}
    stays = some["event"] == 2
    columns = {**some, "time": np.where(stays, 1000, some["day"]), "event": np.where(stays, 0, some["event"])}
    for_ever, _ = ask(
        Cox(), CoxParams(covariates=COVARIATES, ties="breslow", robust=True), list(frames(columns))
    )
    found, _ = ask(
        FineGray(), FineGrayParams(covariates=COVARIATES), list(frames({**some, "time": some["day"]}))
    )
    for one, other in zip(found.fit.coefficients, for_ever.fit.coefficients, strict=True):
        assert (one.estimate, one.robust_error) == pytest.approx(
            (other.estimate, other.robust_error), rel=1e-9
        )


def network(rng, competing, new_among_them, people=400):
    event = rng.integers(0, 2, people)
    event[:competing] = 2
    new = rng.integers(0, 2, people)
    new[:competing] = np.arange(competing) < new_among_them
    return {
        "time": rng.integers(1, 400, people),
        "event": event,
        "new": new,
        "age": rng.uniform(20, 100, people),
        "hospital": rng.permutation(people) % 4,
    }


@pytest.mark.parametrize(
    ("competing", "new_among_them", "shown"),
    [(0, 0, True), (40, 20, True), (3, 1, False), (40, 3, False), (40, 37, False), (40, 40, True)],
)
def test_few_with_a_competing_event_and_there_is_no_fit(competing, new_among_them, shown, ask):
    """A cause-specific model of the same people would differ by these few alone."""
    columns = network(np.random.default_rng(4), competing, new_among_them)
    found, _ = ask(FineGray(), FineGrayParams(covariates=COVARIATES), list(frames(columns)), 11)
    if shown:
        assert found.competing == competing
        assert found.fit is not None
    else:
        assert found.fit is None
        assert found.no_fit.trouble == "small-cells"
        assert "new" in [suspect.name for suspect in found.no_fit.suspects]


@pytest.mark.parametrize("competing", [1, 3, 10])
def test_the_gate_hides_what_few_with_a_competing_event_move(competing):
    """The likelihood, the risk sets' means and the number of events, with which the rest could be had."""
    columns = network(np.random.default_rng(4), competing, 0)
    params = FineGrayParams(covariates=COVARIATES)
    layout = FineGray().layout(params)
    state = FineGray().begin(params)
    support = sum(FineGray().local(frame, params, state).support for frame in frames(columns))
    is_open = judge_total(layout, support, Rules(), hospitals=4)
    for field in layout.fields:
        if field.name in {"value", "between", "events", "competing"}:
            assert not is_open[field.rests_on].any(), field.name


def test_without_events_there_is_no_model(ask):
    columns = {**PEOPLE, "time": PEOPLE["day"], "event": np.where(PEOPLE["event"] == 1, 0, PEOPLE["event"])}
    found, _ = ask(FineGray(), FineGrayParams(covariates=COVARIATES), list(frames(columns)))
    assert (found.events, found.fit) == (0, None)
    assert found.no_fit.trouble == "collinear"


def test_what_is_no_question_and_no_model():
    params = FineGrayParams(covariates=COVARIATES)
    for point in ((0.0,), (61.0, 0.0), (0.0, 0.0, 0.0)):
        with pytest.raises(BadState):
            FineGray().judge(params, CoxState(newton=begin(np.array(point))))
    with pytest.raises(BadDesign):
        FineGrayParams(covariates=())
