"""Subsets of cohorts, as OHDSI's CohortGenerator defines them: a definition's nodes, its file, its plain meaning."""

from dure.cohort.subset.definition import SubsetDefinition
from dure.cohort.subset.read import read

__all__ = ["SubsetDefinition", "read"]
