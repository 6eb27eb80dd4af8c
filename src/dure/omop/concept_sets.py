"""Concept sets: a list of concepts with instructions, and what it means against a vocabulary.

Responsible for: the items of a set and which of a vocabulary's concepts they select. Not responsible for: asking a database
(engines resolve a set by one query with the same meaning), nor for how a file writes a set down.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class ConceptSetItem:
    """One concept of a set.

    Attributes:
        concept: its id.
        descendants: whether the concepts below it belong to the item too.
        mapped: whether the source concepts that map to the item's concepts belong to it too.
        excluded: whether the item is taken away from the set instead of added.
    """

    concept: int
    descendants: bool = False
    mapped: bool = False
    excluded: bool = False


@dataclass(frozen=True, kw_only=True)
class ConceptSet:
    """A named concept set; `id` is its number within the definition that holds it."""

    id: int
    name: str
    items: tuple[ConceptSetItem, ...]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The part of a vocabulary that concept sets read.

    Attributes:
        concepts: all concept ids.
        valid: those without an invalid reason.
        descendants: (ancestor, descendant) pairs.
        mappings: (source, standard) pairs of the valid relation `Maps to`.
    """

    concepts: frozenset[int]
    valid: frozenset[int]
    descendants: frozenset[tuple[int, int]]
    mappings: frozenset[tuple[int, int]]


def canonical(items: Iterable[ConceptSetItem]) -> tuple[ConceptSetItem, ...]:
    """The same set in one order and without repeats, so that equal sets are equal values."""
    return tuple(sorted(set(items)))


def members(items: Iterable[ConceptSetItem], vocabulary: Vocabulary) -> frozenset[int]:
    """The concept ids that a set selects.

    An item selects its concept where the vocabulary has it (valid or not), its valid descendants, and the source concepts
    mapped to either. A set without included items is empty.
    """
    items = tuple(items)
    included = _selected([item for item in items if not item.excluded], vocabulary)
    return included - _selected([item for item in items if item.excluded], vocabulary)


def _selected(items: list[ConceptSetItem], vocabulary: Vocabulary) -> frozenset[int]:
    direct = _with_descendants(items, vocabulary)
    standard = _with_descendants([item for item in items if item.mapped], vocabulary)
    return direct | {source for source, target in vocabulary.mappings if target in standard}


def _with_descendants(items: list[ConceptSetItem], vocabulary: Vocabulary) -> frozenset[int]:
    listed = {item.concept for item in items} & vocabulary.concepts
    ancestors = {item.concept for item in items if item.descendants}
    below = {down for up, down in vocabulary.descendants if up in ancestors and down in vocabulary.valid}
    return frozenset(listed | below)
