"""`dure cohort subset`: some of the stays of cohorts that were run, as CohortGenerator's subset definitions say."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dure.cohort.subset import read
from dure.engines import open_engine, subsets
from dure.engines.cohort_file import read as read_cohorts
from dure.engines.cohort_file import write
from dure.engines.cohorts import CohortTable


def subset(
    definition: Annotated[
        Path,
        typer.Argument(help="The subset definition (CohortGenerator's JSON).", exists=True, dir_okay=False),
    ],
    rows: Annotated[
        Path, typer.Option(help="Cohorts that `dure cohort run` wrote.", exists=True, dir_okay=False)
    ],
    target: Annotated[str, typer.Option(help="The cohort_id of which to make a subset.")],
    cdm: Annotated[str, typer.Option(help="The database that the cohorts were run on.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
) -> None:
    """Write which stays of a cohort are in a subset; cohort_id is the target's, a hyphen, the definition's."""
    wanted, cohorts = read(definition.read_bytes()), read_cohorts(rows)
    if target not in cohorts:
        raise typer.BadParameter(f"{rows} has no cohort {target}", param_hint="--target")
    by_id = {int(name): table for name, table in cohorts.items() if name.isdecimal()}
    with open_engine(cdm) as engine:
        found = subsets.subset(engine, wanted, cohorts[target], by_id)
    kept = CohortTable(rows=found, qualified=None, rules=())
    count = write(out, [(f"{target}-{wanted.id}", kept)])
    Console().print(f"{count} of {cohorts[target].num_rows} rows in {out}")
