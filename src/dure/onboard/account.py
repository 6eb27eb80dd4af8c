"""The account of a load: for every table, rows read = rows loaded + rows rejected.

Responsible for: the figures and notes that a load gives, and that they add up. Not responsible for: how they are shown.
"""

from dataclasses import dataclass
from pathlib import Path

from dure.engines.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class TableAccount:
    """What became of one table's rows.

    Raises:
        ValueError: the rows don't add up, which is a mistake of the loader and never to be shown as a result.
    """

    table: str
    files: tuple[str, ...]
    read: int
    loaded: int
    rejected: int
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.read != self.loaded + self.rejected:
            raise ValueError(
                f"{self.table}: {self.read} read, {self.loaded} loaded, {self.rejected} rejected"
            )

    @property
    def share_rejected(self) -> float:
        """Rejected rows among those read, 0 to 1."""
        return self.rejected / self.read if self.read else 0.0


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of a source.

    Attributes:
        ignored: files that were left aside, each with the reason.
        notes: what concerns the whole.
        rejects: the rejects file, if any row was rejected.
        seconds: how long it took.
    """

    dataset: Dataset
    tables: tuple[TableAccount, ...]
    ignored: dict[str, str]
    notes: tuple[str, ...]
    rejects: Path | None
    seconds: float

    @property
    def read(self) -> int:
        return sum(table.read for table in self.tables)

    @property
    def loaded(self) -> int:
        return sum(table.loaded for table in self.tables)

    @property
    def rejected(self) -> int:
        return sum(table.rejected for table in self.tables)

    def worst(self) -> TableAccount:
        """The table of which the largest share was rejected."""
        return max(self.tables, key=lambda table: table.share_rejected)
