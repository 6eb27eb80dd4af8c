"""`dure lab`: a study over databases at hand, without a server."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dure.client import study_file
from dure.client.html import html_report
from dure.client.terminal import show_report
from dure.engines import open_engine
from dure.lab.run import Site, run
from dure.wire.messages import Provenance
from dure.wire.rules import RULES_OFF, Noise, Rules

app = typer.Typer(add_completion=False)


@app.command()
def lab(
    study: Annotated[Path, typer.Argument(help="The study (YAML).")],
    site: Annotated[list[Path], typer.Option(help="A hospital's database; give the option once for each.")],
    provenance: Annotated[Provenance, typer.Option(help="What the data are.")] = Provenance.REAL,
    least_people: Annotated[int, typer.Option(help="k: the fewest people that a number may rest on.")] = 11,
    rules_off: Annotated[
        bool, typer.Option(help="No thresholds: only for public or synthetic data.")
    ] = False,
    epsilon: Annotated[
        float | None, typer.Option(help="The answer carries noise, and tells at most this of one person.")
    ] = None,
    delta: Annotated[float, typer.Option(help="With --epsilon: the chance that it tells more.")] = 1e-6,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file.")] = None,
) -> None:
    """Run a study over databases at hand, without a server, through the same gate."""
    console = Console()
    rules = RULES_OFF if rules_off else Rules(least_people=least_people)
    if epsilon is not None:
        rules = replace(rules, noise=Noise(epsilon=epsilon, delta=delta))
    question = study_file.read(study).study(asker="lab", lasting=timedelta(days=1))
    engines = {path.stem: open_engine(str(path)) for path in site}
    try:
        with console.status("asking") as status:
            report = run(
                question,
                {
                    name: Site(engine=engine, provenance=provenance, rules=rules)
                    for name, engine in engines.items()
                },
                told=status.update,
            )
    finally:
        for engine in engines.values():
            engine.close()
    show_report(report, console)
    if html is not None:
        html.write_text(html_report(report), encoding="utf-8")
