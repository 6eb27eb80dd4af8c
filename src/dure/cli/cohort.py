"""`dure cohort`: read a cohort definition aloud, or run it on a database."""

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.syntax import Syntax
from rich.table import Table

from dure.cohort import CohortPlan, parse, plan
from dure.cohort.explain import explain as explain_expression
from dure.cohort.explain import outline
from dure.cohort.plan import CDM_VERSIONS
from dure.engines import open_engine
from dure.engines.attrition import Funnel, funnel
from dure.engines.cohorts import run_many, statements

app = typer.Typer(
    help="Explain or run cohort definitions (Circe JSON, as ATLAS exports it).", no_args_is_help=True
)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="The definition.", exists=True, dir_okay=False)],
    show_plan: Annotated[bool, typer.Option("--plan", help="Show the plan's nodes.")] = False,
    show_sql: Annotated[
        bool, typer.Option("--sql", help="Show the statements that a database is asked.")
    ] = False,
    dialect: Annotated[str, typer.Option(help="Dialect of --sql, as sqlglot names it.")] = "duckdb",
) -> None:
    """Say in plain English what a definition means, and show the plan and its SQL."""
    console = Console(soft_wrap=True, highlight=False)
    expression = parse(file.read_bytes())
    console.print(escape(explain_expression(expression)))
    planned = plan(expression, cdm_version=CDM_VERSIONS[-1])
    if show_plan:
        console.print(f"\n[bold]Plan[/] {planned.digest}")
        console.print(escape(outline(planned)))
    if show_sql:
        for name, tree in statements(planned):
            console.print(f"\n[bold]{name}[/]")
            console.print(Syntax(tree.sql(dialect=dialect, pretty=True), "sql", word_wrap=True))


@app.command()
def run(
    files: Annotated[
        list[Path], typer.Argument(help="Definitions, or folders of them (*.json).", exists=True)
    ],
    cdm: Annotated[str, typer.Option(help="The database, such as hospital.duckdb.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    stats: Annotated[
        bool, typer.Option("--stats", help="Print the attrition of each cohort, rule by rule.")
    ] = False,
    memory: Annotated[str, typer.Option(help="The most memory for the database.")] = "2GB",
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use; all if not given.")] = None,
) -> None:
    """Write who is in the cohorts: cohort (the file's name), subject_id, cohort_start_date, cohort_end_date."""
    console = Console()
    paths = [path for each in files for path in (sorted(each.glob("*.json")) if each.is_dir() else [each])]
    with open_engine(cdm, memory=memory, threads=threads) as engine:
        version = engine.dataset.cdm_version
        plans = [plan(parse(path.read_bytes()), cdm_version=version) for path in paths]
        found = run_many(engine, plans, attrition=stats)
        tables = []
        shown = track(
            zip(paths, plans, found, strict=True),
            total=len(paths),
            console=Console(stderr=True),
            transient=True,
        )
        for path, planned, cohort in shown:
            name = pa.array([path.stem] * cohort.rows.num_rows, pa.string())
            tables.append(cohort.rows.add_column(0, "cohort", name))
            if cohort.qualified is not None:
                _show(console, path, planned, funnel(cohort.qualified, planned.rules))
    pq.write_table(pa.concat_tables(tables), out)
    console.print(f"{sum(table.num_rows for table in tables)} rows of {len(tables)} cohorts in {out}")


def _show(console: Console, path: Path, planned: CohortPlan, steps: Funnel) -> None:
    table = Table(
        "rule", "satisfied by", "left after it", title=escape(planned.name or path.stem), title_justify="left"
    )
    table.add_row("entry events", "", str(steps.persons))
    for name, alone, left in zip(planned.rules, steps.satisfied, steps.left, strict=True):
        table.add_row(escape(name), str(alone), str(left))
    console.print(table)
