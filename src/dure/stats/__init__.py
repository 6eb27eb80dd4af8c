"""Statistics made of sums, one file each. `ALL` is the register."""

from typing import Any

from dure.stats.balance import Balance
from dure.stats.base import Statistic
from dure.stats.characteristics import Characteristics
from dure.stats.conditional import Conditional
from dure.stats.counts import Counts
from dure.stats.covariance import Covariance
from dure.stats.cox import Cox
from dure.stats.cox_lasso import CoxLasso
from dure.stats.cox_one_baseline import CoxOneBaseline
from dure.stats.fine_gray import FineGray
from dure.stats.glm import Glm
from dure.stats.hospital_strata import HospitalStrata
from dure.stats.lasso import Lasso
from dure.stats.log_rank import LogRank
from dure.stats.mixed_model import MixedModel
from dure.stats.moments import Moments
from dure.stats.pathways import Pathways
from dure.stats.profile import Profile
from dure.stats.quantiles import Quantiles
from dure.stats.rates import Rates
from dure.stats.risk_table import RiskTable
from dure.stats.score_table import ScoreTable
from dure.stats.two_by_two import TwoByTwo
from dure.stats.weighted_rates import WeightedRates

ALL: dict[str, Statistic[Any, Any, Any]] = {
    Balance.name: Balance(),
    Characteristics.name: Characteristics(),
    Conditional.name: Conditional(),
    Counts.name: Counts(),
    Covariance.name: Covariance(),
    Cox.name: Cox(),
    CoxLasso.name: CoxLasso(),
    CoxOneBaseline.name: CoxOneBaseline(),
    FineGray.name: FineGray(),
    Glm.name: Glm(),
    HospitalStrata.name: HospitalStrata(),
    Lasso.name: Lasso(),
    LogRank.name: LogRank(),
    MixedModel.name: MixedModel(),
    Moments.name: Moments(),
    Pathways.name: Pathways(),
    Profile.name: Profile(),
    Quantiles.name: Quantiles(),
    Rates.name: Rates(),
    ScoreTable.name: ScoreTable(),
    TwoByTwo.name: TwoByTwo(),
    RiskTable.name: RiskTable(),
    WeightedRates.name: WeightedRates(),
}
