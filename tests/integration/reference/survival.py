"""Survival of the reference: lung, colon and sim5, over their sites.

Cox models without strata have one baseline. With rules off they are asked at the network's event times, which is what R does; with
rules on, on the grid that a risk table of 30-day intervals comes down to.
"""

import importlib.util
from pathlib import Path

import numpy as np

from dure.stats.cox import Cox
from dure.stats.cox_model import CoxParams
from dure.stats.cox_one_baseline import CoxOneBaseline, OneBaselineParams
from dure.stats.design import binary, continuous
from dure.stats.glm_model import Bounds
from dure.stats.log_rank import LogRank, LogRankParams, of_table
from dure.stats.risk_table import RiskTable, RiskTableParams
from dure.stats.strata import Strata
from dure.stats.survival_curves import (
    AtRisk,
    kaplan_meier,
    mean_difference,
    mean_ratio,
    quantile,
    restricted_mean,
)

_spec = importlib.util.spec_from_file_location("described", Path(__file__).with_name("described.py"))
described = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(described)

LUNG = (
    continuous("age", 18, 100),
    binary("sex"),
    continuous("ph.ecog", 0, 4),
    continuous("wt.loss", -50, 100),
)
COLON = (
    binary("rxLev"),
    binary("rxLev+5FU"),
    binary("sex"),
    continuous("age", 18, 100),
    binary("obstruct"),
    binary("adhere"),
    continuous("nodes", 0, 40),
    binary("factor(differ)2"),
    binary("factor(differ)3"),
    binary("factor(extent)2"),
    binary("factor(extent)3"),
    binary("factor(extent)4"),
)
SIM5 = (
    binary("trt"),
    continuous("age", 18, 110),
    binary("sex"),
    continuous("bmi", 5, 60),
    binary("dm"),
    binary("htn"),
    binary("ckd"),
    continuous("egfr", 0, 200),
    binary("factor(smk)1"),
    binary("factor(smk)2"),
)
SEX, TRT = Strata(name="sex", levels=("1", "2")), Strata(name="trt", levels=("0", "1"))
MONTH = 30


def complete(table, names):
    held = ~np.isnan(np.stack([table[name] for name in names])).any(axis=0)
    return {name: column[held] for name, column in table.items()}


def lung(network):
    """With `sex` 0/1: 1 more for everyone changes no coefficient, but is no 0/1 covariate."""
    table = complete(network.table("lung"), ("age", "sex", "ph.ecog", "wt.loss"))
    return {**table, "event": table["status"].astype(int), "sex": table["sex"] - 1}


def colon(network):
    table = complete(network.table("colon_death"), ("nodes", "differ"))
    columns = {name: table[name] for name in ("time", "site", "sex", "age", "obstruct", "adhere", "nodes")}
    columns["event"] = table["status"].astype(int)
    columns |= {f"rx{arm}": table["rx"] == arm for arm in ("Lev", "Lev+5FU")}
    columns |= {f"factor(differ){level}": table["differ"] == level for level in (2, 3)}
    return columns | {f"factor(extent){level}": table["extent"] == level for level in (2, 3, 4)}


def sim5(network):
    table = network.table("sim5")
    smoking = {f"factor(smk){level}": table["smk"] == level for level in (1, 2)}
    return {**table, **smoking, "event": (table["event"] == 1).astype(int)}


def told(fit, *, robust=False, clustered=False):
    got = {("logLik", "logLik"): fit.log_likelihood}
    for row in fit.coefficients:
        got[row.name, "coef"], got[row.name, "se"] = row.estimate, row.error
        if robust:
            got[row.name, "se_robust"] = row.robust_error
        if clustered:
            got[row.name, "se_cluster_site"] = row.clustered_error
    return got


def by_hospital(data, covariates, **options):
    def ask(network):
        columns = data(network)
        model = CoxParams(covariates=covariates, **options)
        names = Cox().columns(model)
        frames = network.frames({name: columns[name] for name in names}, columns["site"])
        result = network.ask(Cox(), model, frames)
        return told(result.fit) if result.fit else {}

    return ask


def on_a_grid(network, columns, model, groups=()):
    """Each row's places on a grid, and the grid's days: the network's event times, or what the gate allows."""
    time, entry = columns["time"], columns["entry"] if model.delayed else np.zeros(len(columns["time"]))
    if network.rules.off:
        days = np.unique(time[columns["event"] == 1])
        return np.searchsorted(days, time, side="right") - 1, np.searchsorted(days, entry, "right"), days
    levels = groups or tuple(Strata(name=c.name, levels=("0", "1")) for c in model.covariates if c.binary)
    edges = tuple(range(0, int(time.max()) + MONTH, MONTH))
    params = RiskTableParams(edges=edges, breakdowns=levels, delayed=model.delayed)
    held = {"time": time, "event": columns["event"], "entry": entry} | {
        table.name: columns[table.name].astype(int) for table in levels
    }
    table = network.ask(RiskTable(), params, network.frames(held, columns["site"]))
    if table.edges is None:
        return None
    days = np.array(table.edges[1:])
    return np.searchsorted(days, time), np.searchsorted(days, entry, side="right"), days


