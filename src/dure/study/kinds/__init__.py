"""The kinds of study, one file each. `KINDS` is the register: a new kind is its file, its line here, its spec test."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator

from dure.study.kinds.base import Kind
from dure.study.kinds.characterise import CharacteriseKind
from dure.study.kinds.distribution import DistributionKind
from dure.study.kinds.effect.kind import EffectKind
from dure.study.kinds.feasibility import FeasibilityKind
from dure.study.kinds.incidence import IncidenceKind
from dure.study.kinds.pathways import PathwaysKind
from dure.study.kinds.prevalence import PrevalenceKind
from dure.study.kinds.self_controlled import SelfControlledKind
from dure.study.kinds.subgroup import SubgroupKind
from dure.study.kinds.survival import SurvivalKind

KINDS: dict[str, Kind[Any]] = {
    kind.name: kind
    for kind in (
        CharacteriseKind(),
        DistributionKind(),
        EffectKind(),
        FeasibilityKind(),
        IncidenceKind(),
        PathwaysKind(),
        PrevalenceKind(),
        SelfControlledKind(),
        SubgroupKind(),
        SurvivalKind(),
    )
}

if TYPE_CHECKING:
    Question = Any
else:
    Question = Annotated[reduce(or_, [kind.spec for kind in KINDS.values()]), Discriminator("kind")]


def kind_of(question: Any) -> Kind[Any]:
    """The kind of a question."""
    return KINDS[question.kind]
