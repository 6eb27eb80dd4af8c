"""`dure demo`: a national network on this machine, with synthetic people."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dure.demo.nation import run

app = typer.Typer(add_completion=False)
WIDTH = 120
"""A table of rates doesn't fit into 80 columns."""


@app.command()
def demo(
    persons: Annotated[int, typer.Option(min=1000, help="Synthetic people in each hospital.")] = 20_000,
    hospitals: Annotated[int, typer.Option(help="How many hospitals: 3 to 10.")] = 5,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The hub's port; 0 finds a free one.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(".demo"),
    once: Annotated[bool, typer.Option("--once", help="Stop when all is answered.")] = False,
) -> None:
    """Start a hub and hospitals with synthetic people, ask six questions, show the answers."""
    console = Console()
    console.width = max(console.width, WIDTH)
    run(folder, persons=persons, hospitals=hospitals, port=port, once=once, console=console)
