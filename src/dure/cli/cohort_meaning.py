"""`dure cohort canonical` and `dure cohort diff`: what definitions mean, apart from how they are written."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dure.cohort import parse
from dure.cohort.canonical import canonical as canonical_form
from dure.cohort.circe.write import text
from dure.cohort.diff import SAME
from dure.cohort.diff import diff as difference
from dure.look.words import LANGUAGES, Words

Definition = Annotated[Path, typer.Argument(help="A definition.", exists=True, dir_okay=False)]
Language = Annotated[str, typer.Option("--lang", help="Language: en or ko.")]


def words(language: str) -> Words:
    if language not in LANGUAGES:
        raise typer.BadParameter(f"there is {', '.join(LANGUAGES)}", param_hint="--lang")
    return Words(language)


def canonical(
    file: Definition,
    names: Annotated[
        bool, typer.Option("--names", help="Keep titles, names of rules and of concept sets.")
    ] = False,
    digest: Annotated[bool, typer.Option("--digest", help="Print the digest of the meaning alone.")] = False,
) -> None:
    """Print a definition in its canonical form: equal for files that mean the same."""
    form = canonical_form(parse(file.read_bytes()))
    typer.echo(form.digest if digest else text(form.named if names else form.document).rstrip())


def diff(before: Definition, after: Definition, language: Language = "en") -> None:
    """Tell what two definitions mean differently."""
    console, say = Console(soft_wrap=True, highlight=False), words(language)
    found = difference(parse(before.read_bytes()), parse(after.read_bytes()))
    if found.same:
        console.print(say(SAME))
    for change in found.changes:
        console.print(escape(change.said(say)))
