"""Cohorts: Circe JSON to a plan, a plan to SQL, and the referee that every engine must agree with."""

from dure.cohort import sql
from dure.cohort.circe.nodes import CohortExpression
from dure.cohort.circe.parse import parse
from dure.cohort.evaluate import CohortResult, evaluate
from dure.cohort.plan import CohortPlan, plan

__all__ = ["CohortExpression", "CohortPlan", "CohortResult", "evaluate", "parse", "plan", "sql"]
