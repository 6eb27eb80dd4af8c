"""Checks of concept sets and of how criteria use them. Domains and standards are read as the file states them."""

from collections.abc import Iterator
from typing import Any

from dure.cohort.circe.nodes import CustomEra
from dure.cohort.lint.finding import Check, Finding, Severity
from dure.cohort.lint.subject import Place, Subject
from dure.cohort.normal import minimal, used

UNUSED = Check(
    id="unused-concept-set",
    severity=Severity.INFO,
    atlas="UnusedConceptsCheck",
    says="Nothing uses the concept set {set}.",
    mend="Take it out, or use it.",
)
EMPTY = Check(
    id="empty-concept-set",
    severity=Severity.WARNING,
    atlas="EmptyConceptSetCheck",
    says="The concept set {set} includes no concept, so it selects none.",
    mend="Include a concept.",
)
NO_ENTRY = Check(
    id="entry-selects-nobody",
    severity=Severity.CRITICAL,
    says="Every entry event has an empty concept set, so nobody enters.",
    mend="Include a concept in one of them.",
)
TWICE = Check(
    id="duplicate-concept-set",
    severity=Severity.INFO,
    atlas="DuplicatesConceptSetCheck",
    says="The concept sets {set} and {other} have the same content.",
    mend="Use one of them in both places.",
)
REPEATED = Check(
    id="duplicate-concept",
    severity=Severity.INFO,
    says="The concept set {set} holds the concept {concept} twice.",
    mend="Keep the wider of the two.",
)
BOTH = Check(
    id="included-and-excluded",
    severity=Severity.WARNING,
    says="The concept set {set} includes and excludes the concept {concept}; the exclusion wins.",
    mend="Take one of the two out.",
)
DOMAIN = Check(
    id="domain-mismatch",
    severity=Severity.WARNING,
    atlas="DrugDomainCheck",
    says="{criterion} looks for concepts of {domain}, but {set} has only concepts of {other}.",
    mend="Use a criterion of the concepts' own domain, or other concepts.",
)
NOT_STANDARD = Check(
    id="non-standard-concept",
    severity=Severity.WARNING,
    says="The concept set {set}, looked for among standard concepts, has only concepts that aren't standard.",
    mend="Use the standard concepts that they map to, or look among source concepts.",
)
NO_SET = Check(
    id="no-concept-set",
    severity=Severity.WARNING,
    atlas="ConceptSetCriteriaCheck",
    says="{criterion} has no concept set: any such event counts.",
    mend="Give a concept set, if not any event is meant.",
)
CHECKS = (UNUSED, EMPTY, NO_ENTRY, TWICE, REPEATED, BOTH, DOMAIN, NOT_STANDARD, NO_SET)

DOMAINS = {
    "ConditionOccurrence": "Condition",
    "ConditionEra": "Condition",
    "DrugExposure": "Drug",
    "DrugEra": "Drug",
    "DoseEra": "Drug",
    "DeviceExposure": "Device",
    "ProcedureOccurrence": "Procedure",
    "Measurement": "Measurement",
    "Specimen": "Specimen",
    "VisitOccurrence": "Visit",
    "VisitDetail": "Visit",
}
"""Criteria types whose table holds standard concepts of one domain (an observation may be of any)."""
ANY_IS_MEANT = {"Death", "ObservationPeriod", "PayerPlanPeriod", "VisitOccurrence", "VisitDetail"}


def find(subject: Subject) -> Iterator[Finding]:
    expression = subject.expression
    wanted = set(used(expression))
    seen: dict[object, str] = {}
    empty = set()
    for at, each in enumerate(expression.concept_sets):
        place: Place = ("ConceptSets", at)
        name = f"“{each.name or each.id}”"
        items = minimal(each.items)
        if each.id not in wanted:
            yield subject.found(UNUSED, place, set=name)
        if not items:
            empty.add(each.id)
            yield subject.found(EMPTY, place, set=name)
        elif items in seen:
            yield subject.found(TWICE, place, set=seen[items], other=name)
        else:
            seen[items] = name
        yield from _items(subject, place, name)
    entry = expression.primary
    if all(each.codeset in empty or each.source_codeset in empty for each in entry):
        yield subject.found(NO_ENTRY, ("PrimaryCriteria", "CriteriaList"))
    yield from _uses(subject)


def _items(subject: Subject, place: Place, name: str) -> Iterator[Finding]:
    raw = subject.at((*place, "expression")).get("items") or []
    seen: dict[tuple[object, bool], bool] = {}
    for at, item in enumerate(raw):
        concept, excluded = item["concept"]["CONCEPT_ID"], bool(item.get("isExcluded"))
        here = (*place, "expression", "items", at)
        if (concept, excluded) in seen:
            yield subject.found(REPEATED, here, set=name, concept=concept)
        elif (concept, not excluded) in seen:
            included = seen[concept, not excluded] if excluded else bool(item.get("includeDescendants"))
            if not included or item.get("includeDescendants"):
                yield subject.found(BOTH, here, set=name, concept=concept)
        seen.setdefault((concept, excluded), bool(item.get("includeDescendants")))


def _uses(subject: Subject) -> Iterator[Finding]:
    raw = {each["id"]: each for each in subject.raw.get("ConceptSets") or []}
    uses = [(found.place, found.criterion.type, found.criterion.codeset) for found in subject.criteria]
    if isinstance(subject.expression.end, CustomEra):
        uses.append((("EndStrategy", "CustomEra"), "DrugExposure", subject.expression.end.codeset))
    told = set()
    for found in subject.criteria:
        criterion = found.criterion
        bare = criterion.codeset is None and criterion.source_codeset is None
        if bare and criterion.type not in ANY_IS_MEANT:
            yield subject.found(NO_SET, found.place, criterion=criterion.type)
    for place, type_, codeset in uses:
        if codeset is None or codeset not in raw or (type_, codeset) in told:
            continue
        told.add((type_, codeset))
        name = f"“{subject.names[codeset] or codeset}”"
        concepts = list(_included(raw[codeset]))
        domains = {each.get("DOMAIN_ID") for each in concepts}
        domain = DOMAINS.get(type_)
        if domain and domains and all(domains) and not any(domain in str(each) for each in domains):
            other = ", ".join(sorted(map(str, domains)))
            yield subject.found(DOMAIN, place, criterion=type_, domain=domain, set=name, other=other)
        standards = {each.get("STANDARD_CONCEPT") for each in concepts}
        if standards == {"N"}:
            yield subject.found(NOT_STANDARD, place, set=name)


def _included(concept_set: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in concept_set["expression"].get("items") or []:
        if not item.get("isExcluded"):
            yield item["concept"]
