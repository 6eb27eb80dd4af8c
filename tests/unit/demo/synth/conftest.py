"""One synthetic hospital for all tests of the folder, and a small Cox model to ask it for its truths."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from dure.demo.synth import generate, truth_path

PERSONS = 50_000


@dataclass(frozen=True, kw_only=True)
class Made:
    """A synthetic hospital: its file, a read-only connection, its truth document."""

    path: Path
    db: duckdb.DuckDBPyConnection
    truth: dict[str, Any]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    path = tmp_path_factory.mktemp("synth") / "general.duckdb"
    generate(persons=PERSONS, seed=20, hospital=2, path=path)
    with duckdb.connect(str(path), read_only=True) as db:
        yield Made(path=path, db=db, truth=json.loads(truth_path(path).read_text(encoding="utf-8")))


def cox(time: np.ndarray, event: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Breslow's Cox model by Newton's method: coefficients and standard errors."""
    order = np.argsort(-time, kind="stable")
    time, event, x = time[order], event[order].astype(bool), x[order].astype(float)
    last = np.searchsorted(-time, -time[event], side="right") - 1
    beta = np.zeros(x.shape[1])
    for _ in range(30):
        weight = np.exp(x @ beta)
        s0 = np.cumsum(weight)[last]
        s1 = np.cumsum(weight[:, None] * x, axis=0)[last]
        s2 = np.cumsum(weight[:, None, None] * x[:, :, None] * x[:, None, :], axis=0)[last]
        mean = s1 / s0[:, None]
        score = (x[event] - mean).sum(0)
        information = (s2 / s0[:, None, None] - mean[:, :, None] * mean[:, None, :]).sum(0)
        step = np.linalg.solve(information, score)
        beta += step
        if np.abs(step).max() < 1e-8:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
    raise AssertionError("Newton's method didn't converge")


@pytest.fixture(scope="session")
def fit_cox() -> Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    return cox
