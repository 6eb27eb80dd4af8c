"""A definition under the linter: its nodes, each with its place in the file.

Responsible for: walking nodes and file side by side (the parser keeps the file's order, so places follow from it). Not
responsible for: judging.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dure.cohort import notation
from dure.cohort.circe.document import path_of
from dure.cohort.circe.nodes import CohortExpression, Correlated, Criterion, Filter, Group
from dure.cohort.lint.finding import Check, Finding

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Found:
    """A criterion and where its body stands; `where` says which part of the definition it belongs to."""

    place: Place
    criterion: Criterion
    where: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """`raw` is the expression as the file has it; `prefix` its path in the file."""

    expression: CohortExpression
    raw: dict[str, Any]
    prefix: str

    @cached_property
    def names(self) -> dict[int, str]:
        return {each.id: each.name for each in self.expression.concept_sets}

    def found(self, check: Check, place: Place, **values: object) -> Finding:
        path = self.prefix
        for part in place:
            path = path_of((path, part))
        return Finding(check=check, path=path, values=values)

    def at(self, place: Place) -> Any:
        """What the file has at a place."""
        held: Any = self.raw
        for part in place:
            held = held[part]
        return held

    def title(self, each: Criterion) -> str:
        return notation.title(each, self.names)

    @cached_property
    def top_groups(self) -> tuple[tuple[Place, Group], ...]:
        """The groups that an entry event must satisfy."""
        found: list[tuple[Place, Group]] = []
        if self.expression.additional is not None:
            found.append((("AdditionalCriteria",), self.expression.additional))
        found += [
            (("InclusionRules", at, "expression"), rule.group)
            for at, rule in enumerate(self.expression.inclusion_rules)
        ]
        return tuple(found)

    @cached_property
    def parts(self) -> "tuple[list[Found], list[tuple[Place, Group]], list[tuple[Place, Correlated]]]":
        criteria: list[Found] = []
        groups: list[tuple[Place, Group]] = []
        correlated: list[tuple[Place, Correlated]] = []

        def see(place: Place, each: Criterion, where: str) -> None:
            criteria.append(Found(place, each, where))
            if each.correlated is not None:
                see_group((*place, "CorrelatedCriteria"), each.correlated)

        def see_group(place: Place, group: Group) -> None:
            groups.append((place, group))
            for at, part in enumerate(group.criteria):
                here = (*place, "CriteriaList", at)
                correlated.append((here, part))
                see((*here, "Criteria", part.criterion.type), part.criterion, "group")
            for at, inner in enumerate(group.groups):
                see_group((*place, "Groups", at), inner)

        for at, each in enumerate(self.expression.primary):
            see(("PrimaryCriteria", "CriteriaList", at, each.type), each, "entry")
        for place, group in self.top_groups:
            see_group(place, group)
        for at, each in enumerate(self.expression.censoring):
            see(("CensoringCriteria", at, each.type), each, "censoring")
        return criteria, groups, correlated

    @property
    def criteria(self) -> list[Found]:
        """Every criterion, the outer before the inner."""
        return self.parts[0]

    @property
    def groups(self) -> list[tuple[Place, Group]]:
        return self.parts[1]

    @property
    def correlated(self) -> list[tuple[Place, Correlated]]:
        return self.parts[2]

    def filters(self) -> Iterator[tuple[Place, Filter, str | None]]:
        """Every filter with its place and criteria type (None for demographics)."""
        for found in self.criteria:
            for each in found.criterion.filters:
                yield (*found.place, each.property), each, found.criterion.type
        for place, group in self.groups:
            for at, demographic in enumerate(group.demographics):
                for each in demographic:
                    yield (*place, "DemographicCriteriaList", at, each.property), each, None
