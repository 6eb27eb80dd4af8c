"""Cohorts on disk: one Parquet file, there whole or not at all.

Responsible for: its columns, and writing it cohort by cohort so that memory holds one. Not responsible for: who is in them.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dure.engines.cdm_file import room_for
from dure.engines.cohorts import CohortTable
from dure.engines.problems import DatabaseUnreadable

SCHEMA = pa.schema(
    [
        ("cohort_id", pa.string()),
        ("subject_id", pa.int64()),
        ("cohort_start_date", pa.date32()),
        ("cohort_end_date", pa.date32()),
    ]
)


def read(path: Path) -> dict[str, pa.Table]:
    """The cohorts in a file of `write`, by name, as `CohortTable.rows` has them.

    Raises:
        DatabaseUnreadable: it isn't such a file.
    """
    try:
        table = pq.read_table(path)
        if table.schema.names != SCHEMA.names:
            raise pa.ArrowInvalid("other columns")
        table = table.cast(SCHEMA)
    except (pa.ArrowInvalid, OSError):
        raise DatabaseUnreadable(
            f"{path.name} holds no cohorts",
            where=str(path),
            mend="Give a file that `dure cohort run --out` wrote.",
        ) from None
    names = table["cohort_id"].unique().to_pylist()
    return {
        name: table.filter(pc.equal(table["cohort_id"], name)).drop_columns(["cohort_id"]) for name in names
    }


def write(path: Path, cohorts: Iterable[tuple[str, CohortTable]]) -> int:
    """Write the rows of named cohorts; an existing file is replaced only when all are there. Returns the number of rows.

    Raises:
        DiskFull: no room, or the folder can't be written.
        Problem: of the cohorts, as they are computed.
    """
    partial, rows = path.with_name(f"{path.name}.partial"), 0
    try:
        with room_for(path), pq.ParquetWriter(partial, SCHEMA) as writer:
            for name, cohort in cohorts:
                ids = pa.array([name] * cohort.rows.num_rows, pa.string())
                writer.write_table(cohort.rows.add_column(0, "cohort_id", ids).cast(SCHEMA))
                rows += cohort.rows.num_rows
        with room_for(path):
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return rows
