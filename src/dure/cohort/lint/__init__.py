"""The linter: what is probably not meant in a definition, each with its place and mend.

Responsible for: gathering what the families of checks find, and the manual's table. A check is a `Check` in its family's file
and the line that yields it. Not responsible for: refusing (`parse`), nor for anything that needs a database.
"""

from typing import Any

from dure.cohort.circe.document import read
from dure.cohort.circe.parse import parse
from dure.cohort.lint import exits, logic, sets, values, windows
from dure.cohort.lint.finding import Check, Finding, Severity
from dure.cohort.lint.subject import Subject
from dure.wire.problems import Problem

__all__ = ["CHECKS", "FAMILIES", "Check", "Finding", "Severity", "lint", "table"]

FAMILIES = (sets, values, windows, logic, exits)
REFUSED = Check(
    id="refused",
    severity=Severity.CRITICAL,
    says="Dure refuses the definition: {what}",
    mend="{mend}",
)
CHECKS: tuple[Check, ...] = (REFUSED, *(check for family in FAMILIES for check in family.CHECKS))


def lint(source: bytes | str | dict[str, Any]) -> tuple[Finding, ...]:
    """All findings, the gravest first, then in the order of the file's parts. A definition that `parse` refuses has one."""
    try:
        expression = parse(source)
    except Problem as problem:
        return (
            Finding(check=REFUSED, path=problem.where, values={"what": problem.what, "mend": problem.mend}),
        )
    root, prefix = read(source), "$"
    if "expression" in root.value:
        root, prefix = root.fields().need("expression").embedded(), "$.expression"
    subject = Subject(expression=expression, raw=root.value, prefix=prefix)
    found = [finding for family in FAMILIES for finding in family.find(subject)]
    return tuple(sorted(found, key=lambda each: list(Severity).index(each.check.severity)))


def table() -> str:
    """The checks as Markdown."""
    lines = ["| check | severity | ATLAS's check | it says | mend |", "|---|---|---|---|---|"]
    lines += [
        f"| `{each.id}` | {each.severity} | {each.atlas} | {each.says} | {each.mend} |" for each in CHECKS
    ]
    return "\n".join(lines)
