"""Where a model has no estimate: every fitter says why, by which covariates, at how many hospitals, and which points led there."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Released
from dure.stats.conditional import Conditional, ConditionalParams
from dure.stats.cox import Cox
from dure.stats.cox_lasso import CoxLasso, CoxLassoParams
from dure.stats.cox_model import CoxParams
from dure.stats.cox_one_baseline import CoxOneBaseline, OneBaselineParams
from dure.stats.design import binary, continuous
from dure.stats.families import Family
from dure.stats.fine_gray import FineGray, FineGrayParams
from dure.stats.glm import Glm
from dure.stats.glm_model import GlmParams
from dure.stats.lasso import Lasso, LassoParams
from dure.stats.mixed_model import MixedModel, MixedModelParams, MixedModelState, fit_together
from dure.stats.newton import Trouble
from dure.stats.problems import NoEstimate

HOSPITALS, PEOPLE, DAYS = 3, 400, 5
COVARIATES = (binary("new"), continuous("age", 0, 1), binary("copy"))
FITTERS = {
    "glm": lambda covariates, **more: (
        Glm(),
        GlmParams(family=Family.BINOMIAL, covariates=covariates, **more),
    ),
    "glm, hospital intercepts": lambda covariates, **more: (
        Glm(),
        GlmParams(family=Family.BINOMIAL, covariates=covariates, hospital_intercepts=True, **more),
    ),
    "cox": lambda covariates, **more: (Cox(), CoxParams(covariates=covariates, **more)),
    "fine_gray": lambda covariates, **more: (FineGray(), FineGrayParams(covariates=covariates, **more)),
    "cox_one_baseline": lambda covariates, **more: (
        CoxOneBaseline(),
        OneBaselineParams(model=CoxParams(covariates=covariates, **more), intervals=DAYS),
    ),
    "conditional": lambda covariates, **more: (
        Conditional(),
        ConditionalParams(covariates=covariates, **more),
    ),
}


def hospital(rng, *, separated=False, flat=False):
    """People in matched sets of four, one of them a case; `copy` is `new` again. With `separated`, no case has `new`."""
    case = np.arange(PEOPLE) % 4 == 0
    new = (rng.random(PEOPLE) < np.where(case, 0.5, 0.3)) & ~(separated & case) & (not flat)
    time = rng.integers(1, DAYS + 1, PEOPLE)
    columns = {
        "new": new.astype(int),
        "copy": new.astype(int),
        "age": rng.random(PEOPLE),
        "outcome": case.astype(float),
        "case": case.astype(int),
        "stratum": np.arange(PEOPLE) // 4,
        "time": time,
        "leaves": time - 1,
        "event": np.where(case, 1, np.where(np.arange(PEOPLE) % 4 == 1, 2, 0)),
    }
    return Frame(person=np.arange(PEOPLE), columns=columns)


def network(**first):
    rng = np.random.default_rng(4)
    return [hospital(rng, **first), *(hospital(rng) for _ in range(HOSPITALS - 1))]


def why(found):
    """The trouble, its suspects and the path, of whichever result."""
    found = getattr(found, "cox", found)
    assert found.fit is None
    told = getattr(found, "no_fit", found)
    return told.trouble, told.suspects, found.path


@pytest.mark.parametrize("name", FITTERS)
def test_covariates_made_of_each_other_are_named(ask, name):
    statistic, params = FITTERS[name](COVARIATES)
    trouble, suspects, path = why(ask(statistic, params, network())[0])
    assert trouble == Trouble.COLLINEAR
    assert [(s.name, s.constant_at, s.separates_at) for s in suspects] == [("new", 0, 0), ("copy", 0, 0)]
    assert len(path) == 1


@pytest.mark.parametrize("name", FITTERS)
def test_hospitals_where_a_covariate_does_not_vary_are_counted(ask, name):
    statistic, params = FITTERS[name](COVARIATES)
    _, suspects, _ = why(ask(statistic, params, network(flat=True))[0])
    assert [(s.name, s.constant_at) for s in suspects] == [("new", 1), ("copy", 1)]


@pytest.mark.parametrize("name", FITTERS)
def test_a_covariate_that_decides_the_outcome_is_named_with_how_many_hospitals_have_it(ask, name):
    rng = np.random.default_rng(4)
    statistic, params = FITTERS[name](COVARIATES[:2])
    found, rounds = ask(statistic, params, [hospital(rng, separated=True) for _ in range(HOSPITALS)])
    trouble, suspects, path = why(found)
    assert trouble == Trouble.RUNS_OFF
    assert [(s.name, s.constant_at, s.separates_at) for s in suspects] == [("new", 0, HOSPITALS)]
    assert 1 < len(path) <= rounds


@pytest.mark.parametrize("name", FITTERS)
def test_one_hospital_where_it_decides_the_outcome_is_no_trouble(ask, name):
    statistic, params = FITTERS[name](COVARIATES[:2])
    found, _ = ask(statistic, params, network(separated=True))
    assert getattr(found, "cox", found).fit is not None


@pytest.mark.parametrize("name", FITTERS)
def test_rounds_that_run_out_give_the_path_and_no_estimate(ask, name):
    statistic, params = FITTERS[name](COVARIATES[:2], most_rounds=2)
    trouble, suspects, path = why(ask(statistic, params, network())[0])
    assert (trouble, suspects) == (Trouble.NOT_CONVERGED, ())
    assert len(path) == 2


@pytest.mark.parametrize("name", ["lasso", "cox_lasso"])
def test_a_penalised_path_that_runs_out_gives_the_points_and_no_estimate(ask, name):
    statistic, params = {
        "lasso": (
            Lasso(),
            LassoParams(family=Family.BINOMIAL, covariates=COVARIATES, penalties=(0.1, 0.001), most_rounds=3),
        ),
        "cox_lasso": (
            CoxLasso(),
            CoxLassoParams(covariates=COVARIATES, penalties=(0.1, 0.001), most_rounds=3),
        ),
    }[name]
    frames = []
    for frame in network():
        x = np.stack([frame.columns[c.name] for c in COVARIATES], axis=1).astype(float)
        frames.append(
            Frame(person=frame.person, columns=frame.columns, matrices={"covariates": csr_array(x)})
        )
    found, rounds = ask(statistic, params, frames)
    assert found.trouble == Trouble.NOT_CONVERGED
    assert len(found.looks) == rounds == 3
    assert len(found.path) < 2
    assert found.looks[-1].off == found.off > params.near


MIXED = MixedModelParams(outcome=continuous("outcome", 0, 1), covariates=COVARIATES)


def test_a_mixed_model_names_what_is_made_of_each_other(ask):
    found, _ = ask(MixedModel(), MIXED, network(flat=True))
    assert (found.fit, found.trouble) == (None, Trouble.COLLINEAR)
    assert [(s.name, s.constant_at) for s in found.suspects] == [("new", 1), ("copy", 1)]


def test_a_mixed_model_of_which_nothing_is_left_to_explain_says_so(ask):
    params = MixedModelParams(outcome=continuous("outcome", 0, 1), covariates=(binary("case"),))
    found, _ = ask(MixedModel(), params, network())
    assert (found.fit, found.trouble, found.suspects) == (None, "fits-perfectly", ())


def test_a_mixed_model_tells_the_ratios_that_it_asked_about(ask):
    params = MixedModelParams(outcome=continuous("age", 0, 1), covariates=(binary("new"),))
    frames = network()
    frames[0].columns["age"][:] *= 0.2
    found, rounds = ask(MixedModel(), params, frames)
    assert found.fit is not None
    assert len(found.path) == rounds
    assert found.path[-1].deviance == min(tried.deviance for tried in found.path)


def test_a_mixed_model_whose_rounds_run_out_has_no_estimate():
    params = MixedModelParams(outcome=continuous("age", 0, 1), covariates=(binary("new"),))
    statistic, frames = MixedModel(), network()
    frames[0].columns["age"][:] *= 0.2
    last = MixedModelState(ratio=1e-6, low=1e-9, high=None, asked=statistic.rounds(params) - 1)
    answers = [statistic.local(frame, params, last) for frame in frames]
    sums = answers[0].sums + answers[1].sums + answers[2].sums
    layout = statistic.layout(params)
    shown = open_cells(layout, sum(answer.support for answer in answers), 1)
    found = statistic.step(params, last, Released(layout=layout, open=shown, values=sums.values)).result
    assert (found.fit, found.trouble) == (None, Trouble.NOT_CONVERGED)
    assert [tried.ratio for tried in found.path] == [1e-6]


def test_hospitals_own_products_name_what_is_made_of_each_other(ask):
    params = MixedModelParams(outcome=MIXED.outcome, covariates=COVARIATES, one_round=True)
    shown = [ask(MixedModel(), params, [frame])[0] for frame in network()]
    with pytest.raises(NoEstimate, match="new, copy"):
        fit_together(params, shown)
