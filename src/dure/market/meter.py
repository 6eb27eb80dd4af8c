"""The meter: what was delivered, counted on released numbers only, so that an invoice tells nothing a report doesn't.

Responsible for: counting. Not responsible for: prices, keeping the count (the hub does, when a report is stored).
"""

from dure.study.report import Part, Report, Table
from dure.wire.codec import message
from dure.wire.rules import Mode

HOSPITAL = "hospital"


@message
class Delivery:
    """What one hospital's answer brought to a report.

    Attributes:
        numbers: shown numbers in the report that its answer is part of; hidden ones count for nothing.
    """

    hospital: str
    numbers: int


def measure(report: Report) -> tuple[Delivery, ...]:
    """Deliveries of all hospitals that answered. In `total` mode each is part of every number that is shown."""
    everyone = (
        None if report.mode is Mode.BY_HOSPITAL else sum(_shown(table, None) for table in report.tables)
    )
    return tuple(
        Delivery(
            hospital=part.hospital,
            numbers=sum(_shown(table, part.hospital) for table in report.tables)
            if everyone is None
            else everyone,
        )
        for part in report.participation
        if part.part is Part.ANSWERED
    )


def _shown(table: Table, hospital: str | None) -> int:
    """Numbers in a table's rows: all of them, or those of one hospital."""
    column = table.columns.index(HOSPITAL) if HOSPITAL in table.columns else None
    rows = [row for row in table.rows if hospital is None or (column is not None and row[column] == hospital)]
    return sum(isinstance(value, int | float) for row in rows for value in row)
