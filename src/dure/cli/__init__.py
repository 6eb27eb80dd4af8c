"""The command line: one file per verb, no logic.

Each verb's file is read only when the verb is called, so that a node doesn't carry the hub's libraries.
"""

import sys
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from dure import __version__
from dure.wire.problems import Problem

VERBS = {
    "demo": "A national network on this machine, with synthetic people.",
    "synth": "Make a synthetic hospital.",
    "cdm": "Bring a hospital's data in: load files into an OMOP CDM.",
    "cohort": "Explain or run a cohort definition.",
    "lab": "Run a study over databases at hand, without a server.",
    "study": "Check, submit, watch and read studies.",
    "node": "The hospital's program.",
    "hub": "The relay between askers and hospitals.",
    "directory": "The root's work: whose key is whose.",
    "aggregator": "The second body for answers that are carried by hand.",
}
INTERRUPTED = 130


class MissingExtra(Problem):
    """A part of Dure that isn't installed."""

    slug, title, status, exit_code = "missing-extra", "This part of Dure is not installed", 500, 106


class _Verbs(TyperGroup):
    """Commands by name, imported when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        try:
            verb = import_module(f"dure.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("dure"):
                raise
            raise MissingExtra(
                f"The library {error.name} is not installed.",
                where=f"dure {cmd_name}",
                mend="Install Dure with its extra: pip install 'dure[hub,node,report]'.",
            ) from error
        command = typer.main.get_command(verb.app)
        command.short_help = VERBS[cmd_name]
        return command


app = typer.Typer(cls=_Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(default=False, help="Print the version.", is_eager=True)) -> None:
    """Dure: a network for medical data in which only sums leave."""
    if version:
        Console().print(f"dure {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; a Problem becomes three lines on standard error and its own exit code."""
    try:
        return app(args=arguments)
    except Problem as problem:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(f"[bold red]{escape(problem.title)}:[/] {escape(problem.what)}")
        console.print(f"  where: {escape(problem.where)}")
        console.print(f"  mend:  {escape(problem.mend)}")
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
