"""`dure aggregator`: the second body for answers that are carried by hand."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from dure.aggregator import adding, place
from dure.aggregator.place import ENROLMENT, AggregatorSettings
from dure.client.keys import keep
from dure.wire.codec import encode
from dure.wire.directory import Role
from dure.wire.envelope import fingerprint

app = typer.Typer(
    help="The second body for answers that are carried by hand: it adds one share of each hospital's numbers.",
    no_args_is_help=True,
    add_completion=False,
)
Dir = Annotated[Path, typer.Option("--dir", help="The aggregator's folder.")]


@app.command()
def keys(
    folder: Dir,
    name: Annotated[str, typer.Option("--id", help="Short name: small letters, digits, hyphens.")],
    title: Annotated[str, typer.Option("--name", help="Its full name.")],
    root: Annotated[str, typer.Option(help="The root's public key, pinned.")],
    role: Annotated[Role, typer.Option(help="regulator or intermediary.")] = Role.REGULATOR,
    affiliation: Annotated[str | None, typer.Option(help="Its group; its own id if none.")] = None,
) -> None:
    """Make the keys, and the file by which the root lists them."""
    settings = AggregatorSettings(
        id=name, name=title, role=role, affiliation=affiliation or name, root_key=root
    )
    public = place.make(folder, settings)
    typer.echo(f"{folder / ENROLMENT}: carry it to the root: dure directory admit-aggregator")
    typer.echo(f"fingerprint {fingerprint(public)} (read it to the root by telephone)")


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="The asker's file.", exists=True, dir_okay=False)],
    folder: Dir,
    out: Annotated[Path, typer.Option(help="The answer to write, for the asker.")],
) -> None:
    """Add what an asker's file holds, and write the answer. A run is added once, over one list of hospitals."""
    answer, done = adding.add(place.opened(folder), file.read_bytes(), where=str(file), now=datetime.now(UTC))
    keep(out, encode(answer), replace=True)
    typer.echo(f"{done}. {out}: carry it back to the asker.")
