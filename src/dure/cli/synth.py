"""`dure synth`: make a synthetic hospital."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dure.demo.synth import generate, truth_path

app = typer.Typer(add_completion=False)


@app.command()
def synth(
    *,
    persons: Annotated[int, typer.Option(help="How many people to make.")],
    seed: Annotated[int, typer.Option(help="The nation's seed: the same seed gives the same people.")],
    out: Annotated[Path, typer.Option(help="The DuckDB file to make; its truth goes beside it.")],
    hospital: Annotated[
        int, typer.Option(help="Which hospital of the nation, 1 to 999: each has its own people and habits.")
    ] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Make a synthetic hospital as an OMOP CDM 5.4 file, with truths planted in it and written beside it."""
    console = Console(stderr=True)
    columns = (TextColumn("making people"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("people", total=persons)
        truth = generate(
            persons=persons,
            seed=seed,
            hospital=hospital,
            path=out,
            force=force,
            progress=lambda done: progress.update(task, completed=done),
        )
    rows = sum(truth.rows.values())
    console.print(f"{truth.hospital.name}: {truth.persons:,} people, {rows:,} rows, all synthetic")
    typer.echo(out)
    typer.echo(truth_path(out))