def one_baseline(data, covariates, more=None, clock=False, **options):
    def ask(network):
        columns, model = data(network), CoxParams(covariates=covariates, **options)
        grid = on_a_grid(network, columns, model)
        if grid is None:
            return {}
        leaves, enters, days = grid
        params = OneBaselineParams(
            model=model,
            intervals=len(days),
            clock=tuple((days / days[-1]).tolist()) if clock else None,
        )
        columns = {**columns, "leaves": leaves, "enters": enters}
        ever = (leaves >= 0) & (enters <= leaves)
        columns = {name: column[ever] for name, column in columns.items()}
        names = CoxOneBaseline().columns(params)
        frames = network.frames({name: columns[name] for name in names}, columns["site"])
        result = network.ask(CoxOneBaseline(), params, frames)
        if result.cox.fit is None:
            return {}
        got = told(result.cox.fit, robust=model.robust, clustered=model.clustered)
        return got | (more(result, days) if more else {})

    return ask


def of_the_null(result, days):
    fit = result.cox.fit
    return {
        ("null", "loglik0_and_score"): fit.null_log_likelihood,
        ("score_test", "loglik0_and_score"): fit.score_test,
    }


def all_of_lung(result, days):
    """R's baseline is of someone whose sex is coded 0, one below the lower of its two codes."""
    fit = result.cox.fit
    sex = next(row.estimate for row in fit.coefficients if row.name == "sex")
    got = of_the_null(result, days)
    got |= {(trend.name, "zph_chisq_identity"): trend.chi_square for trend in fit.trends}
    for day in (100, 200, 300, 500, 800):
        place = np.searchsorted(days, day, side="right") - 1
        hazard = result.hazard[place] if place >= 0 else 0.0
        got[f"t{day}", "basehaz_uncentered"] = hazard * np.exp(-sex)
    return got


def by_fifths_of_the_score(network):
    """One baseline in each fifth of the propensity score over all hospitals: five stretches of the grid."""
    found = described.cut_points(network)
    if found is None:
        return {}
    table, cuts = found
    fifth = np.searchsorted(list(cuts.values()), table["ps"], side="left")
    columns = {**treated(table), "fifth and arm": 2 * fifth + table["trt"].astype(int)}
    groups = Strata(name="fifth and arm", levels=tuple(str(level) for level in range(10)))
    model = CoxParams(covariates=(binary("trt"),), delayed=True)
    grid = on_a_grid(network, columns, model, (groups,))
    if grid is None:
        return {}
    leaves, _, days = grid
    params = OneBaselineParams(model=model, intervals=5 * len(days))
    held = {"event": columns["event"], "trt": table["trt"]}
    held |= {"leaves": fifth * len(days) + leaves, "enters": fifth * len(days)}
    ever = leaves >= 0
    frames = network.frames({name: column[ever] for name, column in held.items()}, table["site"][ever])
    result = network.ask(CoxOneBaseline(), params, frames)
    return told(result.cox.fit) if result.cox.fit else {}


def treated(table):
    """Everyone followed from day 0."""
    columns = {name: table[name] for name in ("time", "trt", "site")}
    return {**columns, "entry": np.zeros(len(table["time"])), "event": (table["event"] == 1).astype(int)}


def weighted_by_the_score(network):
    table = described.scored(network)
    if table is None:
        return {}
    share = table["trt"].mean()
    odds = np.where(table["trt"] == 1, share / table["ps"], (1 - share) / (1 - table["ps"]))
    model = {"robust": True, "weight": Bounds(low=0, high=20)}
    ask = one_baseline(lambda _: {**treated(table), "weight": odds}, (binary("trt"),), **model)
    got = ask(network)
    if not got:
        return {}
    renamed = {("trt", "se"): ("trt", "se_naive")}
    return {renamed.get(key, key): value for key, value in got.items() if key != ("logLik", "logLik")}


def weekly(network):
    columns = sim5(network)
    return {**columns, "time": np.ceil(columns["time"] / 7)}


def table_of(network, name, group, edges):
    columns = network.table(name)
    held = {
        "time": columns["time"],
        "event": (columns["status" if "status" in columns else "event"] == 1).astype(int),
        group.name: np.searchsorted(np.array(group.levels, dtype=float), columns[group.name]),
    }
    params = RiskTableParams(edges=edges, breakdowns=(group,))
    found = network.ask(RiskTable(), params, network.frames(held, columns["site"]))
    if found.edges is None:
        return ()
    return tuple(AtRisk.of(found.edges, found.groups[f"{group.name}/{level}"]) for level in group.levels)


