"""The vocabulary of a synthetic hospital: some hundreds of concepts with ancestors, maps and Korean synonyms.

Responsible for: reading `concepts.csv`, the closure of its hierarchy, and the vocabulary tables made from both. Real
concepts keep their real ids; invented ones have ids from 2,000,000,000 and say "synthetic" in their name. Every
standard condition, drug, procedure and measurement also has one local code (ids from 2,100,000,000) that maps to it, as
a hospital's own codes do. Not responsible for: how often a concept is used.
"""

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa

from dure.demo.synth.arrays import Ints

LOCAL = 2_100_000_000
KOREAN = 4175771
CODED_LOCALLY = frozenset({"Condition", "Drug", "Procedure", "Measurement"})
INVENTED = ("Dure Synthetic", "Dure Local")
VOCABULARY_VERSION = "Dure synthetic vocabulary 1"


@dataclass(frozen=True, kw_only=True)
class Concept:
    """One concept of `concepts.csv`; `standard` is "S", "C" (classification) or "" (neither)."""

    id: int
    name: str
    domain: str
    vocabulary: str
    concept_class: str
    standard: str
    code: str
    parents: tuple[int, ...]
    korean: str


@cache
def concepts() -> tuple[Concept, ...]:
    """All concepts, by ascending id; a concept's place in this tuple is its *index*."""
    text = files("dure.demo.synth").joinpath("concepts.csv").read_text(encoding="utf-8")
    found = [
        Concept(
            id=int(row["concept_id"]),
            name=row["name"],
            domain=row["domain"],
            vocabulary=row["vocabulary"],
            concept_class=row["class"],
            standard=row["standard"],
            code=row["code"],
            parents=tuple(map(int, row["parents"].split())),
            korean=row["korean"],
        )
        for row in csv.DictReader(text.splitlines())
    ]
    return tuple(sorted(found, key=lambda concept: concept.id))


@dataclass(frozen=True, kw_only=True)
class Codes:
    """What a row with the concept of an index says: its standard concept (0 where there is none), its local code's
    concept, and the local code as text. Each has one entry per index."""

    id: Ints
    standard: Ints
    source: Ints
    text: pa.StringArray

    def index(self, concept: Ints) -> Ints:
        """The indices of concept ids, all of which exist."""
        return np.searchsorted(self.id, concept).astype(np.int32)


@cache
def codes() -> Codes:
    """The lookups of every concept."""
    everything = concepts()
    ids = [concept.id for concept in everything]
    return Codes(
        id=np.array(ids, np.int32),
        standard=np.array([concept.id if concept.standard else 0 for concept in everything], np.int32),
        source=np.array([_source(i, concept) for i, concept in enumerate(everything)], np.int32),
        text=pa.array([_local_code(i, concept) for i, concept in enumerate(everything)]),
    )


def name(concept: int) -> str:
    """The name of a concept."""
    return next(known.name for known in concepts() if known.id == concept)


def products(ingredient: int) -> tuple[int, ...]:
    """The products that hold an ingredient, in the order of the file."""
    return tuple(concept.id for concept in concepts() if ingredient in concept.parents)


@cache
def ingredient_of() -> Ints:
    """Per index: the ingredient of a product; 0 for all that isn't a product."""
    return np.array(
        [c.parents[0] if c.concept_class == "Synthetic Product" else 0 for c in concepts()], np.int32
    )


@cache
def ancestors() -> dict[tuple[int, int], tuple[int, int]]:
    """(ancestor, descendant) -> (least, most) levels between them, along any path; a concept is its own, at 0."""
    parents = {concept.id: concept.parents for concept in concepts()}
    closure: dict[tuple[int, int], tuple[int, int]] = {}

    def climb(descendant: int, here: int, level: int) -> None:
        least, most = closure.get((here, descendant), (level, level))
        closure[here, descendant] = (min(least, level), max(most, level))
        for parent in parents[here]:
            climb(descendant, parent, level + 1)

    for concept in concepts():
        if concept.standard:
            climb(concept.id, concept.id, 0)
    return closure


def tables() -> dict[str, pa.Table]:
    """The vocabulary tables of CDM 5.4."""
    return {
        "concept": _table(_concept_rows()),
        "concept_ancestor": _table(_ancestor_rows()),
        "concept_relationship": _table(_relationship_rows()),
        "concept_synonym": _table(_synonym_rows()),
        "vocabulary": _table(_vocabulary_rows()),
        "domain": _table(_named_rows("domain", {concept.domain for concept in concepts()})),
        "concept_class": _table(_named_rows("concept_class", _classes())),
        "relationship": _table(_kinds_of_relationship()),
        "drug_strength": _table(_strength_rows()),
    }


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)


