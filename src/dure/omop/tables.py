"""The tables of the OMOP Common Data Model 5.3 and 5.4, as data.

Responsible for: which tables and columns each version has, their types, which columns may not be empty, which column
identifies a row, which tables a database needs to be a CDM at all, and which names one column has had.
Not responsible for: reading or making a database.

Source: the field-level specification of OHDSI's CommonDataModel, with two decisions of ours: every integer has 64 bits
(identifiers of real hospitals overflow 32) and every number is a binary double (a decimal of three places loses digits).

The files beside this one write a table as text, `name type` separated by commas. `!` after the type: may not be empty.
`key`: identifies the row. `5.3` or `5.4`: exists in that version only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType

from dure.omop.clinical import CLINICAL
from dure.omop.health_system import HEALTH_SYSTEM
from dure.omop.vocabulary import VOCABULARY

VERSIONS = ("5.3", "5.4")
NECESSARY = frozenset({"person", "observation_period", "concept", "concept_ancestor"})
"""Tables without which no cohort can be found; every other table may be absent or empty."""
VOCABULARY_TABLES = frozenset(VOCABULARY)
BEYOND = frozenset({"episode", "location_history"})
"""Tables that a database of either version may have besides: `episode` came with 5.4, `location_history` is of CDM 6. What reads
them can be asked where they are."""
_BEYOND = {
    "drug_exposure": "effective_drug_dose float,dose_unit_concept_id int",
    "location": "region_concept_id int",
    "location_history": "location_history_id int,location_id int,relationship_type_concept_id int,domain_id text,"
    "entity_id int,start_date date,end_date date",
}
"""Columns of other versions that definitions speak of."""
_ONLY = {"episode": "5.4", "episode_event": "5.4", "attribute_definition": "5.3"}


class ColumnType(Enum):
    """What a column holds. INTEGER has 64 bits; FLOAT is a 64-bit double; DATETIME has microseconds and no zone."""

    INTEGER = "int"
    FLOAT = "float"
    DATE = "date"
    DATETIME = "datetime"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str
    type: ColumnType
    required: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table; `columns` are in the model's order, `key` names the column that identifies a row, if one does."""

    name: str
    columns: tuple[Column, ...]
    key: str | None

    def column(self, name: str) -> Column | None:
        """The column of this name (lower case), or None."""
        return next((column for column in self.columns if column.name == name), None)


@cache
def tables(version: str) -> Mapping[str, Table]:
    """All tables of one version of the CDM, by lower-case name, in the specification's order.

    Raises:
        KeyError: the version is not in `VERSIONS`.
    """
    if version not in VERSIONS:
        raise KeyError(version)
    written = {**CLINICAL, **HEALTH_SYSTEM, **VOCABULARY}
    return MappingProxyType(
        {
            name: _table(name, text, version)
            for name, text in written.items()
            if _ONLY.get(name, version) == version
        }
    )


@cache
def readable(version: str) -> frozenset[str]:
    """Names of the tables that a database of this version may have: the model's and those `BEYOND` it."""
    return frozenset(tables(version)) | BEYOND


def column_type(table: str, column: str, version: str) -> ColumnType | None:
    """What a column holds: as this version says, else the latest, else those `BEYOND`; None if none of them has it."""
    for model in (tables(version), tables(VERSIONS[-1]), _beyond()):
        known = model[table].column(column) if table in model else None
        if known is not None:
            return known.type
    return None


@cache
def renamed(version: str) -> Mapping[tuple[str, str], str]:
    """(table, another name of a column) -> its name in this version: the other version's, or a known misspelling's."""
    pairs = (
        _RENAMED_IN_5_4 if version == "5.4" else {(t, new): old for (t, old), new in _RENAMED_IN_5_4.items()}
    )
    return MappingProxyType({**pairs, ("cost", "reveue_code_source_value"): "revenue_code_source_value"})


_RENAMED_IN_5_4 = {
    ("visit_occurrence", "admitting_source_concept_id"): "admitted_from_concept_id",
    ("visit_occurrence", "admitting_source_value"): "admitted_from_source_value",
    ("visit_occurrence", "discharge_to_concept_id"): "discharged_to_concept_id",
    ("visit_occurrence", "discharge_to_source_value"): "discharged_to_source_value",
    ("visit_detail", "admitting_source_concept_id"): "admitted_from_concept_id",
    ("visit_detail", "admitting_source_value"): "admitted_from_source_value",
    ("visit_detail", "discharge_to_concept_id"): "discharged_to_concept_id",
    ("visit_detail", "discharge_to_source_value"): "discharged_to_source_value",
    ("visit_detail", "visit_detail_parent_id"): "parent_visit_detail_id",
}


@cache
def _beyond() -> Mapping[str, Table]:
    return {name: _table(name, text, VERSIONS[-1]) for name, text in _BEYOND.items()}


def _table(name: str, text: str, version: str) -> Table:
    columns = []
    key = None
    for item in text.split(","):
        column, type_, *marks = item.split()
        if ("5.3" in marks or "5.4" in marks) and version not in marks:
            continue
        if "key" in marks:
            key = column
        columns.append(
            Column(name=column, type=ColumnType(type_.removesuffix("!")), required=type_.endswith("!"))
        )
    return Table(name=name, columns=tuple(columns), key=key)
