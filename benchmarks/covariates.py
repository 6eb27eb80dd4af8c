"""How long covariates and their counts take: `python -m benchmarks.covariates [PERSONS ...]`, by default 100,000 synthetic people.

Everybody at the start of observation plus all analyses of OHDSI's FeatureExtraction that Dure makes: which covariates there are, then
their matrix, then what `characterise` counts of it, then what its gate hides. Windows reach 3,650 days after the start, so that most
records count.
"""

import json
import resource
import sys
import time

import numpy as np

from benchmarks.cohort import MEMORY, hospital
from benchmarks.record import record
from dure.cohort import parse, plan
from dure.engines import open_engine
from dure.features.analyses import Windows, analyses, analysis_of
from dure.features.covariates import entered, held, matrix
from dure.features.table_one import nested, partitions
from dure.guard.suppression import open_cells
from dure.stats.base import Frame, Nothing
from dure.stats.characteristics import Characteristics, CharacteristicsParams

EVERYBODY = {
    "PrimaryCriteria": {
        "CriteriaList": [{"ObservationPeriod": {}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    }
}
WINDOWS = Windows(long=-365, medium=-180, short=-30, end=3650)


def measure(persons: int) -> dict:
    planned = plan(parse(json.dumps(EVERYBODY)), cdm_version="5.4")
    figure: dict = {"persons": persons}
    statistic = Characteristics()

    def took(name: str, begun: float) -> None:
        figure[name] = round(time.perf_counter() - begun, 2)

    with (
        open_engine(str(hospital(persons)), memory=MEMORY) as engine,
        entered(engine, [planned]) as (entries,),
    ):
        begun = time.perf_counter()
        ids = sorted(held(engine, entries, analyses(), WINDOWS))
        took("listing_s", begun)
        begun = time.perf_counter()
        found = matrix(engine, entries, ids, WINDOWS)
        took("matrix_s", begun)
    figure |= {"covariates": len(ids), "entries": int(found.nnz)}
    params = CharacteristicsParams(
        groups=("everybody",),
        covariates=tuple(map(str, ids)),
        measured={at: 1e9 for at, each in enumerate(ids) if not analysis_of(each).binary},
        partitions=partitions(ids),
        nested=nested(ids, WINDOWS),
    )
    frame = Frame(
        person=entries.person,
        columns={"group": np.zeros(len(entries.person), dtype=np.int64)},
        matrices={"covariates": found},
    )
    begun = time.perf_counter()
    answer = statistic.local(frame, params, Nothing())
    took("counting_s", begun)
    begun = time.perf_counter()
    shown = open_cells(answer.sums.layout, answer.support, 11)
    took("gate_s", begun)
    figure["cells"] = len(shown)
    figure["peak_rss_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return figure


if __name__ == "__main__":
    record("covariates", [measure(int(persons)) for persons in sys.argv[1:] or ["100000"]])
