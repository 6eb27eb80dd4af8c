"""A cohort definition as a plan: typed nodes of the language to a small graph of relations.

Responsible for: what every part of the language means in terms of `relations`. Not responsible for: reading files, SQL.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from dure.cohort.circe import nodes
from dure.cohort.circe.language import CRITERIA_TYPES, DEMOGRAPHICS, Attribute, Kind
from dure.cohort.normal import normalised
from dure.cohort.predicates import (
    Abnormal,
    Between,
    Compare,
    InConceptSet,
    InRegion,
    Known,
    Like,
    OneOf,
    Operand,
    Predicate,
)
from dure.cohort.problems import UnknownVersion
from dure.cohort.relations import (
    AnyEvents,
    Attrition,
    Clipped,
    Collapsed,
    Combined,
    ConceptIds,
    Counted,
    DrugEras,
    Eras,
    Events,
    Everyone,
    Included,
    Index,
    Keys,
    Observed,
    OfPerson,
    Primary,
    Qualified,
    Residences,
    Rows,
    Stays,
    Such,
)

CDM_VERSIONS = ("5.3", "5.4")
_SIGNS = {
    nodes.Comparison.LESS: "<",
    nodes.Comparison.AT_MOST: "<=",
    nodes.Comparison.EQUAL: "=",
    nodes.Comparison.UNEQUAL: "<>",
    nodes.Comparison.MORE: ">",
    nodes.Comparison.AT_LEAST: ">=",
}


@dataclass(frozen=True, kw_only=True)
class CohortPlan:
    """A plan.

    Attributes:
        name: the definition's name, for people.
        cdm_version: 5.3 or 5.4; what a plan reads is the same in both.
        rules: names of the inclusion rules, bit 0 of the mask first.
        attrition: qualified events with their masks, before the expression limit.
        rows: the cohort.
    """

    name: str
    cdm_version: str
    rules: tuple[str, ...]
    attrition: Attrition
    rows: Rows

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is computed; names don't count."""
        text = f"{self.cdm_version}/{self.attrition.digest}/{self.rows.digest}"
        return hashlib.sha256(text.encode()).hexdigest()


def plan(expression: nodes.CohortExpression, *, cdm_version: str) -> CohortPlan:
    """The plan of a definition.

    Raises:
        UnknownVersion: `cdm_version` isn't 5.3 or 5.4.
    """
    if cdm_version not in CDM_VERSIONS:
        raise UnknownVersion(
            f"There is no plan for CDM {cdm_version!r}.",
            where="cdm_version",
            mend=f"Use one of {', '.join(CDM_VERSIONS)}.",
        )
    planner = _Planner(normalised(expression))
    attrition = planner.attrition()
    return CohortPlan(
        name=expression.name,
        cdm_version=cdm_version,
        rules=tuple(rule.name for rule in expression.inclusion_rules),
        attrition=attrition,
        rows=planner.rows(attrition),
    )


