"""Matched sets of infert and the self-controlled case series of itp, over their sites."""

import numpy as np

from dure.stats.conditional import Conditional, ConditionalParams
from dure.stats.conditional_kernel import Ties
from dure.stats.design import binary, continuous


def values(result):
    if result.fit is None:
        return {}
    got = {("logLik", "logLik"): result.fit.log_likelihood}
    for effect in result.fit.effects:
        got[effect.name, "coef"] = effect.estimate
        got[effect.name, "se"] = effect.error
    return got


def infert(network, ties):
    table = network.table("infert")
    names = ("spontaneous", "induced")
    params = ConditionalParams(covariates=tuple(continuous(name, 0, 2) for name in names), ties=ties)
    columns = {name: table[name] for name in names} | {"case": table["case"], "stratum": table["stratum"]}
    return values(network.ask(Conditional(), params, network.frames(columns, table["site"])))


def case_series(network):
    table = network.table("sccs_itp_intervals")
    columns = {f"mmr{level}": table["mmr"] == level for level in (1, 2, 3)}
    columns |= {f"age{level}": table["age"] == level for level in (2, 3, 4, 5, 6)}
    params = ConditionalParams(
        covariates=tuple(binary(name) for name in columns), ties=Ties.BRESLOW, largest_offset=10.0
    )
    columns |= {
        "case": table["event"],
        "stratum": table["indivL"],
        "offset": np.log(table["interval"]),
    }
    frames = network.frames(columns, table["site"], person=table["indivL"])
    return values(network.ask(Conditional(), params, frames))


def effects_only(network):
    return {key: value for key, value in case_series(network).items() if key[1] == "coef"}


MODELS = {
    ("A13", "clogit infert exact"): lambda network: infert(network, Ties.EXACT),
    ("A13", "clogit infert efron"): lambda network: infert(network, Ties.EFRON),
    ("A13", "clogit infert breslow"): lambda network: infert(network, Ties.BRESLOW),
    ("A14", "SCCS itp mmr(0,15,29)+age: clogit on intervals"): case_series,
    ("A14", "SCCS::standardsccs itp (package, default tolerances)"): effects_only,
}
