"""The first line of a file: which of the CDM's columns each field is.

Responsible for: delimiter and quoting, names in the wild (other case, the other version's name, an expression that a
database tool left in place of a name), columns that are missing or unknown. Not responsible for: values.
"""

import csv
import re
from dataclasses import dataclass

from dure.omop.tables import VERSIONS, Column, Table, renamed, tables
from dure.onboard.problems import ColumnMissing, FileUnreadable, SourceAmbiguous

_WORD = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the fields of a file lie.

    Attributes:
        columns: for each field in order, the CDM column that it fills, or None where it is left out.
        delimiter: one character.
        quoting: whether double quotes enclose fields.
        notes: what a reader of the report should know.
    """

    columns: tuple[Column | None, ...]
    delimiter: str
    quoting: bool
    notes: tuple[str, ...]


def split(line: str, where: str) -> tuple[list[str], str, bool]:
    """The fields of a CSV header, its delimiter and whether quotes enclose fields.

    Tab-separated files are Athena's, where quotes are part of the text, unless the header itself is quoted.

    Raises:
        FileUnreadable: there is no header.
    """
    line = line.removeprefix("\ufeff").rstrip("\r\n")
    if not line.strip():
        raise FileUnreadable(
            "The file has no header", where=where, mend="Write the column names in its first line."
        )
    delimiter = max(",\t;|", key=line.count) if "\t" not in line or "," not in line else "\t"
    quoting = delimiter != "\t" or line.startswith('"')
    fields = next(csv.reader([line], delimiter=delimiter)) if quoting else line.split(delimiter)
    return fields, delimiter, quoting


def arrange(
    names: list[str], table: Table, *, version: str, where: str, delimiter: str = ",", quoting: bool = True
) -> Layout:
    """Match a file's column names to a table's.

    Raises:
        ColumnMissing: a column that may not be empty isn't there. SourceAmbiguous: two fields claim one column.
    """
    plain = [_bare(name) for name in names]
    taken: dict[str, int] = {}
    chosen: list[Column | None] = []
    understood: list[str] = []
    for index, name in enumerate(plain):
        column = table.column(name) or _wild(name, table, version, set(plain))
        if column is not None and column.name in taken:
            raise SourceAmbiguous(
                f"Fields {taken[column.name] + 1} and {index + 1} are both {column.name}",
                where=where,
                mend="Leave one of them in the file.",
            )
        if column is not None:
            taken[column.name] = index
            if column.name != name:
                understood.append(f"'{name}' as {column.name}")
        chosen.append(column)
    missing = [column.name for column in table.columns if column.required and column.name not in taken]
    if missing:
        raise ColumnMissing(
            f"{table.name} must have the column {', '.join(missing)}",
            where=where,
            mend="Export the table again with it; the header's names may be in any case and order.",
        )
    left = [name for name, column in zip(plain, chosen, strict=True) if column is None]
    foreign = {name: of for name in left if (of := _version_of(name, table.name))}
    notes = [f"headers read: {', '.join(understood)}"] if understood else []
    for other in sorted(set(foreign.values())):
        these = ", ".join(name for name in left if foreign.get(name) == other)
        notes.append(f"columns of CDM {other} left out: {these}")
    if set(left) - foreign.keys():
        notes.append(f"unknown columns left out: {', '.join(name for name in left if name not in foreign)}")
    return Layout(columns=tuple(chosen), delimiter=delimiter, quoting=quoting, notes=tuple(notes))


def _bare(name: str) -> str:
    return name.strip().strip('"').strip().lower()


def _wild(name: str, table: Table, version: str, present: set[str]) -> Column | None:
    """The column that a name which isn't the model's stands for: renamed, or the one name within an expression."""
    other = renamed(version).get((table.name, name))
    if other is not None and other not in present:
        return table.column(other)
    if _WORD.fullmatch(name):
        return None
    inside = dict.fromkeys(word for word in _WORD.findall(name) if table.column(word) and word not in present)
    return table.column(next(iter(inside))) if len(inside) == 1 else None


def _version_of(name: str, table: str) -> str | None:
    """The version of the CDM whose table has this column, if any has."""
    return next(
        (other for other in VERSIONS if table in tables(other) and tables(other)[table].column(name)), None
    )
