"""Which version of the CDM a source is, and how that is known.

Responsible for: reading it from `cdm_source` or from the columns. Not responsible for: what the versions hold (`omop`).
"""

import re
from collections.abc import Iterable, Mapping

from dure.omop.tables import VERSIONS, tables
from dure.onboard.problems import CdmVersionUnknown

_WRITTEN = re.compile(r"(\d+)\.(\d+)")


def choose(
    asked: str | None, written: Iterable[str], headers: Mapping[str, Iterable[str]], where: str
) -> tuple[str, tuple[str, ...]]:
    """The version to load a source as, and what to tell of it.

    Args:
        asked: what the user says, if anything.
        written: values of `cdm_source.cdm_version`.
        headers: table -> lower-case names in the header.
        where: the source.

    Raises:
        CdmVersionUnknown: neither asked nor written is a version that Dure knows.
    """
    looks = _look(headers)
    if asked is not None:
        if asked not in VERSIONS:
            raise _unknown(asked, where)
        return asked, (f"CDM {asked}, as asked", *_doubt(asked, looks))
    for text in written:
        found = _WRITTEN.search(text)
        if found:
            version = f"{found[1]}.{found[2]}"
            if version not in VERSIONS:
                raise _unknown(version, where)
            return version, (f"CDM {version}, as cdm_source says", *_doubt(version, looks))
    if looks is not None:
        return looks, (f"CDM {looks}, judged by its columns; cdm_source doesn't say",)
    return VERSIONS[-1], (f"CDM {VERSIONS[-1]} assumed; neither cdm_source nor any column says",)


def _unknown(version: str, where: str) -> CdmVersionUnknown:
    return CdmVersionUnknown(
        f"CDM {version} isn't one that Dure reads",
        where=where,
        mend=f"Convert it to {' or '.join(VERSIONS)}, or say with --cdm-version which of these it is nearest to.",
    )


def _look(headers: Mapping[str, Iterable[str]]) -> str | None:
    signs = dict.fromkeys(VERSIONS, 0)
    for table, names in headers.items():
        present = set(names)
        for version in VERSIONS:
            others = {
                column.name
                for other in VERSIONS
                if other != version and table in tables(other)
                for column in tables(other)[table].columns
            }
            own = (
                {column.name for column in tables(version)[table].columns}
                if table in tables(version)
                else set()
            )
            signs[version] += len((own - others) & present)
    best = max(signs, key=lambda version: signs[version])
    return best if sum(count == signs[best] for count in signs.values()) == 1 else None


def _doubt(version: str, looks: str | None) -> tuple[str, ...]:
    if looks is None or looks == version:
        return ()
    return (
        f"its columns look like CDM {looks}'s; --cdm-version {looks} would keep those that {version} lacks",
    )
