"""A dataset: one frozen version of one hospital's CDM, as the node speaks of it.

Responsible for: what a database says of itself, and the name of the table in which it says so. Not responsible for:
whether the data are real or synthetic; that is a signed declaration, which no database can make of itself.
"""

from dataclasses import dataclass
from datetime import date

SCHEMA = "dure"
TABLE = "dataset"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a loaded database holds.

    Attributes:
        version: names this content; another load of other content has another.
        cdm_version: "5.3" or "5.4".
        source: what it was made from, in a few words.
        persons: rows of `person`.
        first_date: first day of any observation period; None where there is none.
        last_date: last day of any observation period; None where there is none.
    """

    version: str
    cdm_version: str
    source: str
    persons: int
    first_date: date | None
    last_date: date | None