class _Planner:
    """One definition's planning."""

    def __init__(self, expression: nodes.CohortExpression) -> None:
        self.expression = expression
        self.items = {each.id: each.items for each in expression.concept_sets}

    def attrition(self) -> Attrition:
        expression = self.expression
        primary = Primary(
            criteria=tuple(self._events(criterion, None) for criterion in expression.primary),
            prior_days=expression.prior_days,
            post_days=expression.post_days,
            limit=expression.primary_limit,
        )
        index: Primary | Qualified = primary
        if expression.additional is not None:
            group = expression.additional
            keys = None if group.is_empty else self._group(group, primary)
            limit = expression.qualified_limit if self._several(primary.limit) else nodes.Limit.ALL
            if keys is not None or limit is not nodes.Limit.ALL:
                index = Qualified(index=primary, keys=keys, limit=limit)
        rules = tuple(self._group(rule.group, index) for rule in expression.inclusion_rules)
        return Attrition(index=index, rules=rules)

    @staticmethod
    def _several(limit: nodes.Limit) -> bool:
        """Whether a person can have more than one event after the limit."""
        return limit is nodes.Limit.ALL

    def rows(self, attrition: Attrition) -> Rows:
        expression, index = self.expression, attrition.index
        several = self._several(expression.primary_limit) and self._several(
            index.limit if isinstance(index, Qualified) else nodes.Limit.ALL
        )
        limit = expression.expression_limit if several else nodes.Limit.ALL
        end = expression.end
        stays = Stays(
            included=Included(attrition=attrition, limit=limit),
            offset=end if isinstance(end, nodes.DateOffset) else None,
            eras=self._eras(end) if isinstance(end, nodes.CustomEra) else None,
            censors=tuple(self._events(criterion, None) for criterion in expression.censoring),
        )
        rows: Stays | Collapsed = stays
        if several and self._several(limit):
            rows = Collapsed(stays=stays, pad=expression.era_pad)
        return Clipped(stays=rows, window=expression.censor_window) if expression.censor_window else rows

    def _eras(self, end: nodes.CustomEra) -> DrugEras:
        return DrugEras(
            concepts=ConceptIds(items=self.items[end.codeset]),
            gap_days=end.gap_days,
            offset=end.offset,
            days_supply=end.days_supply,
        )

    def _concepts(self, codeset: int | None) -> ConceptIds | None:
        return None if codeset is None else ConceptIds(items=self.items[codeset])

    def _events(self, criterion: nodes.Criterion, counted: Operand | None) -> AnyEvents:
        kind = CRITERIA_TYPES[criterion.type]
        events = Events(
            table=kind.table.name,
            concepts=self._concepts(criterion.codeset),
            source_concepts=self._concepts(criterion.source_codeset),
            first=criterion.first,
            adjustment=criterion.adjustment,
            period=criterion.period,
            where=tuple(
                self._predicate(kind.attribute(each.property), each.value) for each in criterion.filters
            ),
            counted=counted,
            of=self._derived(criterion),
        )
        if criterion.correlated is None:
            return events
        observed = Observed(events=events if counted is None else self._plain(criterion))
        return Such(events=events, keys=self._group(criterion.correlated, observed))

    def _derived(self, criterion: nodes.Criterion) -> Eras | Residences | None:
        if criterion.parts:
            parts = tuple(self._events(part, None) for part in criterion.parts)
            return Eras(parts=parts, gap_days=criterion.gap_days)
        return Residences() if CRITERIA_TYPES[criterion.type].table.name == "residences" else None

    def _plain(self, criterion: nodes.Criterion) -> Events:
        events = self._events(criterion, None)
        return events.events if isinstance(events, Such) else events

    def _group(self, group: nodes.Group, index: Index) -> Keys:
        if group.is_empty:
            return Everyone(index=index)
        parts: list[Keys] = [self._counted(each, index) for each in group.criteria]
        parts += [self._of_person(each, index) for each in group.demographics]
        parts += [self._group(each, index) for each in group.groups]
        count = {nodes.GroupType.ALL: len(parts), nodes.GroupType.ANY: 1}.get(group.type, group.count)
        at_most = group.type is nodes.GroupType.AT_MOST
        if not at_most and count == 0:
            return Everyone(index=index)
        if not at_most and len(parts) == 1 == count:
            return parts[0]
        return Combined(index=index, parts=tuple(parts), at_most=at_most, count=count)

    def _counted(self, correlated: nodes.Correlated, index: Index) -> Keys:
        occurrence = correlated.occurrence
        if occurrence.type is nodes.OccurrenceType.AT_LEAST and occurrence.count == 0:
            return Everyone(index=index)
        kind = CRITERIA_TYPES[correlated.criterion.type]
        counted = kind.counts[occurrence.distinct] if occurrence.distinct else None
        never = occurrence.type is nodes.OccurrenceType.EXACTLY and occurrence.count == 0
        return Counted(
            index=index,
            events=self._events(correlated.criterion, counted),
            windows=correlated.windows,
            within_observation=not correlated.ignore_observation_period,
            same_visit=correlated.same_visit,
            occurrence=nodes.OccurrenceType.AT_MOST if never else occurrence.type,
            count=occurrence.count,
            distinct=counted is not None,
        )

    def _of_person(self, filters: tuple[nodes.Filter, ...], index: Index) -> OfPerson:
        attributes = {attribute.property: attribute for attribute in DEMOGRAPHICS}
        where = tuple(self._predicate(attributes[each.property], each.value) for each in filters)
        return OfPerson(index=index, where=where)

    def _predicate(self, attribute: Attribute, value: nodes.Value) -> Predicate:
        operand = attribute.operand
        if attribute.kind is Kind.REGION and isinstance(value, nodes.Selection):
            return InRegion(items=self.items[value.codeset or 0])
        if operand is None:
            return Abnormal()
        match value:
            case nodes.Range(op=op, value=low, extent=high) if high is not None:
                return Between(
                    operand=operand, low=low, high=high, negated=op is nodes.Comparison.NOT_BETWEEN
                )
            case nodes.Range(op=op, value=low):
                return Compare(operand=operand, op=_SIGNS[op], value=low)
            case nodes.Concepts(ids=ids, exclude=exclude):
                return OneOf(operand=operand, ids=ids, negated=exclude)
            case nodes.Selection(codeset=codeset, exclude=exclude):
                if codeset is None:
                    return Known(operand=operand, negated=exclude)
                return InConceptSet(operand=operand, items=self.items[codeset], negated=exclude)
            case nodes.Text(pattern=pattern, negated=negated):
                return Like(operand=operand, pattern=pattern, negated=negated)
            case nodes.Flag():
                return Abnormal()
