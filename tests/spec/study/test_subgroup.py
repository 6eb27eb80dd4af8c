"""What `subgroup` asks step by step, what locks a step, and what it computes of released models."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from scipy.stats import chi2

from dure.features.covariates import BadCovariate, Covariate
from dure.features.markers import Marker, MarkerLevel
from dure.guard.suppression import open_cells
from dure.stats.base import BadState, Frame, Nothing
from dure.stats.cox import CoxFit, CoxResult
from dure.stats.glm import Coefficient
from dure.stats.no_fit import NoFit, Suspect
from dure.stats.rates import RateCell, RatesResult
from dure.study.kinds.base import BadQuestion, Cohort
from dure.study.kinds.subgroup import SubgroupKind, Subgroups

KIND = SubgroupKind()
CIRCE = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
}
GENE = Marker(
    name="gene",
    concepts=(1,),
    levels=(MarkerLevel(name="carrier", answers=(9191,)), MarkerLevel(name="others", answers=(9189,))),
)
AGE, WOMAN = Covariate(id=1002, name="Age in years"), Covariate(id=8532001, name="Female")
SPEC = Subgroups(
    target=Cohort(name="new", circe=CIRCE),
    comparator=Cohort(name="old", circe=CIRCE),
    outcome=Cohort(name="stroke", circe=CIRCE),
    ages=(50, 70),
    markers=(GENE,),
    adjust=(AGE, WOMAN),
)
GENES = replace(SPEC, ages=(), by_sex=False)


def arm(*rows):
    """(people, cases) of each level; everyone is followed for a year."""
    cells = [
        RateCell(people=n, cases=cases, outcomes=cases, days=None if n is None else 365 * n)
        for n, cases in rows
    ]
    return RatesResult(
        overall=RateCell(people=1000, cases=70, outcomes=70, days=365_000), strata={"gene": tuple(cells)}
    )


def model(estimate, error):
    coefficient = Coefficient(
        name="treatment", estimate=estimate, error=error, low=0.0, high=0.0, p_value=0.5,
        robust_error=None, clustered_error=None,
    )  # fmt: skip
    fit = CoxFit(
        coefficients=(coefficient,), covariance=((error**2,),), log_likelihood=-1.0, null_log_likelihood=-2.0,
        score_test=1.0, trends=None,
    )  # fmt: skip
    return CoxResult(people=500, events=60, fit=fit, no_fit=None, path=())


TREATED, OTHERS = arm((500, 30), (500, 40), (0, 0)), arm((500, 60), (500, 40), (0, 0))


def tables(treated=TREATED, **models):
    results = {"target": {"network": treated}, "comparator": {"network": OTHERS}}
    results |= {f"gene: {level}": {"network": found} for level, found in models.items()}
    return {
        table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in KIND.tables(GENES, results)
    }


def test_steps():
    steps = {step.name: step for step in KIND.steps(SPEC)}
    assert list(steps) == [
        "target", "comparator",
        "under 50", "50-69", "70 and over",
        "female", "male",
        "gene: carrier", "gene: others",
    ]  # fmt: skip
    assert steps["gene: carrier"].needs == ("target", "comparator")
    assert steps["target"].params.strata[-1].levels == ("carrier", "others", "not known")
    named = {
        name: [each.name for each in step.params.covariates] for name, step in steps.items() if step.needs
    }
    assert named["under 50"] == ["treatment", "Age in years", "Female"]
    assert named["male"] == ["treatment", "Age in years"], "within one sex, sex says nothing"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((500, 30), None),
        ((500, 10), None),
        ((500, 9), "fewer than 10"),
        ((500, 0), "fewer than 10"),
        ((500, None), "hidden"),
        ((None, 30), "hidden"),
    ],
)
def test_a_subgroup_is_asked_only_if_its_floors_are_met(row, why):
    other = arm(row, (500, 40), (0, 0))
    for carried in ({"target": other, "comparator": OTHERS}, {"target": TREATED, "comparator": other}):
        KIND.judge(GENES, "gene: carrier", carried)
        locked = KIND.lock(GENES, "gene: carrier", carried)
        assert locked is None if why is None else why in locked
        assert KIND.lock(GENES, "gene: others", carried) is None


def test_only_counts_by_the_studys_levels_are_lawful():
    KIND.judge(GENES, "target", {})
    assert KIND.lock(GENES, "target", {}) is None
    for wrong in (None, arm((500, 30)), model(0.0, 1.0)):
        with pytest.raises(BadState):
            KIND.judge(GENES, "gene: carrier", {"target": TREATED, "comparator": wrong})


def test_one_division_does_not_give_away_another():
    """Both sexes are shown, so all strokes are known; 5 of them are carriers', so another number of the genes is hidden too."""
    step = KIND.steps(replace(SPEC, ages=()))[0]
    person = np.arange(400)
    columns = {
        "days": np.full(400, 100),
        "outcomes": (person < 60).astype(int),
        "sex": person % 2,
        "gene": np.where((person < 5) | (person >= 300), 0, 1),
    }
    answer = step.statistic.local(Frame(person=person, columns=columns), step.params, Nothing())
    layout = step.statistic.layout(step.params)
    shown = dict(zip(layout.cells, open_cells(layout, answer.support, 11).tolist(), strict=True))
    assert shown["cases/sex/female"]
    assert shown["cases/sex/male"]
    assert not shown["cases/gene/carrier"]
    assert not shown["cases/gene/others"]


