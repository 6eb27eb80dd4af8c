"""`dure cohort`: read a cohort definition aloud, or run it on a database."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table

from dure.cli.cohort_concepts import concepts
from dure.cli.cohort_lint import lint
from dure.cli.cohort_meaning import canonical, diff
from dure.cli.cohort_subset import subset
from dure.cohort import CohortPlan, parse, plan
from dure.cohort.explain import explain as explain_expression
from dure.cohort.explain import warned
from dure.cohort.outline import outline
from dure.cohort.plan import CDM_VERSIONS
from dure.engines import open_engine
from dure.engines.attrition import Funnel
from dure.engines.cohort_file import CohortFiles
from dure.engines.cohorts import statements
from dure.engines.problems import CohortsFailed
from dure.look.words import LANGUAGES, Words
from dure.wire.problems import Problem

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
    lang: Annotated[str, typer.Option(help=f"Language: {', '.join(LANGUAGES)}.")] = "en",
) -> None:
    """Say in plain words what a definition means, and show the plan and its SQL."""
    if lang not in LANGUAGES:
        raise typer.BadParameter(f"one of {', '.join(LANGUAGES)}", param_hint="--lang")
    console = Console(soft_wrap=True, highlight=False)
    expression = parse(file.read_bytes())
    console.print(escape(explain_expression(expression, Words(lang, "cohort"))))
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
        Path | None,
        typer.Option(
            "--stats",
            help="Print the attrition of each cohort, and write inclusion-rule statistics to this Parquet file.",
        ),
    ] = None,
    memory: Annotated[str, typer.Option(help="The most memory for the database.")] = "2GB",
    threads: Annotated[int | None, typer.Option(min=1, help="Cores to use; all if not given.")] = None,
) -> None:
    """Write who is in the cohorts: cohort_id (the file's name), subject_id, cohort_start_date, cohort_end_date.

    A cohort that fails doesn't stop the others; the exit code then says that some failed.
    """
    console = Console()
    paths = [path for each in files for path in (sorted(each.glob("*.json")) if each.is_dir() else [each])]
    if not paths:
        raise typer.BadParameter("there is no *.json in the folder", param_hint="files")
    with open_engine(cdm, memory=memory, threads=threads) as engine:
        asked = [_read(path, engine.dataset.cdm_version) for path in paths]
        with _progress() as progress:
            bar = progress.add_task("cohorts", total=len(paths))
            made = CohortFiles(engine, asked, advance=lambda cohorts: progress.advance(bar, cohorts))
            rows = made.write(out, stats)
    for name, planned, steps in made.funnels:
        _show(console, name, planned, steps)
    if made.failed:
        _complain(made.failed, len(paths), out if len(made.failed) < len(paths) else None)
    console.print(f"{rows} rows of {len(paths)} cohorts in {out}")


def _read(path: Path, cdm_version: str) -> tuple[str, CohortPlan | Problem]:
    try:
        expression = parse(path.read_bytes())
        for each in expression.warnings:
            typer.echo(f"{path}: {warned(each)}", err=True)
        return path.stem, plan(expression, cdm_version=cdm_version)
    except Problem as problem:
        return path.stem, problem


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _complain(failed: Sequence[tuple[str, Problem]], asked: int, out: Path | None) -> None:
    """Say what is wrong with each that failed, and end with that."""
    if asked == 1:
        raise failed[0][1]
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for name, problem in failed:
        console.print(f"[bold red]{escape(name)}:[/] {escape(problem.what)}")
        console.print(f"  where: {escape(problem.where)}")
        console.print(f"  mend:  {escape(problem.mend)}")
    raise CohortsFailed(
        f"{len(failed)} of {asked} cohorts failed",
        where=", ".join(name for name, _ in failed),
        mend="Mend them as said above and run them again."
        + (f" The rows of the others are in {out}." if out else ""),
    )


def _show(console: Console, name: str, planned: CohortPlan, steps: Funnel) -> None:
    table = Table(
        "rule", "satisfied by", "left after it", title=escape(planned.name or name), title_justify="left"
    )
    table.add_row("entry events", "", str(steps.persons))
    for rule, alone, left in zip(planned.rules, steps.satisfied, steps.left, strict=True):
        table.add_row(escape(rule), str(alone), str(left))
    console.print(table)


app.command()(canonical)
app.command()(diff)
app.command()(lint)
app.command()(concepts)
app.command()(subset)