def curves(name, group, edges, days, *, intervals):
    def ask(network):
        got = {}
        for level, at_risk in zip(group.levels, table_of(network, name, group, edges), strict=True):
            curve = kaplan_meier(at_risk)
            for day in days:
                found, where = curve.at(day), f"{group.name}={level}_t{day}"
                got[where, "surv"], got[where, "se_greenwood"] = found.value, found.se
                if intervals:
                    got[where, "lcl"], got[where, "ucl"] = found.low, found.high
            if intervals:
                median = quantile(curve, 0.5)
                for quantity, value in zip(("median", "median_lcl", "median_ucl"), median, strict=True):
                    got[f"{group.name}={level}", quantity] = value
        return got

    return ask


def log_rank(network):
    found = of_table([table_of(network, "lung", SEX, LUNG_DAYS)])
    got = {("chisq", "chisq"): found.chi_square, ("V11", "oe"): found.variance[0][0]}
    for index in range(2):
        got[f"O{index + 1}", "oe"], got[f"E{index + 1}", "oe"] = found.observed[index], found.expected[index]
    return got


def peto(network):
    return {("chisq", "chisq"): of_table([table_of(network, "lung", SEX, LUNG_DAYS)], 1.0).chi_square}


def stratified_log_rank(network):
    columns = network.table("lung")
    held = {"time": columns["time"], "event": columns["status"], "sex": columns["sex"].astype(int) - 1}
    found = network.ask(LogRank(), LogRankParams(groups=SEX), network.frames(held, columns["site"]))
    return {} if found.chi_square is None else {("chisq", "chisq"): found.chi_square}


def means(network):
    male, female = table_of(network, "lung", SEX, LUNG_DAYS)
    got = {}
    compared = {
        "RMST (arm=1)-(arm=0)": mean_difference(female, male, 365),
        "RMST (arm=1)/(arm=0)": mean_ratio(female, male, 365),
        "RMTL (arm=1)/(arm=0)": mean_ratio(female, male, 365, lost=True),
    }
    for name, found in compared.items():
        got |= {
            (f"{name}|Est.", "rmst2"): found.value,
            (f"{name}|lower .95", "rmst2"): found.low,
            (f"{name}|upper .95", "rmst2"): found.high,
            (f"{name}|p", "rmst2"): found.p,
        }
    for arm, group in enumerate((male, female)):
        mean = restricted_mean(group, 365)
        got[f"rmst_arm{arm}", "rmst"], got[f"var_arm{arm}", "rmst"] = mean.value, mean.se**2
    return got


LUNG_DAYS = tuple(range(1023))
BY_SITE = "efron strata(site)"
MODELS = {
    ("A05", "coxph lung efron"): one_baseline(
        lung, LUNG, all_of_lung, clock=True, robust=True, clustered=True
    ),
    ("A05", "coxph lung breslow"): one_baseline(lung, LUNG, of_the_null, ties="breslow"),
    ("A05b", f"coxph lung {BY_SITE}"): by_hospital(lung, LUNG),
    ("A06", "coxph colon death efron"): one_baseline(colon, COLON),
    ("A06b", f"coxph colon death {BY_SITE}"): by_hospital(colon, COLON),
    ("A07", "coxph sim5 delayed entry efron"): one_baseline(sim5, SIM5, delayed=True),
    ("A07a", "coxph sim5 delayed entry breslow"): one_baseline(sim5, SIM5, delayed=True, ties="breslow"),
    ("A07b", f"coxph sim5 delayed entry {BY_SITE}"): by_hospital(sim5, SIM5, delayed=True),
    ("A07c", "coxph sim5 time coarsened to ceiling(time/7) efron no entry"): one_baseline(weekly, SIM5),
    ("A08b", "coxph ~trt strata(PS quintile) sim5"): by_fifths_of_the_score,
    ("A08d", "coxph stabilised IPTW robust sim5"): weighted_by_the_score,
    ("A09", "KM lung by sex (log-log CI)"): curves(
        "lung", SEX, LUNG_DAYS, (90, 180, 365, 730), intervals=True
    ),
    ("A09", "log-rank lung by sex"): log_rank,
    ("A09", "Peto-Peto G-rho rho=1 lung by sex"): peto,
    ("A09", "stratified log-rank lung by sex | site"): stratified_log_rank,
    ("A09b", "survRM2::rmst2 lung sex tau=365"): means,
    ("A09c", "KM sim5 by trt (day grid)"): curves(
        "sim5", TRT, tuple(range(1826)), (182, 365, 730, 1461), intervals=False
    ),
}
# On a wider grid events count as later than they were.
COARSENED = {key for key in MODELS if "strata(site)" not in key[1] and "| site" not in key[1]}
CONCORDANCE = "It ranks every pair of people; no sum over people gives it."
REASONS = {
    key: {("C", "concordance"): CONCORDANCE, ("C_se", "concordance"): CONCORDANCE}
    for key in MODELS
    if key[0] == "A05"
}
