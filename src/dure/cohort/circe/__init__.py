"""Circe, the cohort language of OHDSI's ATLAS: its JSON, its tables, its typed form."""
