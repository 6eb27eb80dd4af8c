"""`dure cohort concepts`: what a definition's concept sets select in a database, and what they can't see."""

from pathlib import Path
from typing import Annotated

import pyarrow.csv
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dure.cohort import parse
from dure.engines import open_engine
from dure.engines.concepts import members, unmapped

SHOWN = 40


def concepts(
    file: Annotated[Path, typer.Argument(help="A definition.", exists=True, dir_okay=False)],
    cdm: Annotated[str, typer.Option(help="The database, such as hospital.duckdb.")],
    number: Annotated[int | None, typer.Option("--set", help="Only the concept set of this number.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A CSV file for all concepts, instead of the first here.")
    ] = None,
) -> None:
    """Show the concepts of a definition's concept sets, how each got in, and source codes that have no standard concept."""
    console, expression = Console(), parse(file.read_bytes())
    sets = [each for each in expression.concept_sets if number is None or each.id == number]
    if not sets:
        raise typer.BadParameter(
            f"the definition's concept sets are {', '.join(str(each.id) for each in expression.concept_sets)}",
            param_hint="--set",
        )
    with open_engine(cdm) as engine:
        found, unseen = members(engine, sets), unmapped(engine, expression)
    if out is not None:
        pyarrow.csv.write_csv(found, out)
        console.print(f"{found.num_rows} rows in {out}")
    else:
        _show(console, "Concepts", found)
    _show(
        console,
        "Source codes without a standard concept, which no concept set sees (counts stay here)",
        unseen,
    )


def _show(console: Console, title: str, rows: "pyarrow.Table") -> None:
    table = Table(*rows.column_names, title=f"{title}: {rows.num_rows}", title_justify="left")
    for row in rows.slice(0, SHOWN).to_pylist():
        table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    console.print(table)
    if rows.num_rows > SHOWN:
        console.print(f"… and {rows.num_rows - SHOWN} more")
