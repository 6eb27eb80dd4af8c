"""Cohorts: Circe JSON to a plan, a plan to SQL, and the referee that every engine must agree with."""
