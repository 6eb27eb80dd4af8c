"""The canonical form of a definition: one text for all files that mean the same, and a digest of the meaning.

Responsible for: the document, and keeping names aside. Not responsible for: what is the same (`normal`).
"""

from dataclasses import dataclass, replace

from dure.cohort.circe.nodes import CohortExpression
from dure.cohort.circe.write import Document, document, text
from dure.cohort.normal import normalised
from dure.cohort.plan import CDM_VERSIONS, plan


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """A definition without its names.

    Attributes:
        expression: the normal form, without names.
        document: it as Circe JSON, which `parse` reads.
        named: the same with the names in their places.
        digest: SHA-256 of what is computed; equal for definitions that mean the same.
    """

    expression: CohortExpression
    document: Document
    named: Document
    digest: str

    @property
    def text(self) -> str:
        return text(self.document)


def canonical(expression: CohortExpression) -> Canonical:
    """The canonical form."""
    normal = replace(normalised(expression), warnings=())
    bare = replace(
        normal,
        name="",
        concept_sets=tuple(replace(each, name="") for each in normal.concept_sets),
        inclusion_rules=tuple(
            replace(each, name=f"Rule {at}", description="")
            for at, each in enumerate(normal.inclusion_rules, start=1)
        ),
    )
    return Canonical(
        expression=bare, document=document(bare), named=document(normal), digest=digest(expression)
    )


def digest(expression: CohortExpression) -> str:
    """The digest of the plan for the newest version of the CDM: what a plan reads is the same in all."""
    return plan(expression, cdm_version=CDM_VERSIONS[-1]).digest
