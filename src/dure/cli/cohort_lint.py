"""`dure cohort lint`: what is probably not meant in definitions."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dure.cli.cohort_meaning import Language, words
from dure.cohort.lint import Severity
from dure.cohort.lint import lint as findings
from dure.cohort.problems import CriticalFindings

COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}


def lint(
    files: Annotated[
        list[Path], typer.Argument(help="Definitions, or folders of them (*.json).", exists=True)
    ],
    language: Language = "en",
) -> None:
    """Check definitions for what is probably not meant; critical findings give exit code 28."""
    console, say, counts = Console(soft_wrap=True, highlight=False), words(language), Counter[Severity]()
    paths = [path for each in files for path in (sorted(each.glob("*.json")) if each.is_dir() else [each])]
    for path in paths:
        for each in findings(path.read_bytes()):
            severity = each.check.severity
            counts[severity] += 1
            console.print(
                f"{escape(path.name)}: [{COLOURS[severity]}]{severity}[/] {each.check.id} {escape(each.path)}\n"
                f"  {escape(each.what.said(say))} {escape(each.mend.said(say))}"
            )
    console.print(", ".join(f"{counts[severity]} {severity}" for severity in Severity), f"({len(paths)})")
    if counts[Severity.CRITICAL]:
        raise CriticalFindings(
            f"There are {counts[Severity.CRITICAL]} critical findings.",
            where=", ".join(map(str, files)),
            mend="Mend what is listed as critical above.",
        )
