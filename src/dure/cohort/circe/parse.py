"""Circe JSON (what ATLAS exports) to typed nodes.

Responsible for: the structure of the file, and refusing, with its JSON path, whatever could change rows and isn't supported.
Criteria types and attributes come from `language`; values from `values`. Not responsible for: planning.
"""

from dataclasses import replace
from typing import Any

from dure.cohort.circe.document import Fields, Part, read, unsupported
from dure.cohort.circe.language import CRITERIA_TYPES, DEMOGRAPHICS, Attribute, CriteriaType, Kind
from dure.cohort.circe.nodes import (
    CohortExpression,
    Correlated,
    Criterion,
    CustomEra,
    DateAdjustment,
    DateField,
    DateOffset,
    Endpoint,
    Filter,
    Group,
    GroupType,
    InclusionRule,
    Limit,
    Occurrence,
    OccurrenceType,
    Window,
)
from dure.cohort.circe.quirks import QUIRKS
from dure.cohort.circe.values import DAYS, codeset_number, days, filter_value, period
from dure.cohort.problems import Contradictory, NotCirce, NotSupported
from dure.omop.concept_sets import ConceptSet, ConceptSetItem, canonical

MAX_RULES = 62
MAX_ERAS = 5
"""How deep a `CustomEra` may be made of others: each is several queries inside one another."""
LABELS = ("description", "createdBy", "createdDate", "modifiedBy", "modifiedDate", "tags", "hasWriteAccess")


def parse(source: bytes | str | dict[str, Any]) -> CohortExpression:
    """A cohort definition from a Circe expression, bare or as ATLAS exports it (`{"name", "expression"}`).

    What has no effect, or another than it seems, is in its `warnings`.

    Raises:
        NotJson, NotCirce: the file isn't what it should be.
        NotSupported: it uses something that could change rows and that Dure can't answer.
        Contradictory: its parts don't fit together.
    """
    document, name = read(source), ""
    if isinstance(document.value, dict) and "expression" in document.value:
        wrapper = document.fields()
        label = wrapper.take("name")
        name = label.text() if label else ""
        wrapper.ignore("id", "expressionType", *LABELS)
        document = wrapper.need("expression").embedded()
        wrapper.finish(describes=True)
    return _Parser(document.fields(), name).expression()


