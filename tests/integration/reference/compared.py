"""Rates, standardised rates, tables over strata, and meta-analyses of hospitals' own tables."""

import numpy as np

from dure.guard.gate import Withheld, release_hospital
from dure.stats import intervals, mantel_haenszel, meta, standardisation
from dure.stats.base import Nothing, Released
from dure.stats.design import binary
from dure.stats.hospital_strata import HospitalStrata, HospitalStrataParams, Measure
from dure.stats.meta import Between, RestsOn
from dure.stats.moments import Moments, MomentsParams
from dure.stats.power import least_detectable_ratio
from dure.stats.rates import Rates, RatesParams
from dure.stats.strata import Strata
from dure.stats.two_by_two import TwoByTwo, TwoByTwoParams
from dure.wire import ring
from dure.wire.messages import unpack
from dure.wire.sums import Sums

YEAR = 365.25
AGES = {"18-44": 45, "45-54": 55, "55-64": 65, "65-74": 75, "75-84": 85, "85+": 200}
"""Each group's age from which the next begins."""
ARMS = ("trt0", "trt1")
STRATA = tuple(f"{sex}/{age}" for sex in (0, 1) for age in AGES)


def rates(network):
    """sim5 by arm, and by arm, sex and age."""
    table = network.table("sim5")
    age = np.searchsorted(list(AGES.values()), table["age"], side="right")
    stratum = table["sex"] * len(AGES) + age
    columns = {
        "days": table["time"],
        "outcomes": table["event"] == 1,
        "arm": table["trt"],
        "stratum": table["trt"] * len(STRATA) + stratum,
    }
    params = RatesParams(
        strata=(
            Strata(name="arm", levels=ARMS),
            Strata(name="stratum", levels=tuple(f"{arm}/{name}" for arm in ARMS for name in STRATA)),
        )
    )
    frames = network.frames({k: v.astype(np.int64) for k, v in columns.items()}, table["site"])
    return network.ask(Rates(), params, frames)


def arms(network):
    """Events and years of each arm; None where hidden."""
    cells = rates(network).strata["arm"]
    if any(cell.outcomes is None or cell.days is None for cell in cells):
        return None
    return [(cell.outcomes, cell.days / YEAR) for cell in cells]


def strata(network):
    """Events and years of each arm by stratum, shapes (2, strata); None where one is hidden."""
    cells = rates(network).strata["stratum"]
    if any(cell.outcomes is None or cell.days is None for cell in cells):
        return None
    events = np.array([cell.outcomes for cell in cells]).reshape(2, -1)
    return events, np.array([cell.days / YEAR for cell in cells]).reshape(2, -1)


def incidence(network):
    got = {}
    for arm, (events, years) in zip(ARMS, arms(network) or (), strict=False):
        low, high = intervals.poisson_exact(events, years)
        told = {"events": events, "py": years, "rate": events / years, "lcl": low, "ucl": high}
        got |= {(f"{arm}_{term}", "ir"): value for term, value in told.items()}
    return got


def standardised(network):
    found = strata(network)
    if found is None:
        return {}
    got = {}
    for arm, events, years in zip(ARMS, *found, strict=True):
        rate = standardisation.direct(events.tolist(), years.tolist(), found[1].sum(axis=0).tolist())
        told = {
            "crude.rate": events.sum() / years.sum(),
            "adj.rate": rate.value,
            "lci": rate.low,
            "uci": rate.high,
        }
        got |= {(f"{arm}_{term}", "dsr"): value for term, value in told.items()}
    return got


def observed_over_expected(network):
    found = strata(network)
    if found is None:
        return {}
    events, years = found
    expected = standardisation.expected_events(years[1], events[0] / years[0])
    observed = int(events[1].sum())
    ratio = standardisation.ratio_to_expected(observed, expected)
    told = {"obs": observed, "exp": expected, "smr": ratio.value, "lcl": ratio.low, "ucl": ratio.high}
    return {(term, "smr"): value for term, value in told.items()}


def ratio(network):
    found = arms(network)
    if found is None:
        return {}
    (others, other_years), (events, years) = found
    low, high = intervals.rate_ratio_exact((events, others), (years, other_years))
    told = {
        "irr": events / years / (others / other_years),
        "lcl": low,
        "ucl": high,
        "p": intervals.rate_ratio_p((events, others), (years, other_years)),
    }
    return {(term, "irr"): value for term, value in told.items()}


def ratio_over_strata(network):
    found = strata(network)
    if found is None:
        return {}
    events, years = found
    terms = mantel_haenszel.rate_terms(events[1], years[1], events[0], years[0])
    ratio = mantel_haenszel.rate_ratio(mantel_haenszel.rate_sums(terms))
    return {("irr", "mh_irr"): ratio.value, ("se_log", "mh_irr"): ratio.se}


def prevalence(network):
    table = network.table("sim5")
    frames = network.frames({"dm": table["dm"]}, table["site"])
    (found,) = network.ask(Moments(), MomentsParams(variables=(binary("dm"),)), frames).groups["everyone"]
    if found.mean is None:
        return {}
    people = found.people
    cases = round(found.mean * people)
    wilson, exact = intervals.wilson(cases, people), intervals.clopper_pearson(cases, people)
    told = {
        "x": cases,
        "n": people,
        "p": found.mean,
        "wilson_l": wilson[0],
        "wilson_u": wilson[1],
        "cp_l": exact[0],
        "cp_u": exact[1],
    }
    return {(term, "prev"): value for term, value in told.items()}


