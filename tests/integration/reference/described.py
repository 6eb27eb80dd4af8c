"""Moments, quantiles, correlations, and the balance of sim5's treatment groups by propensity score."""

import numpy as np

from dure.stats import mantel_haenszel
from dure.stats.covariance import Covariance, CovarianceParams, correlation, principal_components
from dure.stats.design import binary, continuous
from dure.stats.families import Family
from dure.stats.glm import Glm
from dure.stats.glm_model import GlmParams
from dure.stats.moments import Moments, MomentsParams, standardised_difference
from dure.stats.quantiles import Quantiles, QuantilesParams, Rank, type_7
from dure.stats.strata import Strata
from dure.stats.two_by_two import TwoByTwo, TwoByTwoParams

LABS = (
    continuous("LAB_TSC", 0.5, 20),
    continuous("LAB_TRIG", -20, 30),
    continuous("LAB_HDL", -5, 10),
    continuous("LAB_GLUC_ADJUSTED", 1, 50),
    continuous("PM_BMI_CONTINUOUS", 5, 100),
)
SCORED = (
    continuous("age", 18, 120),
    binary("sex"),
    continuous("bmi", 5, 80),
    binary("factor(smk)1"),
    binary("factor(smk)2"),
    binary("dm"),
    binary("htn"),
    binary("ckd"),
    continuous("egfr", 0, 250),
)
BALANCED = tuple(variable for variable in SCORED if not variable.name.startswith("factor"))
SHARES = {
    "p1": 0.01,
    "p5": 0.05,
    "p10": 0.1,
    "p25": 0.25,
    "p50": 0.5,
    "p75": 0.75,
    "p90": 0.9,
    "p95": 0.95,
    "p99": 0.99,
}
FINEST = 1e-12
LARGEST_WEIGHT = 50.0
NO_EXTREMES = "a smallest or largest value is one person's"


def quantile(network, frames, share, low, high, unit, bins, *, type_1=False):
    """The middle of what a search came down to: with rules off, the quantile itself."""

    def search(rank):
        params = QuantilesParams(low=low, high=high, bins=bins, share=share, rank=rank, unit=unit)
        return params, network.ask(Quantiles(), params, frames)

    if type_1:
        _, found = search(Rank.TYPE_1)
        return None if found.interval is None else (found.interval.low + found.interval.high - 1) / 2 * unit
    params, below = search(Rank.TYPE_7_BELOW)
    _, above = search(Rank.TYPE_7_ABOVE)
    ends = type_7(params, below, above)
    return None if ends is None else sum(ends) / 2


def cholesterol(network):
    table = network.table("cnsim")
    known = ~np.isnan(table["LAB_TSC"])
    return network.frames({"value": table["LAB_TSC"][known]}, table["site"][known])


def quantiles(network, *, type_1):
    frames = cholesterol(network)
    found = {
        (name, "quantile"): quantile(network, frames, share, 0, 20_000, 0.001, 20, type_1=type_1)
        for name, share in SHARES.items()
    }
    return {key: value for key, value in found.items() if value is not None}


def moments(network):
    table = network.table("cnsim")
    frames = network.frames({"LAB_TSC": table["LAB_TSC"]}, table["site"])
    (found,) = network.ask(Moments(), MomentsParams(variables=LABS[:1]), frames).groups["everyone"]
    if found.mean is None:
        return {}
    told = {
        "n": found.people,
        "mean": found.mean,
        "sd": found.variance**0.5,
        "skew_g1": found.skewness,
        "kurt_g2": found.kurtosis,
    }
    return {(term, "moment"): value for term, value in told.items()}


def labs(network):
    table = network.table("cnsim")
    frames = network.frames({lab.name: table[lab.name] for lab in LABS}, table["site"])
    found = network.ask(Covariance(), CovarianceParams(variables=LABS), frames).found
    return None if found is None else correlation(found)


def correlations(network):
    matrix = labs(network)
    if matrix is None:
        return {}
    names = [lab.name for lab in LABS]
    return {(f"{names[i]} {names[j]}", "r"): matrix[i, j] for j in range(len(names)) for i in range(j)}


def components(network):
    matrix = labs(network)
    if matrix is None:
        return {}
    values, loadings = principal_components(matrix)
    got = {(f"PC{i}", "eigenvalue"): value for i, value in enumerate(values, start=1)}
    return got | {
        (lab.name, "loading_PC1_sign_maxpos"): loading
        for lab, loading in zip(LABS, loadings[:, 0], strict=True)
    }


def scored(network):
    """sim5's columns with each person's propensity score, from the model fitted over the hospitals; None if it is hidden."""
    table = network.table("sim5")
    columns = {variable.name: table[variable.name] for variable in BALANCED}
    columns |= {f"factor(smk){level}": (table["smk"] == level).astype(float) for level in (1, 2)}
    params = GlmParams(family=Family.BINOMIAL, covariates=SCORED)
    fit = network.ask(Glm(), params, network.frames({**columns, "outcome": table["trt"]}, table["site"])).fit
    if fit is None:
        return None
    beta = [row.estimate for row in fit.coefficients]
    predictor = beta[0] + sum(
        b * columns[variable.name] for b, variable in zip(beta[1:], SCORED, strict=True)
    )
    return {**table, "ps": 1 / (1 + np.exp(-predictor))}


def cut_points(network):
    table = scored(network)
    if table is None:
        return None
    frames = network.frames({"value": table["ps"]}, table["site"])
    cuts = {
        f"{percent}%": quantile(network, frames, percent / 100, 0, round(1 / FINEST), FINEST, 100)
        for percent in (20, 40, 60, 80)
    }
    return None if None in cuts.values() else (table, cuts)


