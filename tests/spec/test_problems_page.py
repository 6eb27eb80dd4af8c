"""`docs/problems.md` is the register of problems, printed. Run this file to write the page anew:

python tests/spec/test_problems_page.py > docs/problems.md
"""

import importlib
import pkgutil
import sys
from pathlib import Path

import dure
from dure.wire.problems import Problem

PAGE = Path(__file__).parents[2] / "docs" / "problems.md"
HEAD = """# Problems

Every error that a user can meet: its exit code on the command line, its HTTP status, and its type (the last part of a problem
document's `type`, RFC 9457). Each says what is wrong, where, and how to mend it. Exit code 0 is success, 1 a bug in Dure, 2 a
mistake in the command line, 130 an interruption.

| exit code | HTTP status | type | title | where it is raised |
|---|---|---|---|---|
"""


def page() -> str:
    """The page as it must be."""
    for module in pkgutil.walk_packages(dure.__path__, "dure."):
        if "alembic" not in module.name and "migrations" not in module.name:
            importlib.import_module(module.name)
    rows = sorted(
        (kind.exit_code, kind.status, kind.slug, kind.title, kind.__module__.removeprefix("dure."))
        for kind in Problem.register.values()
        if kind.__module__.startswith("dure.")
    )
    return HEAD + "".join(
        f"| {code} | {status} | `{slug}` | {title} | `{place}` |\n"
        for code, status, slug, title, place in rows
    )


def test_the_page_lists_every_problem():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: python tests/spec/test_problems_page.py > docs/problems.md"
    )


if __name__ == "__main__":
    sys.stdout.write(page())
