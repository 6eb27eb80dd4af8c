"""Regressions over five hospitals beside the field's tools on everybody: `python -m benchmarks.glm [--peers PYTHON] [--small]`.

Logistic regression of 1,000,000 people on 20 covariates; LASSO logistic of 100,000 people on 10,000 sparse 0/1 covariates, at one penalty.
Every fit has a process of its own, one thread, and reads the same arrays; seconds are of the fit alone, processor time, the best of three
processes. Ours is the whole of it: every hospital's sums, the ring, the gate's judgement and the hub's steps, one after the other;
nothing is kept from an earlier fit. The layout, which follows from the study before any data are seen, is timed by itself
(`layout_seconds`). Peers live in an environment of their own, `.venv-peers`, made from requirements/peers.txt where there is none.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
HOSPITALS = 5
LAYOUT_SECONDS: list[float] = []
PENALTY = 0.0003
NEAR = 1e-7
"""How near to its minimum ours is fitted, in derivatives per person; peers' tolerance is 1e-6 of the same."""
SIZES = {
    False: {"logistic": (1_000_000, 20), "lasso": (100_000, 10_000)},
    True: {"logistic": (50_000, 20), "lasso": (5_000, 500)},
}
PEERS = {"logistic": ("glum", "statsmodels", "scikit-learn"), "lasso": ("liblinear", "skglm")}


