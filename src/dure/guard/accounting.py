"""Accounting: what noise tells, where every hospital adds a share of it, and how large a share has to be.

Responsible for: the loss of a vector (rho of zero-concentrated differential privacy), the share that keeps it below a given one,
epsilon and delta of a loss. Pure. Not responsible for: how much one person can add (`sensitivity`), which numbers carry noise
(`noise`), drawing it (`dure.node.draw`).

Losses of vectors, exchanges, rounds and studies add up, also where a later question depends on earlier answers (Bun and Steinke
2016, Lemma 2.3). Sources: Kairouz, Liu, Steinke, The distributed discrete Gaussian mechanism for federated learning with secure
aggregation, ICML 2021 (arXiv 2102.06387): Proposition 14, from which its Theorem 1 follows. Canonne, Kamath, Steinke, The
discrete Gaussian for differential privacy, NeurIPS 2020: one share, and the conversion to epsilon and delta, which is OpenDP's.
"""

import math
from functools import cache, lru_cache
from typing import Any

from dure.wire.problems import Problem

LEAST_SCALE = 0.5
"""The bound holds for shares of at least this standard deviation."""
HALVINGS = 80


class NoiseMissing(Problem):
    """Noise is asked for where its library isn't installed."""

    slug, title, status, exit_code = "noise-missing", "This machine cannot add noise", 501, 120


def loss(squares: int, scale: float, shares: int, size: int) -> float:
    """rho of a vector of integers to which `shares` hospitals each add a discrete Gaussian share; more noise does no harm.

    Args:
        squares: the square of the largest Euclidean distance that one person makes.
        scale: the parameter sigma of one share, at least 0.5.
        shares: how many shares there are for certain.
        size: numbers in the vector.
    """
    variance = shares * scale * scale
    exponent = 2 * math.pi**2 * scale * scale
    tau = 10 * math.fsum(math.exp(-exponent * k / (k + 1)) for k in range(1, shares))
    away = math.sqrt(squares / variance)
    # D_alpha <= alpha/2 away^2 + tau size, and D_alpha <= alpha/2 (away + tau sqrt(size))^2, for every alpha >= 1.
    found = min(away * away / 2 + tau * size, (away + tau * math.sqrt(size)) ** 2 / 2)
    return found * (1 + 1e-12)


def least_scale(squares: int, rho: float, shares: int, size: int) -> float:
    """The smallest share by which the loss is no more than rho, or a little larger, never smaller."""
    enough = max(LEAST_SCALE, math.sqrt(squares / (2 * rho * shares)))
    while loss(squares, enough, shares, size) > rho:
        enough *= 2
    low = enough / 2
    for _ in range(HALVINGS):
        middle = (low + enough) / 2
        if middle >= LEAST_SCALE and loss(squares, middle, shares, size) <= rho:
            enough = middle
        else:
            low = middle
    return enough


@cache
def opendp() -> Any:
    """OpenDP, with the parts of it that are used here. Raises NoiseMissing."""
    try:
        import opendp as library
        from opendp import combinators, domains, measurements, metrics, mod  # noqa: F401 - the prelude takes seconds
    except ModuleNotFoundError as error:
        raise NoiseMissing(
            "The library opendp is not installed.",
            where="noise",
            mend="Install Dure with its extra: pip install 'dure[noise]'.",
        ) from error
    mod.enable_features("contrib")
    return library


@lru_cache(maxsize=1024)
def epsilon_of(rho: float, delta: float) -> float:
    """The epsilon that a loss amounts to, at a delta. Raises NoiseMissing."""
    if rho <= 0:
        return 0.0
    dp = opendp()
    # A Gaussian of scale 1 has the loss rho where one person makes a difference of sqrt(2 rho).
    people, away = dp.domains.atom_domain(T=float, nan=False), dp.metrics.absolute_distance(T=float)
    one = dp.measurements.make_gaussian(people, away, 1.0)
    return float(dp.combinators.make_zCDP_to_approxDP(one).map(math.sqrt(2 * rho)).epsilon(delta))


@lru_cache(maxsize=256)
def rho_of(epsilon: float, delta: float) -> float:
    """The largest loss that is no more than (epsilon, delta), or a little less, never more. Raises NoiseMissing."""
    low, high = 0.0, 1.0
    while epsilon_of(high, delta) <= epsilon:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if epsilon_of(middle, delta) <= epsilon:
            low = middle
        else:
            high = middle
    return low
