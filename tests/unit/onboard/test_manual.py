"""The manual lists every problem of a load with its exit code."""

from pathlib import Path

import pytest

from dure.engines import problems as engines
from dure.onboard import problems as onboard
from dure.wire.problems import Problem

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "cdm.md"
KINDS = [
    kind
    for module in (onboard, engines)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Problem) and kind is not Problem
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slug)
def test_every_problem_is_in_the_manual(kind: type[Problem]) -> None:
    assert f"| {kind.exit_code} | `{kind.slug}` |" in MANUAL.read_text()
    assert kind.exit_code in {*range(10, 19), *range(90, 100), 103, 104, 105, 108, 109, 110}


def test_the_code_for_many_rejected_rows_is_no_problems() -> None:
    assert onboard.MANY_REJECTED not in {kind.exit_code for kind in Problem.register.values()}
    assert f"| {onboard.MANY_REJECTED} | | the load succeeded" in MANUAL.read_text()
