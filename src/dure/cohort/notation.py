"""Short forms of a definition's parts in signs and the file's own words, the same in every language.

Responsible for: one line for a criterion, a window, a count, a value. Not responsible for: sentences (`explain`, `diff`, `lint`).
"""

from collections.abc import Iterable, Mapping

from dure.cohort.circe.nodes import (
    Comparison,
    Concepts,
    Correlated,
    Criterion,
    CustomEra,
    DateField,
    DateOffset,
    Filter,
    Flag,
    Group,
    Occurrence,
    OccurrenceType,
    Period,
    Range,
    Selection,
    Text,
    Value,
    Window,
)
from dure.omop.concept_sets import ConceptSetItem

Names = Mapping[int, str]

_SIGNS = {
    Comparison.LESS: "< {}",
    Comparison.AT_MOST: "≤ {}",
    Comparison.EQUAL: "= {}",
    Comparison.UNEQUAL: "≠ {}",
    Comparison.MORE: "> {}",
    Comparison.AT_LEAST: "≥ {}",
    Comparison.BETWEEN: "{} … {}",
    Comparison.NOT_BETWEEN: "∉ {} … {}",
}
_TIMES = {OccurrenceType.EXACTLY: "=", OccurrenceType.AT_MOST: "≤", OccurrenceType.AT_LEAST: "≥"}
MOST_LISTED = 8


def quoted(codeset: int, names: Names) -> str:
    return f"“{names.get(codeset) or codeset}”"


def title(each: Criterion, names: Names) -> str:
    """Type and concept sets."""
    sets = [number for number in (each.codeset, each.source_codeset) if number is not None]
    return " ".join([each.type, *(quoted(number, names) for number in sets)])


def attributes(each: Criterion, names: Names) -> dict[str, str]:
    """What a criterion asks beside its concept sets and nested criteria, by property."""
    found = {"First": "✓"} if each.first else {}
    found |= {filter_.property: value(filter_.value, names) for filter_ in each.filters}
    if each.adjustment is not None:
        moved = each.adjustment
        found["DateAdjustment"] = (
            f"{moved.start_with}{moved.start_offset:+d} … {moved.end_with}{moved.end_offset:+d}"
        )
    if each.period is not None:
        found["UserDefinedPeriod"] = period(each.period)
    if each.parts:
        found["CriteriaList"] = "; ".join(criterion(part, names) for part in each.parts)
        found["GapDays"] = str(each.gap_days)
    return found


def criterion(each: Criterion, names: Names) -> str:
    """The whole criterion on one line."""
    parts = [title(each, names), *(f"{name} {told}" for name, told in attributes(each, names).items())]
    return ", ".join(parts) + (f" [{group(each.correlated, names)}]" if each.correlated else "")


def correlated(each: Correlated, names: Names) -> str:
    told = [f"{name} {value_}" for name, value_ in relation(each).items() if name != "Occurrence"]
    return f"{times(each.occurrence)} {criterion(each.criterion, names)} ({'; '.join(told)})"


def relation(each: Correlated) -> dict[str, str]:
    """How often and where a correlated criterion's events must lie, by property."""
    found = {"Occurrence": times(each.occurrence), "StartWindow": window(each.windows[0])}
    if len(each.windows) > 1:
        found["EndWindow"] = window(each.windows[1])
    if each.same_visit:
        found["RestrictVisit"] = "✓"
    if each.ignore_observation_period:
        found["IgnoreObservationPeriod"] = "✓"
    return found


def group(each: Group, names: Names) -> str:
    parts = [correlated(part, names) for part in each.criteria]
    parts += [demographic(part, names) for part in each.demographics]
    parts += [f"[{group(part, names)}]" for part in each.groups]
    return f"{kind(each)}: {'; '.join(parts)}" if parts else "∅"


def kind(each: Group) -> str:
    return f"{each.type} {each.count}" if each.type.startswith("AT_") else str(each.type)


def demographic(filters: Iterable[Filter], names: Names) -> str:
    return ", ".join(f"{each.property} {value(each.value, names)}" for each in filters) or "∅"


def times(occurrence: Occurrence) -> str:
    distinct = f" {occurrence.distinct}" if occurrence.distinct else ""
    return f"{_TIMES[occurrence.type]} {occurrence.count}{distinct}×"


def window(each: Window) -> str:
    """`-365 … 0`; `-∞` and `∞` reach as far as observation; an end date that is looked at or counted from is named."""
    ends = [
        ("-∞" if end.before else "∞") if end.days is None else str(end.days) for end in (each.start, each.end)
    ]
    looked = "end " if each.event is DateField.END else ""
    counted = " from end" if each.index is DateField.END else ""
    return f"{looked}{' … '.join(ends)}{counted}"


def value(held: Value, names: Names) -> str:
    match held:
        case Range(op=op, value=low, extent=high):
            return _SIGNS[op].format(low, high)
        case Concepts(ids=ids, exclude=exclude):
            more = " …" if len(ids) > MOST_LISTED else ""
            return f"{'∉' if exclude else '∈'} {{{', '.join(map(str, ids[:MOST_LISTED]))}{more}}}"
        case Selection(codeset=None, exclude=exclude):
            return "= ∅" if exclude else "≠ ∅"
        case Selection(codeset=int(codeset), exclude=exclude):
            return f"{'∉' if exclude else '∈'} {quoted(codeset, names)}"
        case Text(pattern=pattern, negated=negated):
            return f"{'≠' if negated else '='} {pattern!r}"
        case Flag():
            return "✓"
    raise TypeError(f"{type(held).__name__} is no value of a filter")


def period(each: Period) -> str:
    return f"{each.start or '-∞'} … {each.end or '∞'}"


def end(each: DateOffset | CustomEra | None, names: Names) -> str:
    match each:
        case None:
            return "observation end"
        case DateOffset(field=field, days=days):
            return f"{field}{days:+d}"
        case CustomEra(codeset=codeset, gap_days=gap, offset=offset, days_supply=supply):
            told = f"era {quoted(codeset, names)} GapDays {gap}, Offset {offset}"
            return told if supply is None else f"{told}, DaysSupplyOverride {supply}"


def item(each: ConceptSetItem) -> str:
    """`201826+` takes descendants in, `~` mapped concepts, `−` before it takes it all away."""
    return f"{'−' if each.excluded else ''}{each.concept}{'+' * each.descendants}{'~' * each.mapped}"
