"""Covariates of a cohort."""
