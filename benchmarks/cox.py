"""Cox's model of a million people beside its peers: `python -m benchmarks.cox PEERS [PEOPLE]`.

PEERS is a Python with lifelines, statsmodels and scikit-survival (`python -m venv peers; peers/bin/pip install lifelines statsmodels
scikit-survival`); without it only ours runs. Ours is whole: five hospitals, each round's sums through the ring, the hub's step.
Peers fit the same people pooled. Each runs in a process of its own, on one thread, as a node's calculator does; figures are processor seconds of the fit, and the peak memory
of the process beside what it had with the data alone.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import reduce
from pathlib import Path

PEOPLE, COVARIATES, HOSPITALS = 1_000_000, 20, 5
NAMES = [f"x{index}" for index in range(COVARIATES)]


def make(path: Path, people: int) -> None:
    """Half of the covariates 0/1, half quantities; days to an event, to the end of ten years, or to leaving."""
    import numpy as np

    rng = np.random.default_rng(20)
    x = rng.normal(size=(people, COVARIATES))
    x[:, ::2] = x[:, ::2] > 0.5
    hospital = rng.integers(0, HOSPITALS, people)
    effect = rng.normal(scale=0.2, size=COVARIATES)
    due = rng.exponential(6000 * np.exp(-x @ effect - 0.1 * hospital))
    leaves = np.minimum(rng.exponential(4000, people), 3650)
    np.savez(
        path,
        x=x,
        hospital=hospital,
        time=np.maximum(np.ceil(np.minimum(due, leaves)), 1).astype(np.int64),
        event=due <= leaves,
    )


def dure(data):
    import numpy as np

    from dure.stats.base import Again, Frame, Released
    from dure.stats.cox import Cox
    from dure.stats.cox_model import CoxParams
    from dure.stats.design import binary, continuous
    from dure.wire import ring
    from dure.wire.sums import Sums

    covariates = tuple(
        continuous(name, -6, 6) if index % 2 else binary(name) for index, name in enumerate(NAMES)
    )
    params, statistic, frames = CoxParams(covariates=covariates), Cox(), []
    for place in range(HOSPITALS):
        here = np.flatnonzero(data["hospital"] == place)
        columns = {name: data["x"][here, index] for index, name in enumerate(NAMES)}
        columns |= {"time": data["time"][here], "event": data["event"][here].astype(np.int64)}
        frames.append(Frame(person=here, columns=columns))
    del data

    def fit():
        state, layout = statistic.begin(params), statistic.layout(params)
        while True:
            lanes = [statistic.local(frame, params, state).sums.to_ring() for frame in frames]
            sums = Sums.from_ring(layout, reduce(ring.add, lanes))
            shown = np.ones(len(layout.cells), dtype=bool)
            outcome = statistic.step(params, state, Released(layout=layout, open=shown, values=sums.values))
            if not isinstance(outcome, Again):
                return [row.estimate for row in outcome.result.fit.coefficients]
            state = outcome.state

    return fit


def lifelines(data, *, stratified=True):
    import pandas as pd
    from lifelines import CoxPHFitter

    frame = pd.DataFrame(data["x"], columns=NAMES)
    frame["time"], frame["event"] = data["time"], data["event"]
    if stratified:
        frame["hospital"] = data["hospital"]

    def fit():
        strata = ["hospital"] if stratified else None
        return CoxPHFitter().fit(frame, "time", "event", strata=strata).params_.tolist()

    return fit


def statsmodels(data):
    from statsmodels.duration.hazard_regression import PHReg

    model = PHReg(data["time"], data["x"], status=data["event"], strata=data["hospital"], ties="efron")

    def fit():
        return model.fit(disp=0).params.tolist()

    return fit


def scikit_survival(data):
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    y = Surv.from_arrays(data["event"], data["time"])

    def fit():
        return CoxPHSurvivalAnalysis(ties="efron").fit(data["x"], y).coef_.tolist()

    return fit


FITS = {
    "dure, 5 hospitals, stratified": dure,
    "lifelines, stratified": lifelines,
    "lifelines, one baseline": lambda data: lifelines(data, stratified=False),
    "statsmodels, stratified": statsmodels,
    "scikit-survival, one baseline": scikit_survival,
}


def child(name: str, path: str) -> None:
    """Fit once and print what it took."""
    import numpy as np

    with np.load(path) as file:
        data = dict(file)
    fit = FITS[name](data)
    before, begun = peak(), time.process_time()
    estimates = fit()
    taken = time.process_time() - begun
    print(json.dumps({"cpu_s": round(taken, 2), "peak_mib": peak(), "before_mib": before, "x": estimates}))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(peers: str | None, people: int) -> list[dict]:
    figures, ours = [], None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cox.npz"
        make(path, people)
        for name in FITS:
            python = sys.executable if name.startswith("dure") else peers
            if python is None:
                continue
            told = subprocess.run(
                [python, "-m", "benchmarks.cox", "--child", name, str(path)],
                check=True,
                stdout=subprocess.PIPE,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
                text=True,
            ).stdout
            found = json.loads(told.splitlines()[-1])
            estimates = found.pop("x")
            ours = ours or (found["cpu_s"], estimates)
            figures.append(
                {
                    "people": people,
                    "covariates": COVARIATES,
                    "fit": name,
                    **found,
                    "ours_to_its_time": round(ours[0] / found["cpu_s"], 2),
                    "furthest_estimate": f"{max(abs(a - b) for a, b in zip(ours[1], estimates, strict=True)):.1e}",
                }
            )
    return figures


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4])
    else:
        from benchmarks.record import record

        python = sys.argv[1] if len(sys.argv) > 1 else None
        record("cox", measure(python, int(sys.argv[2]) if len(sys.argv) > 2 else PEOPLE))
