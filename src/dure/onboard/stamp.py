"""Stamping a CDM that a hospital keeps on its own server: what it is, and which version of it this is.

Responsible for: the dataset that a stamp states. Not responsible for: reading or writing a server (`engines.stamping`).
"""

from collections.abc import Callable
from hashlib import sha256

from dure.engines.dataset import Dataset
from dure.engines.problems import NotACdm
from dure.engines.stamping import unstamped
from dure.omop.tables import NECESSARY
from dure.onboard.problems import NobodyThere
from dure.onboard.version import choose


def stamp(
    location: str, *, cdm_version: str | None, progress: Callable[[str, int], None]
) -> tuple[Dataset, tuple[str, ...]]:
    """Read every row of the CDM at a location once, and write its stamp beside it.

    The version is a digest of the content: equal content has the version that it had, any other content another.

    Args:
        location: of a server, with the account that loads the CDM.
        cdm_version: as the user says; found out if None.
        progress: told each table that is about to be done, and its rows.

    Returns:
        The dataset, and what to tell of how the CDM's version is known.

    Raises:
        UnknownEngine, DatabaseUnreachable, QueryFailed: of the engine.
        NotACdm: necessary tables are missing. NobodyThere: the person table is empty.
        CdmVersionUnknown: neither asked nor written is a version that Dure knows.
        StampStale: the CDM changed while it was read.
    """
    with unstamped(location) as found:
        headers = found.headers()
        missing = sorted(NECESSARY - headers.keys())
        if missing:
            raise NotACdm(
                f"There is no table {', '.join(missing)} that may be read",
                where=found.shown,
                mend="Name the CDM's schema in the location.",
            )
        version, notes = choose(cdm_version, found.told("cdm_version"), headers, found.shown)
        lines, persons = [version], 0
        for table, rows, digest in found.contents(version):
            progress(table, rows)
            lines.append(f"{table} {rows} {digest}")
            persons = rows if table == "person" else persons
        if persons == 0:
            raise NobodyThere(
                "The person table is empty", where=found.shown, mend="Stamp the CDM when it is loaded."
            )
        first, last = found.observed(version)
        dataset = Dataset(
            version=sha256("\n".join(lines).encode()).hexdigest()[:20],
            cdm_version=version,
            source=", ".join((found.shown, *found.told("cdm_source_abbreviation"))),
            persons=persons,
            first_date=first,
            last_date=last,
        )
        found.keep(dataset)
        return dataset, notes
