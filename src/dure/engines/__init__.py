"""Databases that can answer a plan."""
