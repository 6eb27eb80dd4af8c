"""A list of covariates as a CSV file: what `dure study covariates` writes and a study file names.

Responsible for: reading and writing it. Not responsible for: which covariates are in it.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from dure.client.problems import Unreadable
from dure.features.covariates import Covariate
from dure.features.listing import Listed

COLUMNS = ("covariate_id", "covariate_name")
MOST_BYTES = 16 * 2**20


def write(path: Path, found: Iterable[Listed]) -> int:
    """Write a list; the number of its lines. How many people have each one is for whoever chooses, and is never read back."""
    lines = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*COLUMNS, "people_here"))
        for each in found:
            writer.writerow((each.covariate.id, each.covariate.name, each.people))
            lines += 1
    return lines


def read(path: Path) -> list[Covariate]:
    """The covariates of a list.

    Raises:
        Unreadable: no such file, or it isn't one.
    """
    mend = f"Give a CSV file with the columns {' and '.join(COLUMNS)}, as `dure study covariates` writes it."
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "It isn't UTF-8"
        raise Unreadable(f"{why}.", where=str(path), mend=mend) from None
    if len(text) > MOST_BYTES:
        raise Unreadable("The list is too long.", where=str(path), mend="Leave out rare covariates.")
    rows = csv.DictReader(text.splitlines())
    found = []
    for row in rows:
        number, name = (row.get(column) for column in COLUMNS)
        if not number or not number.isdecimal() or not name:
            raise Unreadable("A line has no id or no name.", where=f"{path}, line {rows.line_num}", mend=mend)
        found.append(Covariate(id=int(number), name=name))
    return found
