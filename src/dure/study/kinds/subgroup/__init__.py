"""Subgroup: whether a treatment's effect on an outcome differs between people.

`spec` what is asked; `kind` its steps and frames; `ratios` what is made of the results.
"""

from dure.study.kinds.subgroup.kind import SubgroupKind
from dure.study.kinds.subgroup.spec import Subgroups

__all__ = ["SubgroupKind", "Subgroups"]
