"""Cohorts: Circe JSON to a plan, a plan to SQL, and the referee that every engine must agree with."""

from dure.cohort.circe.nodes import CohortExpression
from dure.cohort.circe.parse import parse
from dure.cohort.plan import CohortPlan, plan

__all__ = ["CohortExpression", "CohortPlan", "parse", "plan"]
