"""What opens an outcome and what doesn't; who is in which stratum, weight and match; what may be carried."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from benchmarks.effect_simulated import CIRCE, answer, simulate, spec_of, table
from dure.features.analyses import Windows
from dure.features.covariates import Covariate
from dure.stats.base import BadState
from dure.stats.glm import Coefficient
from dure.stats.score_table import ScoreTableResult
from dure.study.kinds.base import BadQuestion, Cohort
from dure.study.kinds.effect import adjust, diagnostics
from dure.study.kinds.effect.kind import EffectKind
from dure.study.kinds.effect.people import _first_of, _followed
from dure.study.kinds.effect.spec import ARMS, OUTCOME_STEPS, ControlConcept, controls_of
from dure.wire.rules import Mode

KIND = EffectKind()
SPEC = spec_of(6, despite="")


@pytest.fixture(scope="module")
def hospitals():
    return simulate(np.random.default_rng(11), hospitals=4, people=2000, ratio=0.65, controls=6)


@pytest.fixture(scope="module")
def results(hospitals):
    return answer(SPEC, hospitals)


def carried(results):
    return {name: result for name, result in results.items() if name not in OUTCOME_STEPS}


def test_a_sound_comparison_opens_by_itself(results):
    assert [row["result"] for row in table(SPEC, results, "diagnostics")] == ["passed"] * 4
    crude, adjusted, calibrated = table(SPEC, results, "effect")
    assert crude["ratio_low"] > 0.65, "the naive estimate is wrong"
    assert adjusted["ratio_low"] < 0.65 < adjusted["ratio_high"]
    assert calibrated["estimate"] == "calibrated"
    naive, fair = table(SPEC, results, "risk_difference")
    assert fair["difference_high"] < naive["difference_percent"]


def test_what_differs_most_stands_first(results):
    rows = table(SPEC, results, "balance")
    largest = [max(abs(row["smd_before"] or 0), abs(row["smd_after"] or 0)) for row in rows]
    assert largest == sorted(largest, reverse=True)
    assert [row["covariate"] for row in table(SPEC, results, "love") if row["when"] == "before"] == [
        row["covariate"] for row in rows if row["smd_before"] is not None
    ][:20]


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"most_smd": 0.001}, diagnostics.SMD),
        ({"least_equipoise": 0.99}, diagnostics.EQUIPOISE),
        ({"most_mdrr": 1.01}, diagnostics.MDRR),
        ({"most_ease": 0.0001}, diagnostics.EASE),
        ({"controls": ()}, diagnostics.EASE),
    ],
)
def test_each_diagnostic_locks_the_outcome(results, limits, why):
    strict = replace(SPEC, **limits)
    for step in OUTCOME_STEPS:
        assert why in KIND.lock(strict, step, carried(results))
        assert KIND.lock(replace(strict, despite="It is a demonstration."), step, carried(results)) is None
    assert KIND.lock(strict, "balance", carried(results)) is None


def test_of_a_locked_outcome_nothing_is_computed(hospitals):
    locked = answer(replace(SPEC, most_ease=0.0001), hospitals)
    assert not set(OUTCOME_STEPS) & set(locked)
    assert table(SPEC, locked, "effect") == []
    assert "failed" in [
        row["result"] for row in table(replace(SPEC, most_ease=0.0001), locked, "diagnostics")
    ]


def test_outcome_steps_need_every_diagnostic():
    steps = {step.name: step for step in KIND.steps(SPEC)}
    for name in set(OUTCOME_STEPS) & set(steps):
        assert {"balance", "power", "scores", *(f"control {n}" for n in range(1, 7))} <= set(
            steps[name].needs
        )
    assert KIND.steps(SPEC) is KIND.steps(SPEC)
    assert [step.params for step in KIND.steps(replace(SPEC))] == [step.params for step in KIND.steps(SPEC)]


def test_no_model_and_no_overlap_lock_what_follows(results):
    found = carried(results)
    lost = replace(found["propensity"], path=(), trouble="not-converged")
    assert "not-converged" in KIND.lock(SPEC, "scores", {**found, "propensity": lost})
    apart = ScoreTableResult(edges=(0, 1), people=((50,), (60,)), scores=((9.0,), (9.0,)), squares=((1.0,), (1.0,)))  # fmt: skip
    assert "overlap" in KIND.lock(SPEC, "balance", {**found, "scores": apart})


def spoiled(found):
    counts, model, scores = (found[name] for name in ("covariates", "propensity", "scores"))
    solution, group = model.path[-1], counts.groups[0]
    fit = found["control 1"].fit
    wild: Coefficient = replace(fit.coefficients[0], estimate=math.nan)
    return {
        "a coefficient beyond 40": ("propensity", replace(model, path=(replace(solution, coefficients={"1210": 41.0}),))),
        "one of no covariate": ("propensity", replace(model, path=(replace(solution, coefficients={"77": 1.0}),))),
        "one that is no number": ("propensity", replace(model, path=(replace(solution, intercept=math.nan),))),
        "too few counts": ("covariates", replace(counts, groups=(replace(group, having=group.having[1:]), counts.groups[1]))),
        "a count below 0": ("covariates", replace(counts, groups=(replace(group, people=-1), counts.groups[1]))),
        "a covariate of more people than there are": (
            "covariates", replace(counts, groups=(replace(group, having=(group.people + 1, *group.having[1:])), counts.groups[1])),
        ),
        "an infinite sum": ("covariates", replace(counts, groups=(replace(group, total={10: math.inf}), counts.groups[1]))),
        "edges that don't ascend": ("scores", replace(scores, edges=(0, 0.5, 0.5, *scores.edges[3:]))),
        "edges beyond 1": ("scores", replace(scores, edges=(*scores.edges[:-1], 2.0))),
        "a control without a number": ("control 1", replace(found["control 1"], fit=replace(fit, coefficients=(wild,)))),
    }  # fmt: skip


def test_what_is_no_lawful_result_is_not_carried(results):
    found = carried(results)
    KIND.judge(SPEC, "adjusted", found)
    for what, (step, result) in spoiled(found).items():
        with pytest.raises(BadState):
            KIND.judge(SPEC, "adjusted", {**found, step: result})
            pytest.fail(what)


def test_half_of_the_tabulated_scale_is_equipoise():
    score = np.array([0, 0.1, 0.3, 0.5, 0.7, 1])
    np.testing.assert_allclose(adjust.spread(score)[[2, 4]], [0.25, 0.75])
    np.testing.assert_allclose(adjust.gathered(adjust.spread(score)), score)
    scores = ScoreTableResult(edges=(0, 0.25, 0.5, 0.75, 1), people=((10, 20, 30, 40), (0, 0, 0, 0)), scores=(), squares=())  # fmt: skip
    assert diagnostics.equipoise(scores) == 0.5


def test_strata_are_cut_at_equal_shares_within_the_trim():
    edges = tuple(np.linspace(0, 1, 17).tolist())
    scores = ScoreTableResult(edges=edges, people=((10,) * 16, (10,) * 16), scores=(), squares=())
    cuts = adjust.cut_points(replace(SPEC, strata=4), scores)
    np.testing.assert_allclose(adjust.spread(cuts), [0.25, 0.5, 0.75])
    assert (adjust.cut_points(replace(SPEC, strata=4, trim=0.3), scores) > 0.3).all()
    nothing = ScoreTableResult(edges=(), people=(), scores=(), squares=())
    assert len(adjust.cut_points(SPEC, nothing)) == 0


def test_weights_of_strata_make_arms_alike():
    stratum = np.array([0, 0, 0, 0, 1, 1, 2])
    target = np.array([1, 0, 0, 0, 1, 0, 1], dtype=bool)
    weight = adjust.standard_weights(stratum, target)
    assert weight.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3, 1, 1, 0])


def test_inverse_weights_take_a_hospitals_leaning_off():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1, 20_000)
    target = rng.random(20_000) < expit(logits + 1.5)
    weight = adjust.inverse_weights(target, logits)
    means = [np.average(logits[arm], weights=weight[arm]) for arm in (target, ~target)]
    assert abs(means[0] - means[1]) < 0.05
    assert weight.mean() == pytest.approx(1, abs=0.05)
    assert (adjust.inverse_weights(np.ones(3, dtype=bool), np.zeros(3)) == 0).all()


def test_the_nearest_are_matched_first_and_once():
    target = np.array([1, 1, 1, 0, 0, 0], dtype=bool)
    logits = np.array([0.0, 0.2, 9.0, 0.21, 0.3, -9.0])
    kept = adjust.matched(target, logits, 0.2)
    assert kept.tolist() == [True, True, False, True, True, False]
    assert not adjust.matched(np.ones(4, dtype=bool), np.zeros(4), 0.2).any()


@pytest.mark.parametrize("caliper", [0.05, 0.2, 1.0])
def test_matches_are_those_of_a_naive_search(caliper):
    rng = np.random.default_rng(17)
    target, logits = rng.random(300) < 0.5, rng.normal(0, 1, 300)
    free, matched = set(np.flatnonzero(~target).tolist()), set()
    reach = caliper * logits.std()
    pairs = sorted((abs(logits[t] - logits[c]), t, c) for t in np.flatnonzero(target) for c in np.flatnonzero(~target))  # fmt: skip
    for distance, one, other in pairs:
        if distance <= reach and one not in matched and other in free:
            matched |= {one, other}
            free.discard(other)
    assert set(np.flatnonzero(adjust.matched(target, logits, caliper)).tolist()) == matched


def entries(people, days):
    from dure.features.covariates import Entries

    start = np.datetime64("2020-01-01", "D") + np.array(days).astype("timedelta64[D]")
    return Entries(person=np.array(people), start=start, end=start)


def test_each_person_counts_at_the_earlier_entry():
    target, comparator = _first_of(entries([1, 2, 3, 4], [0, 5, 9, 1]), entries([2, 3, 4, 5], [7, 7, 1, 0]))
    assert target.person.tolist() == [1, 2]
    assert comparator.person.tolist() == [3, 5], "who enters both on one day isn't compared"


def test_the_first_outcome_within_the_time_at_risk(hospitals):
    from dure.features.time_at_risk import Spans

    day = np.datetime64("2020-01-01", "D")
    people = replace(
        hospitals[0].outcomes[0],
        person=2**50 + np.array([1, 2, 3, 4]),
        since=np.full(4, day),
        until=np.full(4, day + 10),
    )
    days = np.array([-1, 0, 10, 11])
    outcome = Spans(person=2**50 + np.array([1, 2, 3, 4]), start=day + days, end=day + days)
    found, before = _followed(people, outcome)
    assert found.event.tolist() == [False, True, True, False]
    assert found.time.tolist() == [11, 1, 11, 11]
    assert before.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (replace(SPEC, comparator=SPEC.target), "Two cohorts"),
        (replace(SPEC, covariates=(Covariate(id=1009, name="days observed after"),)), "after the entry"),
        (replace(SPEC, windows=Windows(end=30)), "after the entry"),
    ],
)
def test_what_cannot_be_asked(spec, why):
    with pytest.raises(BadQuestion, match=why):
        KIND.check(spec)


def test_controls_are_made_of_concepts():
    spec = replace(SPEC, controls=(Cohort(name="one", circe=CIRCE),), control_concepts=(ControlConcept(concept=78272, name="Sprain of wrist"),))  # fmt: skip
    assert [each.name for each in controls_of(spec)] == ["one", "Sprain of wrist"]
    KIND.check(spec)
    KIND.check(replace(spec, covariates=()))


@pytest.mark.parametrize("model", ["cox", "poisson", "logistic"])
@pytest.mark.parametrize("adjustment", ["stratify", "weight", "match"])
def test_every_way_of_adjusting_undoes_the_confounding(hospitals, adjustment, model):
    few = {"strata": 5} if model != "cox" else {}
    spec = replace(SPEC, adjustment=adjustment, model=model, despite="a test", controls=(), curves=adjustment == "match", trim=0.02, **few)  # fmt: skip
    results = answer(spec, hospitals)
    crude, adjusted = table(spec, results, "effect")
    assert crude["log_ratio"] - math.log(0.65) > 0.25
    assert abs(adjusted["log_ratio"] - math.log(0.65)) < 2.6 * adjusted["se"]
    assert len(table(spec, results, "curves")) == 0 or spec.curves
    assert all(spec.despite in paragraph or "despite" not in paragraph for paragraph in KIND.methods(spec))
    assert {row["group"] for row in table(spec, results, "risks")} <= set(ARMS)


def test_hospitals_by_themselves_are_put_together(hospitals):
    spec = replace(SPEC, separately=True, despite="a test", controls=(), strata=5)
    assert all(Mode.BY_HOSPITAL in step.statistic.modes for step in KIND.steps(spec))
    assert any(Mode.BY_HOSPITAL not in step.statistic.modes for step in KIND.steps(SPEC))
    own = {f"h{number}": answer(spec, [each]) for number, each in enumerate(hospitals)}
    results = {step.name: {place: found[step.name] for place, found in own.items()} for step in KIND.steps(spec)}  # fmt: skip
    tables = {each.name: [dict(zip(each.columns, row, strict=True)) for row in each.rows] for each in KIND.tables(spec, results)}  # fmt: skip
    *each, mean = tables["forest"]
    assert [row["hospital"] for row in each] == list(own)
    assert mean["ratio_low"] < 0.65 < mean["ratio_high"]
    assert tables["heterogeneity"][0]["hospitals"] == 4
    for found in own.values():
        KIND.judge(spec, "balance", {name: found[name] for name in ("covariates", "propensity", "scores")})
        spoiled = replace(found["scores"], strata={"score": (-1, *found["scores"].strata["score"][1:])})
        with pytest.raises(BadState):
            KIND.judge(spec, "balance", {"scores": spoiled})
    shares = [row["value"] for row in tables["diagnostics"] if row["diagnostic"] == diagnostics.EQUIPOISE]
    assert all(share > 0.5 for share in shares)


def test_the_network_answers_as_the_pooled_people_would(hospitals):
    """Model, scores and cuts are exact: the same people at one hospital give the same."""
    from scipy import sparse

    whole = replace(
        hospitals[0],
        covariates=sparse.csr_array(sparse.vstack([each.covariates for each in hospitals])),
        outcomes=tuple(
            type(parts[0])(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].__dataclass_fields__})
            for parts in zip(*(each.outcomes for each in hospitals), strict=True)
        ),
    )  # fmt: skip
    spec = replace(SPEC, controls=())
    split, pooled = answer(spec, hospitals), answer(spec, [whole])
    one, other = (found["propensity"].path[-1] for found in (split, pooled))
    assert one.coefficients == pytest.approx(other.coefficients, abs=1e-5)
    assert split["covariates"].groups[0].having == pooled["covariates"].groups[0].having
    assert split["scores"].edges == pooled["scores"].edges
