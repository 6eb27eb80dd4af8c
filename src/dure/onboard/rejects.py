"""The rejects file: every rejected row with its file, line, column, value and reason.

Responsible for: writing it as CSV or Parquet, whole or not at all. It may hold values of patients: it is made readable by
its owner only, stays in the hospital, and nothing of it goes into a log. Not responsible for: deciding what is rejected.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from dure.engines.cdm_file import room_for
from dure.engines.problems import OutputExists
from dure.onboard.parse import REJECTS


class Rejects:
    """Writes rejected rows beside the final name; `finish` puts the file in place if there were any."""

    def __init__(self, path: Path, *, force: bool) -> None:
        if path.exists() and not force:
            raise OutputExists(
                f"{path} exists", where=str(path), mend="Name another file with --rejects, or use --force."
            )
        self.path = path
        self.count = 0
        self._partial = path.with_name(path.name + ".partial")
        self._partial.unlink(missing_ok=True)
        self._writer: Any = None

    def write(self, rows: pa.Table) -> None:
        """Add rows of the schema `REJECTS`. Raises `DiskFull`."""
        if not rows.num_rows:
            return
        with room_for(self.path):
            if self._writer is None:
                self._partial.touch(mode=0o600)
                self._writer = self._open()
            self._writer.write_table(rows)
        self.count += rows.num_rows

    def finish(self) -> Path | None:
        """Put the file in place; None, and no file, if nothing was rejected."""
        with room_for(self.path):
            if self._writer is None:
                self.path.unlink(missing_ok=True)
                return None
            self._writer.close()
            self._partial.replace(self.path)
        return self.path

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._writer is not None:
            with room_for(self.path):
                self._writer.close()
        self._partial.unlink(missing_ok=True)

    def _open(self) -> Any:
        if self.path.suffix.lower() == ".parquet":
            from pyarrow.parquet import ParquetWriter

            return ParquetWriter(self._partial, REJECTS)
        from pyarrow.csv import CSVWriter

        return CSVWriter(self._partial, REJECTS)
