"""`dure study carry`: a study whose answers are carried by hand, between the hospitals, the asker and a second body."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dure.client import by_hand, keys, login, study_file, terminal
from dure.client.problems import NoSignIn
from dure.client.result import Result
from dure.wire.codec import decode
from dure.wire.envelope import Envelope

app = typer.Typer(help="A study whose answers are carried by hand, as files.", no_args_is_help=True)
Dir = Annotated[Path, typer.Option("--dir", help="The folder that this study's files are kept in.")]
Key = Annotated[Path | None, typer.Option(help="The asker's key file; the user's own if not given.")]


@app.command()
def begin(
    file: Annotated[Path, typer.Argument(help="The study (YAML).")],
    folder: Dir,
    directory: Annotated[Path, typer.Option(help="The root's newest directory, a file.", exists=True)],
    aggregator: Annotated[str, typer.Option(help="The second body's id in the directory.")],
    root: Annotated[
        str | None, typer.Option(help="The root's public key, pinned. [env: DURE_ROOT]", envvar="DURE_ROOT")
    ] = None,
    key: Key = None,
) -> None:
    """Sign a study, and write the request that is carried to every hospital."""
    kept = login.read()
    pinned = root or (None if kept is None else kept.root)
    if pinned is None:
        raise NoSignIn(
            "The root's public key isn't known here.", where="--root", mend="Give it, as the root told you."
        )
    envelope: Envelope = decode(Envelope, directory.read_bytes(), where=str(directory))
    made = by_hand.begin(
        folder,
        study_file.read(file),
        directory=envelope,
        root=pinned,
        aggregator=aggregator,
        key=keys.read(key),
        now=datetime.now(UTC),
    )
    typer.echo(f"{made.file}: carry it to {made.to}. It waits for {made.waits.value}.")


@app.command()
def add(
    files: Annotated[list[Path], typer.Argument(help="The files that were brought.", exists=True)],
    folder: Dir,
    without: Annotated[
        list[str] | None, typer.Option(help="A hospital that gave no file; once for each.")
    ] = None,
    key: Key = None,
) -> None:
    """Take the files that were brought, and write the next, or the report."""
    made = by_hand.add(folder, files, without=without or (), key=keys.read(key), now=datetime.now(UTC))
    if made.report is None:
        typer.echo(f"{made.file}: carry it to {made.to}. It waits for {made.waits.value}.")
        return
    page = Result(made.report, {}).to_html(made.file.with_suffix(".html"))
    terminal.show_report(made.report, Console())
    typer.echo(f"{made.file}, {page}")
