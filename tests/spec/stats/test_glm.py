"""Models over three hospitals, against statsmodels on everybody: what is asked in, estimates, errors and fit out."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit

from dure.guard.suppression import open_cells
from dure.stats.base import BadState, Done, Frame, Released
from dure.stats.design import BadDesign, Covariate, binary, continuous
from dure.stats.families import Family
from dure.stats.glm import Glm, GlmState
from dure.stats.glm_model import Bounds, GlmParams
from dure.stats.newton import begin
from dure.wire.sums import Sums

PEOPLE = 900
COVARIATES = (continuous("age", 18, 100), binary("f"), binary("smokes"))


def everyone(family, seed=5):
    rng = np.random.default_rng(seed)
    columns = {
        "age": rng.integers(20, 90, PEOPLE).astype(float),
        "f": rng.integers(0, 2, PEOPLE),
        "smokes": (rng.random(PEOPLE) < 0.3).astype(int),
        "hospital": rng.integers(0, 3, PEOPLE),
        "offset": rng.normal(0, 0.3, PEOPLE),
        "weight": rng.uniform(0.5, 2, PEOPLE),
    }
    eta = 0.02 * columns["age"] - 1 + 0.5 * columns["f"] - 0.3 * columns["smokes"] + 0.4 * columns["hospital"]
    columns["outcome"] = {
        Family.GAUSSIAN: lambda: eta + rng.normal(0, 2, PEOPLE),
        Family.BINOMIAL: lambda: (rng.random(PEOPLE) < expit(eta)).astype(float),
        Family.POISSON: lambda: rng.poisson(np.exp(eta + columns["offset"])).astype(float),
        Family.GAMMA: lambda: rng.gamma(2, np.exp(eta + 3) / 2),
        Family.NEGATIVE_BINOMIAL: lambda: rng.poisson(np.exp(eta) * rng.gamma(1.5, 1 / 1.5, PEOPLE)).astype(
            float
        ),
    }[family]()
    return columns


OUTCOMES = {
    Family.GAUSSIAN: Bounds(low=-100, high=100),
    Family.BINOMIAL: Bounds(low=0, high=1),
    Family.POISSON: Bounds(low=0, high=100),
    Family.GAMMA: Bounds(low=1e-6, high=10000),
    Family.NEGATIVE_BINOMIAL: Bounds(low=0, high=1000),
}


def ask(params, columns, k=1):
    statistic = Glm()
    state = statistic.begin(params)
    layout = statistic.layout(params)
    for _ in range(statistic.rounds(params)):
        statistic.judge(params, state)
        answers = []
        for hospital in range(3):
            here = columns["hospital"] == hospital
            frame = Frame(
                person=np.arange(here.sum()),
                columns={name: columns[name][here] for name in statistic.columns(params)},
            )
            answers.append(statistic.local(frame, params, state))
        sums = sum((answer.sums for answer in answers), Sums.zero(layout))
        shown = open_cells(layout, sum(answer.support for answer in answers), k)
        values = {
            field.name: np.where(shown[field.rests_on], sums.values[field.name], 0) for field in layout.fields
        }
        outcome = statistic.step(params, state, Released(layout=layout, open=shown, values=values))
        if isinstance(outcome, Done):
            return outcome.result
        state = outcome.state
    raise AssertionError("not within its rounds")


def design(columns, *, by_hospital=False):
    x = [np.ones(PEOPLE), *(columns[covariate.name] for covariate in COVARIATES)]
    if by_hospital:
        x += [columns["hospital"] == 1, columns["hospital"] == 2]
    return np.stack(x, axis=1).astype(float)


PEERS = {
    Family.GAUSSIAN: sm.families.Gaussian(),
    Family.BINOMIAL: sm.families.Binomial(),
    Family.POISSON: sm.families.Poisson(),
    Family.GAMMA: sm.families.Gamma(sm.families.links.Log()),
    Family.NEGATIVE_BINOMIAL: sm.families.NegativeBinomial(alpha=1 / 1.5),
}
# The family, and what else the model has.
ASKED = [
    (Family.GAUSSIAN, ()),
    (Family.GAUSSIAN, ("hospital_intercepts",)),
    (Family.BINOMIAL, ("offset",)),
    (Family.BINOMIAL, ("hospital_intercepts", "offset")),
    (Family.POISSON, ("offset",)),
    (Family.POISSON, ("offset", "hospital_intercepts")),
    (Family.POISSON, ("weight",)),
    (Family.GAMMA, ()),
    (Family.GAMMA, ("hospital_intercepts",)),
    (Family.NEGATIVE_BINOMIAL, ()),
    (Family.NEGATIVE_BINOMIAL, ("hospital_intercepts",)),
]


@pytest.mark.parametrize(("family", "extra"), ASKED, ids=lambda value: str(value) if value else "plain")
def test_it_is_the_pooled_fit(family, extra):
    columns = everyone(family)
    by_hospital = "hospital_intercepts" in extra
    params = GlmParams(
        family=family,
        covariates=COVARIATES,
        outcome=OUTCOMES[family],
        theta=1.5 if family is Family.NEGATIVE_BINOMIAL else None,
        offset=Bounds(low=-3, high=3) if "offset" in extra else None,
        weight=Bounds(low=0, high=3) if "weight" in extra else None,
        hospital_intercepts=by_hospital,
        robust=True,
        clustered=True,
    )
    fit = ask(params, columns).fit
    model = sm.GLM(
        columns["outcome"],
        design(columns, by_hospital=by_hospital),
        family=PEERS[family],
        offset=columns["offset"] if "offset" in extra else None,
        var_weights=columns["weight"] if "weight" in extra else None,
    )
    # statsmodels uses the observed information where we, as R, use the expected one.
    pooled = model.fit(tol=1e-14, maxiter=200)
    shown = slice(1, 4) if by_hospital else slice(0, 4)
    np.testing.assert_allclose([row.estimate for row in fit.coefficients], pooled.params[shown], rtol=1e-8)
    np.testing.assert_allclose([row.error for row in fit.coefficients], pooled.bse[shown], rtol=1e-7)
    np.testing.assert_allclose(fit.deviance, pooled.deviance, rtol=1e-9)
    np.testing.assert_allclose(fit.pearson, pooled.pearson_chi2, rtol=1e-8)
    assert fit.freedom == pooled.df_resid
    if "weight" not in extra:
        observed = columns["outcome"] - pooled.mu
        slope = family in (Family.GAMMA, Family.NEGATIVE_BINOMIAL)
        factor = (
            observed / (pooled.mu if family is Family.GAMMA else 1 + pooled.mu / 1.5) if slope else observed
        )
        x = model.exog
        weight = {
            Family.GAUSSIAN: np.ones(PEOPLE), Family.BINOMIAL: pooled.mu * (1 - pooled.mu),
            Family.POISSON: pooled.mu, Family.GAMMA: np.ones(PEOPLE),
            Family.NEGATIVE_BINOMIAL: pooled.mu / (1 + pooled.mu / 1.5),
        }[family]  # fmt: skip
        bread = np.linalg.inv(x.T @ (x * weight[:, None]))
        scores = x * factor[:, None]
        robust = np.sqrt(np.diag(bread @ scores.T @ scores @ bread))
        by_site = np.stack([scores[columns["hospital"] == hospital].sum(axis=0) for hospital in range(3)])
        clustered = np.sqrt(np.diag(bread @ by_site.T @ by_site @ bread))
        np.testing.assert_allclose([r.robust_error for r in fit.coefficients], robust[shown], rtol=1e-7)
        np.testing.assert_allclose(
            [r.clustered_error for r in fit.coefficients], clustered[shown], rtol=1e-6, atol=1e-9
        )
    if family in (Family.BINOMIAL, Family.POISSON, Family.NEGATIVE_BINOMIAL):
        np.testing.assert_allclose(fit.log_likelihood, pooled.llf, rtol=1e-9)


def test_theta_is_estimated_with_the_coefficients():
    columns = everyone(Family.NEGATIVE_BINOMIAL)
    params = GlmParams(
        family=Family.NEGATIVE_BINOMIAL, covariates=COVARIATES, outcome=OUTCOMES[Family.NEGATIVE_BINOMIAL]
    )
    result = ask(params, columns)
    pooled = sm.NegativeBinomial(columns["outcome"], design(columns)).fit(
        disp=False, maxiter=200, method="newton", tol=1e-12
    )
    np.testing.assert_allclose(
        [row.estimate for row in result.fit.coefficients], pooled.params[:4], rtol=1e-6
    )
    np.testing.assert_allclose(1 / result.fit.theta, pooled.params[4], rtol=1e-6)
    np.testing.assert_allclose(result.fit.log_likelihood, pooled.llf, rtol=1e-9)


LOGISTIC = GlmParams(family=Family.BINOMIAL, covariates=COVARIATES)


def test_dependent_covariates_are_named_with_no_number():
    columns = everyone(Family.BINOMIAL)
    columns["twice"] = 2 * columns["age"]
    params = GlmParams(family=Family.BINOMIAL, covariates=(*COVARIATES, continuous("twice", 0, 200)))
    result = ask(params, columns)
    assert result.fit is None
    assert result.no_fit.trouble == "collinear"
    assert [suspect.name for suspect in result.no_fit.suspects] == ["age", "twice"]


def test_separation_is_named_with_how_many_hospitals_have_it():
    columns = everyone(Family.BINOMIAL)
    columns["smokes"] = np.where(columns["outcome"] == 1, columns["smokes"], 0)
    result = ask(LOGISTIC, columns)
    assert result.fit is None
    assert result.no_fit.trouble == "runs-off"
    assert [(s.name, s.separates_at) for s in result.no_fit.suspects] == [("smokes", 3)]
    assert result.path


def test_a_covariate_that_only_some_hospitals_lack_is_no_trouble():
    columns = everyone(Family.BINOMIAL)
    columns["smokes"] = np.where(columns["hospital"] == 1, 0, columns["smokes"])
    assert ask(LOGISTIC, columns).fit is not None


def test_small_cells_name_their_covariates():
    columns = everyone(Family.BINOMIAL)
    columns["smokes"][:] = 0
    columns["smokes"][:9] = 1
    result = ask(LOGISTIC, columns, k=11)
    assert result.fit is None
    assert result.no_fit.trouble == "small-cells"
    assert "smokes" in [suspect.name for suspect in result.no_fit.suspects]


def test_few_cases_among_many_exposed_are_small_too():
    """Everyone's number with the covariate is known from the expected part; the cases among them must not be."""
    columns = everyone(Family.BINOMIAL)
    columns["outcome"] = np.where((columns["smokes"] == 1) & (np.arange(PEOPLE) > 20), 0, columns["outcome"])
    assert 0 < (columns["outcome"] * columns["smokes"]).sum() < 11
    result = ask(LOGISTIC, columns, k=11)
    assert result.no_fit.trouble == "small-cells"
    assert ask(LOGISTIC, columns).fit is not None


@pytest.mark.parametrize(
    "point",
    [
        (0.0,) * 3,
        (0.0,) * 5,
        (0.0, 1.0, 0.0, 0.0),
        (50.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, -41.0, 0.0),
    ],
    ids=["too few", "too many", "e^100 at age 100", "an intercept of 50", "minus 41 for women"],
)
def test_coefficients_that_are_no_question(point):
    with pytest.raises(BadState):
        Glm().judge(LOGISTIC, GlmState(newton=begin(np.array(point))))


@pytest.mark.parametrize(
    "made",
    [
        lambda: continuous("x", 1, 1),
        lambda: continuous("x", 0, float("inf")),
        lambda: Covariate(name="x", high=2.0),
        lambda: GlmParams(family=Family.BINOMIAL, covariates=(binary("x"), binary("x"))),
        lambda: GlmParams(family=Family.BINOMIAL, covariates=(binary("outcome"),)),
        lambda: GlmParams(family=Family.BINOMIAL, covariates=(), outcome=Bounds(low=0, high=2)),
        lambda: GlmParams(family=Family.GAMMA, covariates=(), outcome=Bounds(low=0, high=2)),
    ],
)
def test_designs_that_are_none(made):
    with pytest.raises(BadDesign):
        made()