def shown_cut_points(network):
    found = cut_points(network)
    return {} if found is None else {(term, "quantile"): value for term, value in found[1].items()}


def by_fifth(network):
    """Treatment by outcome in each fifth of the score."""
    found = cut_points(network)
    if found is None:
        return None
    table, cuts = found
    fifth = np.searchsorted(list(cuts.values()), table["ps"], side="left")
    frames = network.frames({"exposed": table["trt"], "case": table["y"], "fifth": fifth}, table["site"])
    strata = Strata(name="fifth", levels=("q1", "q2", "q3", "q4", "q5"))
    return network.ask(TwoByTwo(), TwoByTwoParams(strata=strata), frames)


def fifths(network, *, events):
    result = by_fifth(network)
    got = {}
    for number, table in enumerate(result.tables if result else (), start=1):
        if table.cells is None:
            continue
        a, b, c, d = table.cells
        for arm, (cases, without) in enumerate(((c, d), (a, b))):
            got[f"q{number}_trt{arm}", "count"] = cases if events else cases + without
    return got


def over_fifths(network):
    result = by_fifth(network)
    if result is None or result.terms is None:
        return {}
    found = mantel_haenszel.odds_ratio(result.terms)
    chisq = mantel_haenszel.chi_square(result.terms, corrected=False)
    told = {"OR": found.value, "lcl": found.low, "ucl": found.high, "chisq": chisq}
    return {(term, "mh"): value for term, value in told.items()}


def weighted(network, *, att):
    table = scored(network)
    if table is None:
        return {}
    treated, ps = table["trt"] == 1, table["ps"]
    weight = np.where(treated, 1.0, ps / (1 - ps)) if att else np.where(treated, 1 / ps, 1 / (1 - ps))
    frames = network.frames({"y": table["y"], "group": table["trt"], "weight": weight}, table["site"])
    params = MomentsParams(variables=(binary("y"),), groups=("trt0", "trt1"), largest_weight=LARGEST_WEIGHT)
    groups = network.ask(Moments(), params, frames).groups
    control, exposed = groups["trt0"][0].weighted, groups["trt1"][0].weighted
    if control is None or exposed is None:
        return {}
    return {
        ("mean1", "estimate"): exposed.mean,
        ("mean0", "estimate"): control.mean,
        ("rd", "estimate"): exposed.mean - control.mean,
        ("rr", "estimate"): exposed.mean / control.mean,
        ("ess1", "ess"): exposed.people,
        ("ess0", "ess"): control.people,
    }


def balance(network):
    table = scored(network)
    if table is None:
        return {}
    ps = table["ps"]
    weight = np.where(table["trt"] == 1, 1 / ps, 1 / (1 - ps))
    columns = {variable.name: table[variable.name] for variable in BALANCED}
    frames = network.frames({**columns, "group": table["trt"], "weight": weight}, table["site"])
    params = MomentsParams(variables=BALANCED, groups=("trt0", "trt1"), largest_weight=LARGEST_WEIGHT)
    groups = network.ask(Moments(), params, frames).groups
    got = {}
    for control, exposed in zip(groups["trt0"], groups["trt1"], strict=True):
        for term, is_weighted in (("smd_before", False), ("smd_iptw_ate", True)):
            found = standardised_difference(exposed, control, weighted=is_weighted)
            if found is not None:
                got[exposed.name, term] = found
    return got


MODELS = {
    ("A08", "PS quintile cut points (all, type 7)"): shown_cut_points,
    ("A08", "PS quintile x treatment counts"): lambda network: fifths(network, events=False),
    ("A08", "PS quintile x treatment events"): lambda network: fifths(network, events=True),
    ("A08", "MH OR over PS quintiles"): over_fifths,
    ("A08c", "IPTW Hajek ATE sim5"): lambda network: weighted(network, att=False),
    ("A08c", "IPTW Hajek ATT sim5"): lambda network: weighted(network, att=True),
    ("A08e", "SMD sim5 (unweighted variances n-1)"): balance,
    ("A22", "quantiles CNSIM LAB_TSC type 1"): lambda network: quantiles(network, type_1=True),
    ("A22", "quantiles CNSIM LAB_TSC type 7"): lambda network: quantiles(network, type_1=False),
    ("A22", "moments CNSIM LAB_TSC"): moments,
    ("A23", "correlation matrix CNSIM"): correlations,
    ("A23", "PCA correlation CNSIM complete cases"): components,
}
# With the gate on, a quantile is an interval, and what is cut at its middle is another stratum.
COARSENED = [
    ("A08", "PS quintile cut points (all, type 7)"),
    ("A08", "PS quintile x treatment counts"),
    ("A08", "PS quintile x treatment events"),
    ("A08", "MH OR over PS quintiles"),
    ("A22", "quantiles CNSIM LAB_TSC type 1"),
    ("A22", "quantiles CNSIM LAB_TSC type 7"),
]
REASONS = {
    ("A08", "PS quintile cut points (all, type 7)"): {
        ("0%", "quantile"): NO_EXTREMES,
        ("100%", "quantile"): NO_EXTREMES,
    },
    ("A08c", "IPTW Hajek ATE sim5"): {("maxw", "ess"): NO_EXTREMES},
    ("A08c", "IPTW Hajek ATT sim5"): {("maxw", "ess"): NO_EXTREMES},
}
