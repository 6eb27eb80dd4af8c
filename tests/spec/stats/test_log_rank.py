"""The log-rank test on a textbook's table, and that hospitals are compared within themselves."""

import numpy as np
import pytest

from dure.stats.base import Frame
from dure.stats.log_rank import LogRank, LogRankParams, of_table
from dure.stats.risk_table import RiskTable, RiskTableParams
from dure.stats.strata import Strata
from dure.stats.survival_curves import AtRisk

ARM = Strata(name="arm", levels=("6-MP", "placebo"))
# Freireich's trial (Gehan 1965): weeks to relapse; negative are censored.
NEW = [6, 6, 6, 7, 10, 13, 16, 22, 23, -6, -9, -10, -11, -17, -19, -20, -25, -32, -32, -34, -35]
OLD = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def frame(new=NEW, old=OLD):
    weeks = np.array([*new, *old])
    columns = {
        "time": np.abs(weeks),
        "event": (weeks > 0).astype(int),
        "arm": np.repeat([0, 1], [len(new), len(old)]),
    }
    return Frame(person=np.arange(len(weeks)), columns=columns)


def test_the_textbook_test(ask):
    found, rounds = ask(LogRank(), LogRankParams(groups=ARM), [frame()], 5)
    assert rounds == 1
    assert found.observed == (9, 21)
    assert found.expected == pytest.approx((19.25, 10.75), abs=5e-3)
    assert found.chi_square == pytest.approx(16.79, abs=5e-3)
    assert found.freedom == 1
    assert found.p_value == pytest.approx(4.17e-5, rel=1e-2)


def test_the_same_of_a_table(ask):
    table, _ = ask(RiskTable(), RiskTableParams(edges=tuple(range(36)), breakdowns=(ARM,)), [frame()])
    groups = tuple(AtRisk.of(table.edges, table.groups[f"arm/{level}"]) for level in ARM.levels)
    for rho in (0, 1):
        alone, _ = ask(LogRank(), LogRankParams(groups=ARM, rho=rho), [frame()])
        assert of_table([groups], rho).chi_square == pytest.approx(alone.chi_square, rel=1e-12)


def test_each_hospital_compares_its_own(ask):
    """A hospital of one arm says nothing of the other; two that disagree cancel."""
    params = LogRankParams(groups=ARM)
    one_armed, _ = ask(LogRank(), params, [frame(old=[]), frame(new=[])])
    assert one_armed.chi_square == 0
    swapped, _ = ask(LogRank(), params, [frame(), frame(OLD, NEW)])
    assert swapped.chi_square == pytest.approx(0, abs=1e-9)


def test_what_rests_on_a_few_is_not_told(ask):
    found, _ = ask(LogRank(), LogRankParams(groups=ARM), [frame()], 11)
    assert found.chi_square is None
    assert found.observed is None