def make(kind: str, people: int, columns: int, folder: Path) -> None:
    """Arrays on disk: half of the dense covariates are 0/1; sparse ones are held by 0.05 to 1 percent of the people."""
    rng = np.random.default_rng(1)
    if kind == "logistic":
        x = rng.normal(size=(people, columns))
        x[:, ::2] = rng.random((people, columns // 2)) < rng.uniform(0.05, 0.5, columns // 2)
        eta = x @ rng.normal(0, 0.3, columns) - 2
        np.save(folder / "x.npy", x)
    else:
        from scipy.sparse import csr_array, save_npz

        share = np.exp(rng.uniform(np.log(0.0005), np.log(0.01), columns))
        counts = rng.binomial(people, share)
        rows = np.concatenate([rng.choice(people, count, replace=False) for count in counts]).astype(np.int32)
        x = csr_array(
            (np.ones(len(rows)), (rows, np.repeat(np.arange(columns, dtype=np.int32), counts))),
            shape=(people, columns),
        )
        beta = np.zeros(columns)
        beta[rng.choice(columns, 50, replace=False)] = rng.normal(0, 1, 50)
        eta = x @ beta - 1
        save_npz(folder / "x.npz", x)
    np.save(folder / "y.npy", (rng.random(people) < 1 / (1 + np.exp(-eta))).astype(float))


def load(kind: str, folder: Path) -> tuple[Any, Any]:
    """What `make` wrote."""
    if kind == "logistic":
        return np.load(folder / "x.npy"), np.load(folder / "y.npy")
    from scipy.sparse import load_npz

    return load_npz(folder / "x.npz"), np.load(folder / "y.npy")


def ours(kind: str, x: Any, y: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """A fit over hospitals, through the gate with k = 11; and what there is to say of its result."""
    from dure.stats.base import Frame
    from dure.stats.design import binary, continuous
    from dure.stats.families import Family
    from dure.stats.glm import Glm
    from dure.stats.glm_model import GlmParams
    from dure.stats.lasso import Lasso, LassoParams

    edges = np.linspace(0, len(y), HOSPITALS + 1).astype(int)
    hospitals = [slice(a, b) for a, b in pairwise(edges)]
    p = x.shape[1]
    if kind == "logistic":
        covariates = tuple(binary(f"x{j}") if j % 2 == 0 else continuous(f"x{j}", -8, 8) for j in range(p))
        stored = np.ascontiguousarray(x.T)
        frames = [
            Frame(
                person=np.arange(rows.stop - rows.start),
                columns={"outcome": y[rows], **{f"x{j}": stored[j, rows] for j in range(p)}},
            )
            for rows in hospitals
        ]
        params: Any = GlmParams(family=Family.BINOMIAL, covariates=covariates)

        def told(result: Any) -> dict[str, Any]:
            return {"rounds": len(result.path), "log_likelihood": result.fit.log_likelihood}

        return planned(Glm(), params, frames), told
    from scipy.sparse import csr_array

    whole = csr_array(x)
    frames = [
        Frame(
            person=np.arange(rows.stop - rows.start),
            columns={"outcome": y[rows]},
            matrices={"covariates": csr_array(whole[rows])},
        )
        for rows in hospitals
    ]
    params = LassoParams(
        family=Family.BINOMIAL,
        covariates=tuple(binary(f"x{j}") for j in range(p)),
        penalties=(PENALTY,),
        near=NEAR,
    )

    def told_of_path(result: Any) -> dict[str, Any]:
        last = result.path[-1]
        norm = sum(abs(value) for value in last.coefficients.values())
        return {
            "rounds": result.rounds,
            "in_use": len(last.coefficients),
            "left_out": len(result.left_out),
            "objective": -last.log_likelihood / len(y) + PENALTY * norm,
        }

    return planned(Lasso(), params, frames), told_of_path


def planned(statistic: Any, params: Any, frames: list[Any]) -> Callable[[], Any]:
    """What a run does, without sending, with the layout made: support, judgement, values, step."""
    from dure.guard.gate import judge_total, judge_values, release_support, release_values
    from dure.stats.base import Done, Released
    from dure.wire import ring
    from dure.wire.rules import Rules
    from dure.wire.sums import Sums

    start = time.process_time()
    layout = statistic.layout(params)
    # What every part of a run reads off a layout.
    layout.digest, layout.relation_arrays, layout.rests_on  # noqa: B018
    LAYOUT_SECONDS.append(time.process_time() - start)

    def added(parts: list[Any], size: int) -> Any:
        return reduce(ring.add, (ring.from_bytes(part.numbers, size) for part in parts))

    def fit() -> Any:
        state = statistic.begin(params)
        while True:
            statistic.judge(params, state)
            answers = [statistic.local(frame, params, state) for frame in frames]
            support = ring.integers(added([release_support(layout, a) for a in answers], len(layout.cells)))
            is_open: Any = judge_total(layout, support, Rules(), hospitals=len(frames))
            lanes = added([release_values(layout, a, is_open) for a in answers], layout.size)
            sums = Sums.from_ring(layout, lanes)
            assert judge_values(sums, support) is None
            outcome = statistic.step(params, state, Released(layout=layout, open=is_open, values=sums.values))
            if isinstance(outcome, Done):
                return outcome.result
            state = outcome.state

    return fit


def theirs(peer: str, x: Any, y: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """A peer's fit of everybody's rows, unpenalised or at the one penalty; and what there is to say of its result."""
    if peer == "glum":
        from glum import GeneralizedLinearRegressor

        model = GeneralizedLinearRegressor(family="binomial", alpha=0, gradient_tol=1e-8)
        return lambda: model.fit(x, y), lambda _: {}
    if peer == "statsmodels":
        import statsmodels.api as sm

        design = sm.add_constant(x)
        fit = sm.GLM(y, design, family=sm.families.Binomial())
        return lambda: fit.fit(tol=1e-10), lambda result: {"log_likelihood": float(result.llf)}
    if peer == "scikit-learn":
        from sklearn.linear_model import LogisticRegression

        logistic = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
        return lambda: logistic.fit(x, y), lambda _: {}

    def objective(coefficients: Any, intercept: float) -> dict[str, Any]:
        eta = x @ coefficients + intercept
        value = float(np.mean(np.logaddexp(0, eta) - y * eta) + PENALTY * np.abs(coefficients).sum())
        return {"in_use": int((coefficients != 0).sum()), "objective": value}

    if peer == "liblinear":
        from scipy.sparse import csr_matrix
        from sklearn.linear_model import LogisticRegression

        lasso = LogisticRegression(
            l1_ratio=1, C=1 / (PENALTY * len(y)), solver="liblinear", tol=1e-6, intercept_scaling=100
        )
        return lambda: lasso.fit(csr_matrix(x), y), lambda _: objective(lasso.coef_[0], lasso.intercept_[0])
    from scipy.sparse import csc_matrix
    from skglm import SparseLogisticRegression

    sparse = SparseLogisticRegression(alpha=PENALTY, tol=1e-6)
    warm = csc_matrix(x[:2000])
    SparseLogisticRegression(alpha=PENALTY, tol=1e-2).fit(warm, y[:2000])  # compiles
    return lambda: sparse.fit(csc_matrix(x), y), lambda _: objective(
        sparse.coef_.ravel(), float(np.ravel(sparse.intercept_)[0])
    )


def measure(kind: str, who: str, folder: Path) -> None:
    """Fit in this process, and print what it took as one line of JSON."""
    x, y = load(kind, folder)
    fit, told = ours(kind, x, y) if who == "dure" else theirs(who, x, y)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, wall = time.process_time(), time.perf_counter()
    result = fit()
    seconds, walls = time.process_time() - start, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "cpu_seconds": round(seconds, 3),
                "wall_seconds": round(walls, 3),
                "peak_mib": round(peak / 1024),
                "fit_adds_mib": round((peak - before) / 1024),
                **told(result),
                **({"layout_seconds": round(LAYOUT_SECONDS[0], 2)} if LAYOUT_SECONDS else {}),
            }
        )
    )


def peers_python(given: str | None) -> str:
    """The interpreter that has the peers."""
    if given:
        return given
    folder = ROOT / ".venv-peers"
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "-r", str(ROOT / "requirements" / "peers.txt")], check=True)
    return str(folder / "bin" / "python")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", help="a Python that has requirements/peers.txt")
    parser.add_argument("--small", action="store_true", help="small tables, to try it out")
    parser.add_argument("--measure", nargs=3, metavar=("KIND", "WHO", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        kind, who, folder = asked.measure
        measure(kind, who, Path(folder))
        return
    from benchmarks.record import record

    peers = peers_python(asked.peers)
    one_thread = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    )
    environment = {**os.environ, **one_thread}
    figures: list[dict[str, Any]] = []
    for kind, (people, columns) in SIZES[asked.small].items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(kind, people, columns, folder)
            rows = []
            for who in ("dure", *PEERS[kind]):
                python = sys.executable if who == "dure" else peers
                command = [python, __file__, "--measure", kind, who, str(folder)]
                fits = [
                    subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                    for _ in range(3)
                ]
                told = min(
                    (json.loads(fit.stdout.splitlines()[-1]) for fit in fits),
                    key=lambda fit: fit["cpu_seconds"],
                )
                rows.append({"model": kind, "people": people, "covariates": columns, "who": who} | told)
            best = min(row["cpu_seconds"] for row in rows if row["who"] != "dure")
            figures += [{**row, "ratio_to_best_peer": round(row["cpu_seconds"] / best, 2)} for row in rows]
    if asked.small:
        for figure in figures:
            print("  ".join(f"{key}={value}" for key, value in figure.items()))
    else:
        record("glm", figures)


if __name__ == "__main__":
    main()