class _Parser:
    """One file's reading."""

    def __init__(self, root: Fields, name: str) -> None:
        self.root = root
        self.name = name
        self.concept_sets: dict[int, ConceptSet] = {}
        self.eras = 0

    def expression(self) -> CohortExpression:
        root = self.root
        root.ignore("cdmVersionRange")
        title = root.take("Title")
        for part in _list(root.take("ConceptSets")):
            self._concept_set(part)
        primary = root.need("PrimaryCriteria").fields()
        criteria = self._criteria(primary.need("CriteriaList"))
        observation = primary.need("ObservationWindow").fields()
        prior, post = (days(observation.take(key), default=0) for key in ("PriorDays", "PostDays"))
        observation.finish()
        additional, end = root.take("AdditionalCriteria"), root.take("EndStrategy")
        result = CohortExpression(
            name=title.text() if title and title.value else self.name,
            concept_sets=tuple(self.concept_sets.values()),
            primary=criteria,
            prior_days=prior,
            post_days=post,
            primary_limit=_limit(primary.take("PrimaryCriteriaLimit")),
            additional=self._group(additional) if additional else None,
            qualified_limit=_limit(root.take("QualifiedLimit")),
            inclusion_rules=self._rules(_list(root.take("InclusionRules"))),
            expression_limit=_limit(root.take("ExpressionLimit")),
            end=self._end(end) if end else None,
            censoring=tuple(self._criterion(part) for part in _list(root.take("CensoringCriteria"))),
            era_pad=_era_pad(root.take("CollapseSettings")),
            censor_window=period(root.take("CensorWindow")),
        )
        primary.finish()
        root.finish()
        return replace(result, warnings=tuple(root.part.heard))

    def _concept_set(self, part: Part) -> None:
        fields = part.fields()
        number = fields.need("id").integer(-(2**31), 2**31 - 1)
        if number in self.concept_sets:
            raise Contradictory(
                f"Two concept sets have the number {number}.",
                where=f"{part.path}.id",
                mend="Renumber one of them.",
            )
        name = fields.take("name")
        expression = fields.need("expression").fields()
        items = canonical(_item(item) for item in _list(expression.take("items")))
        fields.ignore(*LABELS)
        expression.finish()
        fields.finish(describes=True)
        self.concept_sets[number] = ConceptSet(id=number, name=name.text() if name else "", items=items)

    def _codeset(self, part: Part | None) -> int | None:
        return None if part is None else codeset_number(part, self.concept_sets)

    def _criterion(self, part: Part) -> Criterion:
        """`{"ConditionOccurrence": {...}}`: one property, whose name is the type."""
        if not isinstance(part.value, dict) or len(part.value) != 1:
            part.wrong("an object with one property, the criteria type")
        name = next(iter(part.value))
        body = part.fields().need(name)
        if name not in CRITERIA_TYPES:
            raise unsupported(body, name, CRITERIA_TYPES)
        kind, fields = CRITERIA_TYPES[name], body.fields()
        correlated = fields.take("CorrelatedCriteria")
        group = self._group(correlated) if correlated else None
        criterion = Criterion(
            type=name,
            codeset=self._codeset(fields.take("CodesetId")) if kind.has_codeset else None,
            source_codeset=self._codeset(fields.take(kind.source)) if kind.source else None,
            first=_flag(fields.take("First")) if kind.has_first else False,
            filters=self._filters(fields, kind.attributes),
            adjustment=self._adjustment(fields.take("DateAdjustment"), kind),
            period=period(fields.take("UserDefinedPeriod")) if kind.has_period else None,
            correlated=None if group is None or group.is_empty else group,
            parts=self._parts(fields.need("CriteriaList")) if kind.has_parts else (),
            gap_days=days(fields.take("GapDays"), default=0) if kind.has_parts else 0,
        )
        fields.finish()
        return criterion

    def _parts(self, part: Part) -> tuple[Criterion, ...]:
        if self.eras == MAX_ERAS:
            raise NotSupported(
                f"Eras are made of eras more than {MAX_ERAS} deep.",
                where=part.path,
                mend="Name the events themselves.",
            )
        self.eras += 1
        parts = self._criteria(part)
        self.eras -= 1
        return parts

    def _criteria(self, part: Part) -> tuple[Criterion, ...]:
        """A list of criteria that may not be empty: one without would have no events."""
        criteria = tuple(self._criterion(each) for each in part.items())
        if not criteria:
            raise NotCirce(
                "The list of criteria is empty, so there are no events.",
                where=part.path,
                mend="Add the events that are meant.",
            )
        return criteria

    def _filters(self, fields: Fields, attributes: tuple[Attribute, ...]) -> tuple[Filter, ...]:
        parts = {attribute.property: fields.take(attribute.property) for attribute in attributes}
        found = []
        for attribute in attributes:
            part = parts[attribute.property]
            turned = fields.take(attribute.exclude) if attribute.exclude else None
            exclude = _flag(turned)
            if turned is not None and exclude and (part is None or part.says_nothing):
                turned.warn(
                    "It has no effect without {list}.", quirk="without-effect", list=attribute.property
                )
            if part is None:
                continue
            if attribute.quirk and (note := QUIRKS[attribute.quirk].note):
                part.warn(note, quirk=attribute.quirk, property=attribute.property)
            if attribute.kind is Kind.WITHOUT_EFFECT:
                continue
            if attribute.range_of:
                own, part = part, parts[attribute.range_of]
                if part is None:
                    raise Contradictory(
                        f"{attribute.property} is compared with the range of {attribute.range_of}, which is missing.",
                        where=own.path,
                        mend=f"Give {attribute.range_of}, or take {attribute.property} out.",
                    )
            value = filter_value(attribute.kind, part, exclude=exclude, concept_sets=self.concept_sets)
            if value is not None:
                found.append(Filter(property=attribute.property, value=value))
        return tuple(found)

    def _adjustment(self, part: Part | None, kind: CriteriaType) -> DateAdjustment | None:
        if part is None:
            return None
        fields = part.fields()
        named = {"START_DATE": DateField.START, "END_DATE": DateField.END}
        starts, ends = (
            _word(fields.take(key), named, default)
            for key, default in (("StartWith", DateField.START), ("EndWith", DateField.END))
        )
        adjustment = DateAdjustment(
            start_with=starts if kind.adjusts_from else DateField.START,
            start_offset=days(fields.take("StartOffset"), default=0),
            end_with=ends if kind.adjusts_from else DateField.END,
            end_offset=days(fields.take("EndOffset"), default=0),
        )
        fields.finish()
        moved = (starts, ends) != (DateField.START, DateField.END)
        if not kind.adjusts:
            part.warn("{property} has no effect.", quirk=kind.adjusting_quirk, property="DateAdjustment")
            return None
        if moved and not kind.adjusts_from:
            part.warn(QUIRKS[kind.adjusting_quirk].note, quirk=kind.adjusting_quirk)
        return adjustment

    def _group(self, part: Part) -> Group:
        fields = part.fields()
        criteria = tuple(self._correlated(item) for item in _list(fields.take("CriteriaList")))
        demographics = tuple(
            self._demographic(item) for item in _list(fields.take("DemographicCriteriaList"))
        )
        groups = tuple(self._group(item) for item in _list(fields.take("Groups")))
        kind, count = fields.take("Type"), fields.take("Count")
        fields.finish()
        if not (criteria or demographics or groups):
            return Group(type=GroupType.ALL, count=0, criteria=(), demographics=(), groups=())
        if kind is None:
            raise NotCirce(
                "The group has no Type.", where=part.path, mend="Say ALL, ANY, AT_LEAST or AT_MOST."
            )
        word = kind.text().upper()
        if word not in set(GroupType):
            kind.wrong("ALL, ANY, AT_LEAST or AT_MOST")
        counted = GroupType(word) in {GroupType.AT_LEAST, GroupType.AT_MOST}
        if count is not None and not counted:
            count.warn("It has no effect in a group {type}.", quirk="without-effect", type=word)
        if counted and count is None:
            raise NotCirce(f"The group {word} has no Count.", where=part.path, mend="Add Count.")
        return Group(
            type=GroupType(word),
            count=count.integer(0, 10_000) if counted and count else 0,
            criteria=criteria,
            demographics=demographics,
            groups=groups,
        )

    def _demographic(self, part: Part) -> tuple[Filter, ...]:
        fields = part.fields()
        filters = self._filters(fields, DEMOGRAPHICS)
        fields.finish()
        return filters

    def _correlated(self, part: Part) -> Correlated:
        fields = part.fields()
        criterion = self._criterion(fields.need("Criteria"))
        windows = [_window(fields.need("StartWindow"), default_event=DateField.START)]
        end_window = fields.take("EndWindow")
        if end_window:
            windows.append(_window(end_window, default_event=DateField.END))
        correlated = Correlated(
            criterion=criterion,
            windows=tuple(windows),
            occurrence=_occurrence(fields.need("Occurrence"), CRITERIA_TYPES[criterion.type]),
            same_visit=_flag(fields.take("RestrictVisit")),
            ignore_observation_period=_flag(fields.take("IgnoreObservationPeriod")),
        )
        fields.finish()
        return correlated

    def _rules(self, parts: list[Part]) -> tuple[InclusionRule, ...]:
        if len(parts) > MAX_RULES:
            raise NotSupported(
                f"There are {len(parts)} inclusion rules.",
                where="$.InclusionRules",
                mend=f"Use at most {MAX_RULES}; put several criteria into one rule.",
            )
        rules = []
        for at, part in enumerate(parts):
            fields = part.fields()
            name, description = fields.take("name"), fields.take("description")
            fields.ignore(*LABELS)
            rules.append(
                InclusionRule(
                    name=name.text() if name and name.value else f"Rule {at + 1}",
                    description=description.text() if description else "",
                    group=self._group(fields.need("expression")),
                )
            )
            fields.finish(describes=True)
        return tuple(rules)

    def _end(self, part: Part) -> DateOffset | CustomEra | None:
        if part.says_nothing:
            return None
        strategy = part.fields()
        offset, era = strategy.take("DateOffset"), strategy.take("CustomEra")
        strategy.finish()
        if offset and era:
            raise Contradictory("There are two end strategies.", where=part.path, mend="Keep one.")
        if offset:
            fields = offset.fields()
            named = {"StartDate": DateField.START, "EndDate": DateField.END}
            field = _word(fields.take("DateField"), named, DateField.START)
            date_offset = DateOffset(field=field, days=days(fields.take("Offset"), default=0))
            fields.finish()
            return date_offset
        if era is None:
            return None
        fields = era.fields()
        supply = fields.take("DaysSupplyOverride")
        custom = CustomEra(
            codeset=codeset_number(fields.need("DrugCodesetId"), self.concept_sets),
            gap_days=days(fields.take("GapDays"), default=0),
            offset=days(fields.take("Offset"), default=0),
            days_supply=days(supply, default=0) if supply else None,
        )
        fields.finish()
        return custom


