"""The manual's tables of the language and its quirks, from the tables that the parser follows.

Responsible for: Markdown. Not responsible for: what is in the tables (`language`, `quirks`).
"""

from collections.abc import Iterator

from dure.cohort.circe.language import CRITERIA_TYPES, DEMOGRAPHICS, Attribute, CriteriaType
from dure.cohort.circe.quirks import QUIRKS

_READS = {"eras": "the events of `CriteriaList`", "residences": "`location_history`, `location`"}


def language_table() -> str:
    """The language, one property a row."""
    lines = ["| criteria type | table | property | value | quirk |", "|---|---|---|---|---|"]
    for each in CRITERIA_TYPES.values():
        own = [("CodesetId", each.has_codeset), (each.source, each.source), ("First", each.has_first)]
        own += [("CriteriaList", each.has_parts), ("GapDays", each.has_parts)]
        own += [
            ("UserDefinedPeriod", each.has_period),
            ("DateAdjustment", True),
            ("CorrelatedCriteria", True),
        ]
        plain = ", ".join(f"`{name}`" for name, there in own if there)
        reads = _READS.get(each.table.name, f"`{each.table.name}`")
        lines.append(f"| **{each.name}** | {reads} | {plain} | | {_linked(_of_type(each))} |")
        lines += _rows(each.attributes)
        lines.append(f"| | | `CountColumn` | {', '.join(f'`{name}`' for name in each.counts)} | |")
    lines.append("| demographic criteria | `person` | | | |")
    return "\n".join([*lines, *_rows(DEMOGRAPHICS)])


def quirks_table() -> str:
    """The quirks, one a row."""
    lines = ["| quirk | what Circe does | what Dure does | why |", "|---|---|---|---|"]
    lines += [f"| `{each.name}` | {each.circe} | {each.dure} | {each.why} |" for each in QUIRKS.values()]
    return "\n".join(lines)


def _rows(attributes: tuple[Attribute, ...]) -> Iterator[str]:
    for attribute in attributes:
        excludes = f" (`{attribute.exclude}` turns it round)" if attribute.exclude else ""
        yield f"| | | `{attribute.property}` | {attribute.kind}{excludes} | {_linked(attribute.quirk)} |"


def _of_type(each: CriteriaType) -> str:
    return each.adjusting_quirk or {
        "Episode": "episode-domain-concept",
        "CustomEra": "custom-era-without-end",
    }.get(each.name, "")


def _linked(quirk: str) -> str:
    return f"`{quirk}`" if quirk else ""
