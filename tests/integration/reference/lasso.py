"""LASSO of the reference: lasso3, 400 sparse covariates over its sites."""

import numpy as np
from scipy.sparse import csr_array

from dure.stats.base import Frame
from dure.stats.design import binary
from dure.stats.families import Family
from dure.stats.lasso import Lasso, LassoParams

PENALTIES = (0.03, 0.02, 0.01, 0.004)


def lasso(network, penalty):
    y, triplets = network.table("lasso3_y"), network.table("lasso3_x_triplets")
    rows, columns = triplets["row"].astype(int) - 1, triplets["col"].astype(int) - 1
    x = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(y["y"]), 400))
    frames = []
    for site in np.unique(y["site"]):
        here = np.flatnonzero(y["site"] == site)
        frames.append(
            Frame(
                person=np.arange(len(here)),
                columns={"outcome": y["y"][here]},
                matrices={"covariates": csr_array(x[here])},
            )
        )
    params = LassoParams(
        family=Family.BINOMIAL,
        covariates=tuple(binary(f"x{j + 1}") for j in range(400)),
        penalties=tuple(p for p in PENALTIES if p >= penalty),
    )
    result = network.ask(Lasso(), params, frames)
    assert result.trouble is None
    solution = result.path[-1]
    got = {(c.name, "coef"): 0.0 for c in params.covariates if c.name not in result.left_out}
    got |= {(name, "coef"): value for name, value in solution.coefficients.items()}
    got["(Intercept)", "coef"] = solution.intercept
    return got


MODELS = {
    ("A15b", f"glmnet LASSO logistic lasso3 lambda={penalty} standardize=F"): (
        lambda network, penalty=penalty: lasso(network, penalty)
    )
    for penalty in (0.01, 0.004)
}