def over_sites(network):
    table = network.table("sim5")
    columns = {"exposed": table["trt"], "case": table["y"], "stratum": np.zeros(len(table["y"]))}
    frames = network.frames(columns, table["site"])
    terms = network.ask(HospitalStrata(), HospitalStrataParams(measure=Measure.RISK), frames).terms
    if terms is None:
        return {}
    found = mantel_haenszel.odds_ratio(terms)
    chisq = mantel_haenszel.chi_square(terms, corrected=False)
    told = {"OR": found.value, "lcl": found.low, "ucl": found.high, "chisq": chisq}
    return {(term, "mh"): value for term, value in told.items()}


def trials(network):
    """One frame a trial, with a row a person."""
    table = network.table("bcg")
    numbers = np.stack([table[name] for name in ("tpos", "tneg", "cpos", "cneg")]).astype(int)
    people = numbers.T.ravel()
    columns = {
        "exposed": np.repeat(np.tile([1, 1, 0, 0], len(numbers.T)), people),
        "case": np.repeat(np.tile([1, 0, 1, 0], len(numbers.T)), people),
        "stratum": np.zeros(people.sum()),
        "everyone": np.zeros(people.sum()),
    }
    return network.frames(columns, np.repeat(np.arange(len(numbers.T)), numbers.sum(axis=0)))


def own_tables(network):
    """The tables that trials show of themselves, `by_hospital`."""
    params = TwoByTwoParams(strata=Strata(name="everyone", levels=("all",)))
    statistic, layout = TwoByTwo(), TwoByTwo().layout(params)
    for frame in trials(network):
        released = release_hospital(layout, statistic.local(frame, params, Nothing()), network.rules)
        if isinstance(released, Withheld):
            continue
        cells = len(layout.cells)
        lanes = ring.from_bytes(released.numbers, cells + layout.size)[cells:]
        shown = unpack(released.shown, cells, where="trial")
        total = Released(layout=layout, open=shown, values=Sums.from_ring(layout, lanes).values)
        (table,) = statistic.step(params, Nothing(), total).result.tables
        if table.cells is not None:
            yield table.cells


def pooled(network, between, test):
    a, b, c, d = np.array(list(own_tables(network)), dtype=float).T
    effects = np.log(a / (a + b)) - np.log(c / (c + d))
    variances = 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    found = meta.pool(effects.tolist(), variances.tolist(), between=between, test=test)
    told = {
        "mu": found.mean,
        "se": found.se,
        "lcl": found.low,
        "ucl": found.high,
        "tau2": found.tau2,
        "I2": found.i2,
        "H2": found.h2,
        "Q": found.q,
        "pi_l": np.nan if found.predicted_low is None else found.predicted_low,
        "pi_u": np.nan if found.predicted_high is None else found.predicted_high,
    }
    return {(term, "meta"): value for term, value in told.items()}


def over_trials(network):
    return network.ask(HospitalStrata(), HospitalStrataParams(measure=Measure.RISK), trials(network)).terms


def mantel_haenszel_over_trials(network):
    terms = over_trials(network)
    if terms is None:
        return {}
    found = mantel_haenszel.odds_ratio(terms)
    return {
        ("logOR", "mh"): np.log(found.value),
        ("se", "mh"): found.se,
        ("MH", "mh"): mantel_haenszel.chi_square(terms, corrected=False),
    }


def peto_over_trials(network):
    terms = over_trials(network)
    if terms is None:
        return {}
    found = mantel_haenszel.peto(terms)
    return {("logOR", "peto"): np.log(found.value), ("se", "peto"): found.se}


def detectable(network):
    result = rates(network)
    cells = result.strata["arm"]
    got = {("p.1_e50", "mdrr"): least_detectable_ratio(50, 0.1)}
    if result.overall.outcomes is not None and None not in (cells[1].people, result.overall.people):
        share = cells[1].people / result.overall.people
        got["p.4_e4699", "mdrr"] = least_detectable_ratio(result.overall.outcomes, share)
    return got


META = {
    ("A16", f"rma bcg logRR {between} {name}"): lambda network, b=between, t=test: pooled(network, b, t)
    for between in Between
    for name, test in (("z", RestsOn.Z), ("knha", RestsOn.HKSJ))
    if (between, name) != (Between.FE, "knha")
}
MODELS = {
    ("A11", "incidence rate exact Poisson sim5"): incidence,
    ("A11", "direct standardised rate, Fay-Feuer CI (std=total py)"): standardised,
    ("A11", "SMR (trt1 vs trt0 rates) exact CI"): observed_over_expected,
    ("A11", "rate ratio exact (conditional binomial)"): ratio,
    ("A11", "Mantel-Haenszel rate ratio (Greenland-Robins var)"): ratio_over_strata,
    ("A11", "prevalence dm Wilson & Clopper-Pearson"): prevalence,
    ("A16b", "rma.mh OR bcg"): mantel_haenszel_over_trials,
    ("A16b", "rma.peto OR bcg"): peto_over_trials,
    ("A24", "MH OR trt-y over 5 sites"): over_sites,
    ("A27", "CohortMethod MDRR (Cox) formula"): detectable,
    **META,
}
# With the gate on, trials round their counts or hide them: a meta-analysis of what they show is another one.
COARSENED = list(META)