def test_ratios_interaction_and_shrinkage():
    found = tables(carrier=model(log(0.5), 0.1), others=model(log(1.0), 0.1))
    carrier, others = found["subgroups"]
    assert (carrier["division"], carrier["subgroup"]) == ("gene", "gene: carrier")
    assert [carrier[f"target_{what}"] for what in ("people", "outcomes")] == [500, 30]
    assert [carrier[f"comparator_{what}"] for what in ("people", "outcomes")] == [500, 60]
    assert carrier["target_person_years"] == pytest.approx(500, rel=1e-3)
    assert carrier["hazard_ratio"] == pytest.approx(0.5)
    assert carrier["hazard_ratio_low"] == pytest.approx(0.5 * exp(-0.1959964))
    assert [row["target_people"] for row in found["in_no_subgroup"]] == [0]
    (test,) = found["interaction"]
    q = log(2) ** 2 / (2 * 0.1**2)
    assert test["chi_square"] == pytest.approx(q)
    assert test["p_value"] == pytest.approx(chi2.sf(q, 1))
    assert test["mean_ratio"] == pytest.approx(0.5**0.5)
    # Paule and Mandel: the variance of the two less that of each.
    tau2 = log(2) ** 2 / 2 - 0.01
    assert test["spread"] == pytest.approx(tau2**0.5)
    own = tau2 / (tau2 + 0.01)
    assert carrier["shrunk_ratio"] == pytest.approx(exp(own * log(0.5) + (1 - own) * log(0.5) / 2))
    assert carrier["hazard_ratio"] < carrier["shrunk_ratio"] < test["mean_ratio"] < others["shrunk_ratio"] < 1
    assert carrier["shrunk_ratio_low"] < carrier["shrunk_ratio"] < carrier["shrunk_ratio_high"]


def test_subgroups_that_agree_are_shrunk_to_their_mean():
    found = tables(carrier=model(log(0.8), 0.2), others=model(log(0.9), 0.1))
    (test,) = found["interaction"]
    assert test["spread"] == 0.0
    assert [row["shrunk_ratio"] for row in found["subgroups"][:2]] == pytest.approx([test["mean_ratio"]] * 2)


@pytest.mark.parametrize(
    ("treated", "carrier", "said"),
    [
        (arm((500, None), (500, 40), (0, 0)), None, "A number of its people is hidden."),
        (arm((500, 5), (500, 40), (0, 0)), None, "An arm has fewer than 10 outcomes."),
        (TREATED, None, "withheld"),
        (
            TREATED,
            CoxResult(
                people=1, events=1, fit=None, path=(),
                no_fit=NoFit(trouble="small-cells", suspects=(Suspect(name="Female", constant_at=None, separates_at=None),)),
            ),
            "Too few people for numbers that the model takes: Female",
        ),
    ],
)  # fmt: skip
def test_a_subgroup_without_an_estimate_says_why(treated, carrier, said):
    models = {} if carrier is None else {"carrier": carrier}
    found = tables(treated, **models, others=model(0.0, 0.1))
    assert found["subgroups"][0]["estimate"] == said
    assert found["subgroups"][0]["hazard_ratio"] is None
    assert found["subgroups"][1]["shrunk_ratio"] is None, "there is nothing to be drawn to"
    assert found["interaction"] == []


def changed(**changes):
    return replace(SPEC, markers=(replace(GENE, **changes),))


@pytest.mark.parametrize(
    ("spec", "problem", "why"),
    [
        (replace(SPEC, ages=(), by_sex=False, markers=()), BadQuestion, "Nothing divides"),
        (replace(SPEC, ages=(70, 50)), BadQuestion, "ascend"),
        (replace(SPEC, adjust=(AGE, AGE)), BadCovariate, "twice"),
        (replace(SPEC, adjust=(Covariate(id=3004410554706, name="HbA1c"),)), BadQuestion, "bounds"),
        (changed(name="age"), BadQuestion, "one name"),
        (changed(name="days"), BadQuestion, "one name"),
        (changed(levels=(GENE.levels[0], GENE.levels[0])), BadQuestion, "one name"),
        (changed(levels=(GENE.levels[0], MarkerLevel(name="high", low=1.0))), BadQuestion, "no unit"),
        (changed(levels=(GENE.levels[0], MarkerLevel(name="empty"))), BadQuestion, "or neither"),
    ],
)
def test_what_cannot_be_asked(spec, problem, why):
    with pytest.raises(problem, match=why):
        KIND.check(spec)


def test_the_whole_can_be_asked():
    KIND.check(SPEC)
