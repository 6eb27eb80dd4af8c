"""Cohorts and their statistics on disk: Parquet files, there whole or not at all.

Responsible for: its columns, and writing it cohort by cohort so that memory holds one. Not responsible for: who is in them.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dure.cohort import CohortPlan
from dure.engines.attrition import Funnel, funnel
from dure.engines.base import Engine
from dure.engines.cdm_file import room_for
from dure.engines.cohorts import CohortTable, run_each
from dure.engines.inclusion_stats import SCHEMA as STATS_SCHEMA
from dure.engines.inclusion_stats import inclusion_stats, table_of
from dure.engines.problems import DatabaseUnreadable
from dure.wire.problems import Problem

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

    Where there is no cohort at all, nothing is written.

    Raises:
        DiskFull: no room, or the folder can't be written.
        Problem: of the cohorts, as they are computed.
    """
    named = (_named(name, cohort.rows) for name, cohort in cohorts)
    return write_tables(path, SCHEMA, named)


def _named(name: str, rows: pa.Table) -> pa.Table:
    return rows.add_column(0, "cohort_id", pa.array([name] * rows.num_rows, pa.string())).cast(SCHEMA)


def write_tables(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
    """The same for tables of one schema."""
    partial, rows, some = path.with_name(f"{path.name}.partial"), 0, False
    try:
        with room_for(path), pq.ParquetWriter(partial, schema) as writer:
            for table in tables:
                writer.write_table(table)
                rows, some = rows + table.num_rows, True
        if some:
            with room_for(path):
                partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return rows


class CohortFiles:
    """A run of named cohorts into files. What fails is left out of them and told in `failed`.

    Attributes:
        failed: name and problem of those that failed, in their order.
        funnels: name, plan and attrition of the others, where statistics were asked for.
    """

    def __init__(
        self,
        engine: Engine,
        asked: Sequence[tuple[str, CohortPlan | Problem]],
        *,
        advance: Callable[[float], None] = lambda _cohorts: None,
    ) -> None:
        self._engine = engine
        self._asked = asked
        self._advance = advance
        self._stats: list[pa.Table] = []
        self.failed: list[tuple[str, Problem]] = []
        self.funnels: list[tuple[str, CohortPlan, Funnel]] = []

    def write(self, out: Path, stats: Path | None) -> int:
        """Write the rows, and where `stats` is given the inclusion-rule statistics; returns how many rows there are."""
        rows = write(out, self._cohorts(attrition=stats is not None))
        if stats is not None and self._stats:
            write_tables(stats, STATS_SCHEMA, self._stats)
        return rows

    def _cohorts(self, *, attrition: bool) -> Generator[tuple[str, CohortTable]]:
        plans = [plan for _, plan in self._asked if not isinstance(plan, Problem)]
        with closing(run_each(self._engine, plans, attrition=attrition, advance=self._advance)) as cohorts:
            for name, plan in self._asked:
                if isinstance(plan, Problem):
                    self.failed.append((name, plan))
                    continue
                found = next(cohorts)
                if isinstance(found, Problem):
                    self.failed.append((name, found))
                    continue
                if found.qualified is not None:
                    self._count(name, plan, found.qualified)
                yield name, found

    def _count(self, name: str, plan: CohortPlan, qualified: pa.Table) -> None:
        self.funnels.append((name, plan, funnel(qualified, plan.rules)))
        self._stats.append(table_of(name, plan.rules, inclusion_stats(qualified, len(plan.rules))))