def _coded_locally(concept: Concept) -> bool:
    return concept.domain in CODED_LOCALLY and concept.standard == "S"


def _source(index: int, concept: Concept) -> int:
    if _coded_locally(concept):
        return LOCAL + index
    return 0 if concept.standard else concept.id


def _local_code(index: int, concept: Concept) -> str:
    return f"LC-{index:04d}" if _coded_locally(concept) else concept.code


VALID = {"valid_start_date": date(1970, 1, 1), "valid_end_date": date(2099, 12, 31)}


def _concept_rows() -> list[dict[str, Any]]:
    rows = []
    for index, concept in enumerate(concepts()):
        named = {
            "concept_id": concept.id,
            "concept_name": concept.name,
            "domain_id": concept.domain,
            "vocabulary_id": concept.vocabulary,
            "concept_class_id": concept.concept_class,
            "standard_concept": concept.standard or None,
            "concept_code": concept.code,
            "invalid_reason": None,
            **VALID,
        }
        rows.append(named)
        if _coded_locally(concept):
            rows.append(
                named
                | {
                    "concept_id": LOCAL + index,
                    "concept_name": f"{concept.name} (synthetic local code)",
                    "vocabulary_id": "Dure Local",
                    "concept_class_id": "Local Code",
                    "standard_concept": None,
                    "concept_code": _local_code(index, concept),
                }
            )
    return rows


def _ancestor_rows() -> list[dict[str, Any]]:
    return [
        {
            "ancestor_concept_id": ancestor,
            "descendant_concept_id": descendant,
            "min_levels_of_separation": least,
            "max_levels_of_separation": most,
        }
        for (ancestor, descendant), (least, most) in ancestors().items()
    ]


def _relationship_rows() -> list[dict[str, Any]]:
    pairs: list[tuple[int, int, str]] = []
    for index, concept in enumerate(concepts()):
        if concept.standard == "S":
            pairs += [(concept.id, concept.id, "Maps to"), (concept.id, concept.id, "Mapped from")]
        if _coded_locally(concept):
            pairs += [
                (LOCAL + index, concept.id, "Maps to"),
                (concept.id, LOCAL + index, "Mapped from"),
            ]
        for parent in concept.parents:
            pairs += [(concept.id, parent, "Is a"), (parent, concept.id, "Subsumes")]
    return [
        {
            "concept_id_1": one,
            "concept_id_2": two,
            "relationship_id": kind,
            "invalid_reason": None,
            **VALID,
        }
        for one, two, kind in pairs
    ]


def _synonym_rows() -> list[dict[str, Any]]:
    return [
        {
            "concept_id": concept.id,
            "concept_synonym_name": concept.korean,
            "language_concept_id": KOREAN,
        }
        for concept in concepts()
        if concept.korean
    ]


def _vocabulary_rows() -> list[dict[str, Any]]:
    names = sorted({concept.vocabulary for concept in concepts()} | set(INVENTED))
    return [
        {
            "vocabulary_id": vocabulary,
            "vocabulary_name": f"{vocabulary} (invented for synthetic data)"
            if vocabulary in INVENTED
            else vocabulary,
            "vocabulary_reference": "Dure synthetic data",
            "vocabulary_version": VOCABULARY_VERSION if vocabulary == "None" else None,
            "vocabulary_concept_id": 0,
        }
        for vocabulary in names
    ]


def _classes() -> set[str]:
    return {concept.concept_class for concept in concepts()} | {"Local Code"}


def _named_rows(kind: str, names: set[str]) -> list[dict[str, Any]]:
    return [{f"{kind}_id": each, f"{kind}_name": each, f"{kind}_concept_id": 0} for each in sorted(names)]


def _kinds_of_relationship() -> list[dict[str, Any]]:
    pairs = (("Maps to", "Mapped from", "0"), ("Mapped from", "Maps to", "0"), ("Is a", "Subsumes", "1"), ("Subsumes", "Is a", "1"))  # fmt: skip
    return [
        {
            "relationship_id": kind,
            "relationship_name": kind,
            "is_hierarchical": hierarchical,
            "defines_ancestry": "1" if kind == "Subsumes" else "0",
            "reverse_relationship_id": reverse,
            "relationship_concept_id": 0,
        }
        for kind, reverse, hierarchical in pairs
    ]


def _strength_rows() -> list[dict[str, Any]]:
    return [
        {
            "drug_concept_id": concept.id,
            "ingredient_concept_id": concept.parents[0],
            **VALID,
        }
        for concept in concepts()
        if concept.concept_class == "Synthetic Product"
    ]
