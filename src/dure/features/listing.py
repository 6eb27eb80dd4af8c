"""Lists of covariates: what the people of cohorts in one database have, to choose a study's covariates from.

Responsible for: which covariates some people have, their names and how many people. Not responsible for: what may leave the
hospital; a list is made where the database is, by whoever may read it, and only ids and names go into a study.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dure.cohort import CohortPlan
from dure.engines.base import Engine
from dure.features import scans
from dure.features.analyses import Windows, analyses, concept_of
from dure.features.covariates import BadCovariate, Covariate, entered, held
from dure.features.table_one import named

DEFAULT = (
    *(1, 2, 3, 6, 7, 8, 9), *(210, 212), *(410, 412, 413), *(502, 504), *(602, 604), *(702, 704, 708, 710, 712),
    *(802, 804), *(901, 903, 904), *(905, 908, 920),
)  # fmt: skip
"""About what FeatureExtraction makes by default, with age, days observed, last values and counts."""
MOST_NAMES = 5_000


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A covariate that somebody has, with the number of people in the database."""

    covariate: Covariate
    people: int


def listed(
    engine: Engine, plans: Sequence[CohortPlan], numbers: Sequence[int], windows: Windows, *, least: int
) -> list[Listed]:
    """The covariates of some analyses that at least `least` people have at their first entry into one of the cohorts, by id.

    Raises:
        BadCovariate: no analysis has one of the numbers.
        MissingTable: the database lacks a table that a cohort or an analysis reads.
    """
    unknown = [number for number in numbers if number not in analyses()]
    if unknown:
        raise BadCovariate(
            f"No analysis has the number {unknown[0]}.",
            where="--analysis",
            mend="Take 1-11, 101-816 and 901-925 as in OHDSI FeatureExtraction; 12, 902 and 926 aren't made here.",
        )
    wanted = {number: analyses()[number] for number in numbers}
    people: dict[int, int] = {}
    with entered(engine, plans) as groups:
        for entries in groups:
            for covariate, count in held(engine, entries, wanted, windows).items():
                people[covariate] = people.get(covariate, 0) + count
    kept = {covariate: count for covariate, count in sorted(people.items()) if count >= least}
    names = _names(engine, [_concept(covariate) for covariate in kept])
    told = {
        covariate: named(covariate, names.get(_concept(covariate), f"concept of {covariate}"), windows)
        for covariate in kept
    }
    often = Counter(told.values())
    return [
        Listed(
            covariate=Covariate(id=covariate, name=name if often[name] == 1 else f"{name} ({covariate})"),
            people=kept[covariate],
        )
        for covariate, name in told.items()
    ]


def _concept(covariate: int) -> int:
    """The concept that names a covariate; also a person's sex, race and ethnicity."""
    return covariate // 1000 if covariate % 1000 in {1, 4, 5} else concept_of(covariate)


def _names(engine: Engine, concepts: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for part in _parts(sorted(set(concepts) - {0})):
        rows = engine.query(scans.names(part))
        found.update(zip(rows["concept_id"].to_pylist(), rows["concept_name"].to_pylist(), strict=True))
    return found


def _parts(concepts: Sequence[int]) -> list[Sequence[int]]:
    return [concepts[at : at + MOST_NAMES] for at in range(0, len(concepts), MOST_NAMES)]