def _list(part: Part | None) -> list[Part]:
    return [] if part is None else part.items()


def _flag(part: Part | None) -> bool:
    return part is not None and part.flag()


def _word(part: Part | None, words: dict[str, DateField], default: DateField) -> DateField:
    if part is None:
        return default
    if part.text() not in words:
        part.wrong(" or ".join(words))
    return words[part.text()]


def _limit(part: Part | None) -> Limit:
    """Without a type the first event counts, as the format has it."""
    if part is None:
        return Limit.FIRST
    fields = part.fields()
    kind = fields.take("Type")
    fields.finish()
    word = "first" if kind is None else kind.text().lower()
    if word not in set(Limit):
        assert kind is not None
        kind.wrong("All, First or Last")
    return Limit(word)


def _era_pad(part: Part | None) -> int:
    if part is None:
        return 0
    fields = part.fields()
    kind, pad = fields.take("CollapseType"), fields.take("EraPad")
    if kind and kind.text().upper() != "ERA":
        kind.wrong("ERA")
    fields.finish()
    return pad.integer(0, DAYS) if pad else 0


def _item(part: Part) -> ConceptSetItem:
    fields = part.fields()
    concept = fields.need("concept").fields()
    item = ConceptSetItem(
        concept=concept.need("CONCEPT_ID").integer(-(2**63), 2**63 - 1),
        descendants=_flag(fields.take("includeDescendants")),
        mapped=_flag(fields.take("includeMapped")),
        excluded=_flag(fields.take("isExcluded")),
    )
    fields.finish()
    return item


