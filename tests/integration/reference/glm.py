"""Generalised linear models of the reference: CNSIM and sim5, over their sites."""

import numpy as np
from scipy.special import expit

from dure.stats.counts import Counts, CountsParams
from dure.stats.design import binary, continuous
from dure.stats.families import Family
from dure.stats.glm import Glm
from dure.stats.glm_kernel import own_terms
from dure.stats.glm_model import Bounds, GlmParams, asked_of

CNSIM = (
    continuous("LAB_TRIG", -20, 20),
    continuous("LAB_HDL", -5, 10),
    continuous("PM_BMI_CONTINUOUS", 5, 100),
    binary("GENDER"),
)
SIM5 = (
    continuous("age", 18, 120),
    binary("sex"),
    continuous("bmi", 5, 80),
    binary("factor(smk)1"),
    binary("factor(smk)2"),
    binary("dm"),
    binary("htn"),
    binary("ckd"),
    continuous("egfr", 0, 250),
    binary("trt"),
)


def values(fit):
    got = {}
    for row in fit.coefficients:
        got[row.name, "coef"] = row.estimate
        got[row.name, "se"] = row.error
    got["logLik", "logLik"] = fit.log_likelihood
    return got


def cnsim(network):
    table = network.table("cnsim")
    names = [covariate.name for covariate in CNSIM]
    complete = ~np.isnan(np.stack([table[name] for name in (*names, "DIS_DIAB")])).any(axis=0)
    columns = {name: table[name][complete] for name in names}
    columns["outcome"] = table["DIS_DIAB"][complete]
    site = table["site"][complete]
    columns["hospital"] = site.astype(np.int64)
    return columns, site


def logistic_cnsim(network):
    columns, site = cnsim(network)
    params = GlmParams(family=Family.BINOMIAL, covariates=CNSIM, robust=True, clustered=True)
    result = network.ask(Glm(), params, network.frames(columns, site))
    if result.fit is None:
        return {}
    got = values(result.fit)
    got["n", "n"] = result.people
    got["deviance", "deviance"] = result.fit.deviance
    for row in result.fit.coefficients:
        got[row.name, "se_HC0"] = row.robust_error
        got[row.name, "se_cluster_site_HC0_noadj"] = row.clustered_error
    return got


def logistic_cnsim_by_site(network):
    """Slopes from the profile likelihood, in which no hospital's intercept leaves it.

    The intercepts, which R reports, are each hospital's own number: they are computed at the hospitals, as a release
    `by_hospital` would, from the slopes and their covariance.
    """
    columns, site = cnsim(network)
    params = GlmParams(family=Family.BINOMIAL, covariates=CNSIM, hospital_intercepts=True)
    frames = network.frames(columns, site)
    result = network.ask(Glm(), params, frames)
    if result.fit is None:
        return {}
    got = values(result.fit)
    slopes = np.array([row.estimate for row in result.fit.coefficients])
    own = [own_terms(frame, asked_of(params, slopes)) for frame in frames]
    (first, mean, information), *rest = own
    covariance = np.array(result.fit.covariance)
    got["(Intercept)", "coef"] = first
    got["(Intercept)", "se"] = np.sqrt(1 / information + mean @ covariance @ mean)
    for index, (intercept, its_mean, its_information) in enumerate(rest, start=2):
        apart = its_mean - mean
        got[f"factor(site){index}", "coef"] = intercept - first
        got[f"factor(site){index}", "se"] = np.sqrt(
            1 / information + 1 / its_information + apart @ covariance @ apart
        )
    return got


def sim5(network):
    table = network.table("sim5")
    columns = {covariate.name: table[covariate.name] for covariate in SIM5 if covariate.name in table}
    columns |= {f"factor(smk){level}": table["smk"] == level for level in (1, 2)}
    return table, columns


def logistic_sim5(network):
    table, columns = sim5(network)
    params = GlmParams(family=Family.BINOMIAL, covariates=SIM5)
    frames = network.frames({**columns, "outcome": table["y"]}, table["site"])
    result = network.ask(Glm(), params, frames)
    return values(result.fit) if result.fit else {}


def poisson_sim5(network):
    table, columns = sim5(network)
    params = GlmParams(
        family=Family.POISSON,
        covariates=SIM5,
        outcome=Bounds(low=0, high=100),
        offset=Bounds(low=-10, high=5),
    )
    time = table["time"] / 365.25
    frames = network.frames({**columns, "outcome": table["count"], "offset": np.log(time)}, table["site"])
    result = network.ask(Glm(), params, frames)
    if result.fit is None:
        return {}
    return {**values(result.fit), ("pearson_dispersion", "dispersion"): result.fit.dispersion}


def propensity_sim5(network):
    """The score's own rows, and how many people have one in the middle: counted at the hospitals, from the coefficients."""
    table, columns = sim5(network)
    covariates = SIM5[:-1]
    params = GlmParams(family=Family.BINOMIAL, covariates=covariates)
    columns = {covariate.name: columns[covariate.name] for covariate in covariates}
    frames = network.frames({**columns, "outcome": table["trt"]}, table["site"])
    result = network.ask(Glm(), params, frames)
    if result.fit is None:
        return {}
    got = values(result.fit)
    intercept, *slopes = (row.estimate for row in result.fit.coefficients)

    def counted(held):
        params = CountsParams(stages=("all", "held"), strata=())
        return network.ask(Counts(), params, network.frames({"reached": 1 + held}, table["site"])).stages

    everyone, treated = counted(table["trt"].astype(int))
    if everyone is None or treated is None:
        return got
    # The preference score: the propensity as it would be if as many were treated as not.
    logit = intercept + sum(b * columns[c.name] for b, c in zip(slopes, covariates, strict=True))
    preference = expit(logit - np.log(treated / (everyone - treated)))
    _, middle = counted(((preference >= 0.3) & (preference <= 0.7)).astype(int))
    if middle is not None:
        got["equipoise_0.3_0.7", "fraction"] = middle / everyone
    return got


REASONS = {
    ("A08", "PS logistic sim5"): {
        (
            "auc",
            "auc",
        ): "needs the order of single people's scores; score_table gives it from histograms, within its bound",
    },
}
MODELS = {
    ("A01", "glm binomial logit CNSIM complete case"): logistic_cnsim,
    ("A01b", "glm binomial logit CNSIM + site fixed effects"): logistic_cnsim_by_site,
    ("A02", "glm binomial logit sim5 (5 sites)"): logistic_sim5,
    ("A03", "glm poisson offset log(py) sim5"): poisson_sim5,
    ("A08", "PS logistic sim5"): propensity_sim5,
}
