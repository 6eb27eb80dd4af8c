"""Survival: how long until an outcome, in one cohort or several, with or without an event that competes with it.

`spec` what is asked; `kind` its steps and frames; `tables` what is made of the results.
"""

from dure.study.kinds.survival.kind import SurvivalKind
from dure.study.kinds.survival.spec import Survival

__all__ = ["Survival", "SurvivalKind"]