def _endpoint(part: Part) -> Endpoint:
    fields = part.fields()
    amount = fields.take("Days")
    sign = fields.need("Coeff").integer(-1, 1)
    if sign == 0:
        part.wrong("a Coeff of 1 or -1")
    fields.finish()
    return Endpoint(days=None if amount is None else sign * days(amount, default=0), before=sign < 0)


def _window(part: Part, *, default_event: DateField) -> Window:
    """Without `UseEventEnd` a start window looks at the event's start and an end window at its end."""
    fields = part.fields()
    index, event = fields.take("UseIndexEnd"), fields.take("UseEventEnd")
    window = Window(
        start=_endpoint(fields.need("Start")),
        end=_endpoint(fields.need("End")),
        index=DateField.END if _flag(index) else DateField.START,
        event=default_event if event is None else (DateField.END if event.flag() else DateField.START),
    )
    fields.finish()
    return window


def _occurrence(part: Part, kind: CriteriaType) -> Occurrence:
    fields = part.fields()
    type_ = (OccurrenceType.EXACTLY, OccurrenceType.AT_MOST, OccurrenceType.AT_LEAST)[
        fields.need("Type").integer(0, 2)
    ]
    count = fields.need("Count").integer(0, 2**31 - 1)
    distinct, column = _flag(fields.take("IsDistinct")), fields.take("CountColumn")
    name = column.text() if column else "DOMAIN_CONCEPT"
    if distinct and name not in kind.counts:
        raise NotSupported(
            f"{kind.name} has no {name} to count.",
            where=column.path if column else part.path,
            mend=f"Count one of {', '.join(sorted(kind.counts))}.",
        )
    if column is not None and not distinct:
        column.warn("It has no effect without IsDistinct.", quirk="without-effect")
    fields.finish()
    return Occurrence(type=type_, count=count, distinct=name if distinct else None)
