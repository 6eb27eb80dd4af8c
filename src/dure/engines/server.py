"""Where a database server is, and the stamp that a CDM on a server carries.

Responsible for: reading locations strictly, never repeating a secret; the stamp's columns and its comparison with what is
there. Not responsible for: any one server (`postgres`, `spark`), making the stamp (`onboard.stamp`).

A server's CDM is stamped in its own schema, by whoever loads it, in a table of this name. Beside the dataset it holds a
witness: a cheap sign of the tables' state that changes when they do. A CDM whose witness isn't the stamp's is not answered from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from urllib.parse import parse_qsl, unquote, urlsplit

from dure.engines.dataset import SCHEMA, TABLE, Dataset
from dure.engines.problems import NotACdm, StampStale, UnknownEngine
from dure.omop.tables import NECESSARY, VERSIONS

STAMP = f"{SCHEMA}_{TABLE}"
REST = ":"
"""Between the part of a witness that every copy of a database shows and the rest, which a replica leaves out."""
STAMP_COLUMNS = (*(field.name for field in fields(Dataset)), "witness")


@dataclass(frozen=True, kw_only=True)
class Address:
    """A server's address. `options` are those after the question mark; `shown` is fit for a message or a log."""

    scheme: str
    user: str | None
    host: str
    port: int | None
    path: str
    options: Mapping[str, str]
    shown: str

    def option(self, name: str, default: str) -> str:
        return self.options.get(name, default)


def address(location: str, *, options: Iterable[str]) -> Address:
    """Take a location apart.

    Raises:
        UnknownEngine: it carries a password, an option that isn't one of `options`, or can't be read.
    """
    known = sorted(options)
    shown = without_secrets(location)
    try:
        parts = urlsplit(location)
        port, secret = parts.port, parts.password
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise UnknownEngine(
            "The location can't be read.",
            where=location.partition(":")[0],
            mend="Write scheme://user@host:port/database?option=value&…",
        ) from None
    if secret is not None:
        raise UnknownEngine(
            "The location carries a password, which others would see in settings, logs and lists of processes.",
            where=shown,
            mend="Keep it in a file that only the node's account reads, and name the file in the location (see docs/engines.md).",
        )
    names = [name for name, _ in given]
    strange = sorted({name for name in names if name not in known or names.count(name) > 1})
    if strange or parts.fragment:
        raise UnknownEngine(
            "The location has an option that isn't known, or has it twice.",
            where=shown,
            mend=f"The options are: {', '.join(known)}.",
        )
    return Address(
        scheme=parts.scheme,
        user=unquote(parts.username) if parts.username else None,
        host=unquote(parts.hostname or ""),
        port=port,
        path=unquote(parts.path),
        options=dict(given),
        shown=shown if parts.netloc else f"{parts.scheme}:{unquote(parts.path)}",
    )


def without_secrets(location: str) -> str:
    """A location's host and what follows, up to the options; a password stands before it, wherever its signs are."""
    return location.rpartition("@")[2].partition("?")[0]


def dataset(rows: Sequence[Sequence[object]], *, tables: Iterable[str], witness: str, where: str) -> Dataset:
    """The dataset that a stamp's rows (columns as `STAMP_COLUMNS`) speak of.

    Args:
        tables: which tables of the model are there.
        witness: of the tables as they are now.

    Raises:
        NotACdm: tables are missing, or there is no stamp. StampStale: the tables have changed since.
    """
    missing = sorted(NECESSARY - set(tables))
    if missing:
        raise NotACdm(
            f"There is no table {', '.join(missing)} that may be read",
            where=where,
            mend="Name the CDM's schema in the location, and let the role read its tables (see docs/engines.md).",
        )
    if len(rows) != 1 or rows[0][1] not in VERSIONS:
        raise NotACdm(
            "The CDM carries no stamp of a version that Dure knows",
            where=f"{where}, table {STAMP}",
            mend="Stamp it with the account that loads it: dure cdm stamp LOCATION; then let the node's role read that table.",
        )
    *told, seen = rows[0]
    if seen != witness and not (witness.endswith(REST) and str(seen).startswith(witness)):
        raise StampStale(
            "The CDM has changed since it was stamped",
            where=where,
            mend="When the load is complete, stamp it again: dure cdm stamp LOCATION. Equal content gets the version it had.",
        )
    return Dataset(**dict(zip(STAMP_COLUMNS, told, strict=False)))  # type: ignore[arg-type]


def condensed(facts: Iterable[Sequence[object]]) -> str:
    """One short text for many facts; other facts have another. Their order doesn't matter."""
    lines = sorted("\t".join(map(str, fact)) for fact in facts)
    return sha256("\n".join(lines).encode()).hexdigest()[:32]
