"""A check and what it finds, as data. Not responsible for: looking (the families)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dure.cohort.sentence import Sentence


class Severity(StrEnum):
    """How grave: nobody can fit or everybody is lost; probably not meant; worth knowing."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        says, mend: messages with the finding's {values}.
        atlas: the name of ATLAS's check that looks for the same, if there is one.
    """

    id: str
    severity: Severity
    says: str
    mend: str
    atlas: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found; `path` is the JSON path in the file as it was given."""

    check: Check
    path: str
    values: Mapping[str, object]

    @property
    def what(self) -> Sentence:
        return Sentence(message=self.check.says, values=self.values)

    @property
    def mend(self) -> Sentence:
        return Sentence(message=self.check.mend, values=self.values)
