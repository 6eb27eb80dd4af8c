"""The report: what the asker gets, as data. Not responsible for: drawing it (`dure.look`), computing it (`kinds`)."""

from enum import StrEnum
from typing import Literal

from dure.wire.codec import Moment, message
from dure.wire.rules import Mode, Rules

Value = str | int | float | None


@message
class Table:
    """A table with stable column names. None is a hidden number, which is not zero.

    Attributes:
        name: by which a program finds it ("attrition").
        title: what a person reads, in English; `dure.look.words` translates it.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@message
class Chart:
    """A drawing of a table: which columns go where.

    Attributes:
        form: bars of `y` by `x`; a funnel (bars in the table's order); points with an interval `low` to `high`; a step line of `y`
            over the number `x` with a band `low` to `high` (survival); a forest (a row for each `x` with the estimate `y` and
            its interval, if any); a scatter of `y` against the number `x` with the diagonal; a sankey or a sunburst of the paths
            `x` ("a > b") with their people `y`.
        panel: draws one small chart for each of this column's values.
        group: draws one series, in a colour of its own, for each of this column's values (step, forest, scatter).
        reference: values of `y` at which a line stands, such as 1 for a ratio (step, forest).
        log: whether `y` is drawn on a logarithmic scale (step, forest).
    """

    table: str
    title: str
    form: Literal["bars", "funnel", "interval", "step", "forest", "scatter", "sankey", "sunburst"]
    x: str
    y: str
    low: str | None = None
    high: str | None = None
    panel: str | None = None
    group: str | None = None
    reference: tuple[float, ...] = ()
    log: bool = False


class Part(StrEnum):
    """What became of a hospital in a study."""

    ANSWERED = "answered"
    DECLINED = "declined"
    SILENT = "silent"
    REFUSED = "refused"
    DROPPED = "dropped"


@message
class Participation:
    """One hospital's part: always said, so that a missing hospital is never taken for a small one."""

    hospital: str
    part: Part
    reason: str
    permit: str | None = None
    dataset_version: str | None = None


@message
class Report:
    """A study's answer.

    Attributes:
        banners: what must be read before any number ("synthetic data", "rules off").
        methods: the methods section, a paragraph each.
        study, manifest: digests, by which every signature can be checked.
    """

    title: str
    kind: str
    asker: str
    mode: Mode
    rules: Rules
    banners: tuple[str, ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...]
    methods: tuple[str, ...]
    participation: tuple[Participation, ...]
    study: str
    manifest: str
    software: str
    finished: Moment
