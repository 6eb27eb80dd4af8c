"""Why a model has no estimate, as a table says it. Not responsible for: when that is so (`dure.stats`)."""

from collections.abc import Iterable

from dure.stats.newton import Trouble

WHY = {
    "small-cells": "Too few people for numbers that the model takes",
    Trouble.COLLINEAR: "Nothing tells its covariates apart",
    Trouble.RUNS_OFF: "It would be infinite",
    Trouble.NOT_CONVERGED: "The model did not settle",
}
ESTIMATED = "yes"


def why_none(trouble: str, suspects: Iterable[str]) -> str:
    """What stands in the way, and of which covariates."""
    about = ", ".join(suspects)
    return f"{WHY[trouble]}: {about}" if about else WHY[trouble]
