"""`dure cdm`: bring a hospital's CDM in, and cut one into several for a trial."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dure.onboard.account import Account
from dure.onboard.load import MOST_REJECTED
from dure.onboard.load import load as load_cdm
from dure.onboard.problems import MANY_REJECTED
from dure.onboard.split import split as split_cdm
from dure.onboard.stamp import stamp as stamp_cdm

app = typer.Typer(help="Bring a hospital's OMOP CDM in.", no_args_is_help=True)


@app.command()
def load(
    source: Annotated[
        Path, typer.Argument(help="Folder or zip of CSV, CSV.gz or Parquet files, one per table.")
    ],
    out: Annotated[Path, typer.Option(help="The DuckDB file to make.")],
    cdm_version: Annotated[str | None, typer.Option(help="5.3 or 5.4; found out if not given.")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where rejected rows go, .csv or .parquet; beside --out if not given.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace the files that are there.")] = False,
    strict: Annotated[bool, typer.Option(help="Make no database if too many rows are rejected.")] = False,
    most_rejected: Annotated[
        float, typer.Option(min=0, max=1, help="The share of a table's rows that may be rejected.")
    ] = MOST_REJECTED,
    memory: Annotated[str, typer.Option(help="The most memory for the database.")] = "2GB",
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use; all if not given.")] = None,
) -> None:
    """Load a CDM and account for every row: read = loaded + rejected, table by table."""
    console = Console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("reading", total=None)
        account = load_cdm(
            source,
            out,
            cdm_version=cdm_version,
            rejects=rejects,
            force=force,
            strict=strict,
            most_rejected=most_rejected,
            memory=memory,
            threads=threads,
            progress=lambda at: bar.update(task, description=at.table, completed=at.done, total=at.total),
        )
    _show(console, account, out)
    if account.worst().share_rejected > most_rejected:
        raise typer.Exit(MANY_REJECTED)


@app.command()
def split(
    source: Annotated[Path, typer.Argument(help="A database made by `dure cdm load` or `dure synth`.")],
    parts: Annotated[int, typer.Option(min=2, help="How many hospitals to make.")],
    out_dir: Annotated[Path, typer.Option(help="Folder for hospital-1.duckdb, hospital-2.duckdb, …")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same split.")] = 0,
    force: Annotated[bool, typer.Option(help="Replace the files that are there.")] = False,
) -> None:
    """Split a CDM at random by person, as if it were several hospitals; the vocabulary goes to each."""
    result = split_cdm(source, parts=parts, seed=seed, out_dir=out_dir, force=force)
    console = Console()
    for path, dataset in result.parts:
        console.print(f"{path}  {dataset.persons:,} persons  version {dataset.version}", soft_wrap=True)
    for note in result.notes:
        console.print(note, soft_wrap=True)


@app.command()
def stamp(
    location: Annotated[
        str,
        typer.Argument(
            help="postgresql://loader@host/database?schema=cdm, with the account that loads the CDM."
        ),
    ],
    cdm_version: Annotated[str | None, typer.Option(help="5.3 or 5.4; found out if not given.")] = None,
) -> None:
    """After each load of a CDM on a server: read it once, and write beside it which version it is."""
    console = Console()
    dataset, notes = stamp_cdm(
        location,
        cdm_version=cdm_version,
        progress=lambda table, rows: console.print(f"{table:<24} {rows:>15,}", highlight=False),
    )
    for note in notes:
        console.print(note, soft_wrap=True, markup=False)
    console.print(
        f"{dataset.source}: CDM {dataset.cdm_version}, {dataset.persons:,} persons, {dataset.first_date} to "
        f"{dataset.last_date}, version {dataset.version}",
        soft_wrap=True,
        markup=False,
    )


def _show(console: Console, account: Account, out: Path) -> None:
    table = Table("table", "read", "loaded", "rejected")
    for column in table.columns[1:]:
        column.justify = "right"
    for line in account.tables:
        table.add_row(line.table, f"{line.read:,}", f"{line.loaded:,}", f"{line.rejected:,}")
    table.add_section()
    table.add_row("all", f"{account.read:,}", f"{account.loaded:,}", f"{account.rejected:,}")
    console.print(table)
    for line in account.tables:
        for note in line.notes:
            console.print(f"{line.table}: {note}", soft_wrap=True, markup=False)
    for name, why in account.ignored.items():
        console.print(f"ignored {name}: {why}", soft_wrap=True, markup=False)
    for note in account.notes:
        console.print(note, soft_wrap=True, markup=False)
    if account.rejects is not None:
        console.print(
            f"rejected rows are in {account.rejects}; they may hold patients' values and stay in the hospital",
            soft_wrap=True,
            markup=False,
        )
    dataset = account.dataset
    console.print(
        f"{out}: CDM {dataset.cdm_version}, {dataset.persons:,} persons, {dataset.first_date} to {dataset.last_date}, "
        f"version {dataset.version}, {account.seconds:.1f} s",
        soft_wrap=True,
        markup=False,
    )
