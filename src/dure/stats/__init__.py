"""Statistics made of sums, one file each. `ALL` is the register."""

from typing import Any

from dure.stats.base import Statistic
from dure.stats.counts import Counts
from dure.stats.quantiles import Quantiles
from dure.stats.rates import Rates

ALL: dict[str, Statistic[Any, Any, Any]] = {
    Counts.name: Counts(),
    Quantiles.name: Quantiles(),
    Rates.name: Rates(),
}
