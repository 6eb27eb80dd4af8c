"""What a study of subgroups asks: its fields, what divides people, and what can't be asked."""

from typing import Annotated, Literal

from pydantic import Field

from dure.features.analyses import Windows, analysis_of
from dure.features.covariates import Covariate
from dure.features.demographics import SEX
from dure.features.follow_up import LONGEST
from dure.features.markers import Marker
from dure.stats.strata import Strata
from dure.study.kinds.base import BadQuestion, Cohort
from dure.wire.codec import message

TREATED = "treatment"
UNKNOWN = "not known"
BY_AGE, BY_SEX = "age", "sex"
ARMS = ("target", "comparator")
TAKEN = (BY_AGE, BY_SEX, "days", "outcomes", *ARMS)
AGE_COVARIATE, SEX_ANALYSIS = 1002, 1
OLDEST = 120.0
MOST_AGES, MOST_MARKERS, MOST_COVARIATES = 10, 10, 50


@message
class Subgroups:
    """Does a treatment's effect on an outcome differ between people?"""

    kind: Literal["subgroup"] = "subgroup"
    target: Annotated[Cohort, Field(title="Treatment", description="Each person at the first entry.")]
    comparator: Annotated[
        Cohort,
        Field(
            title="Compared with",
            description="Each person at the first entry; who enters both on one day is left out.",
        ),
    ]
    outcome: Annotated[
        Cohort, Field(title="Outcome", description="The first start of this cohort after entry.")
    ]
    ages: Annotated[
        tuple[Annotated[int, Field(ge=1, le=120)], ...],
        Field(
            title="Ages",
            description="Years of age at which a new subgroup begins; none: no subgroups by age.",
            max_length=MOST_AGES,
            json_schema_extra={"unit": "years"},
        ),
    ] = (65,)
    by_sex: Annotated[bool, Field(title="By sex", description="Whether women and men are subgroups.")] = True
    markers: Annotated[
        tuple[Marker, ...],
        Field(
            title="By markers",
            description="Tests whose last result divides people.",
            max_length=MOST_MARKERS,
        ),
    ] = ()
    adjust: Annotated[
        tuple[Covariate, ...],
        Field(
            title="Adjust for",
            description="Covariates by their OHDSI ids: those that are 0 or 1, and age (1002).",
            max_length=MOST_COVARIATES,
        ),
    ] = ()
    windows: Annotated[
        Windows,
        Field(title="Windows of covariates", description="Days relative to the first entry, which is day 0."),
    ] = Windows()
    until: Annotated[
        Literal["observation", "cohort"],
        Field(
            title="Follow up until the end of",
            description="The observation period, or the stay in the cohort.",
        ),
    ] = "observation"
    grace: Annotated[
        int,
        Field(
            title="Days after the cohort's end",
            description="That still count, where follow-up ends with the cohort.",
            ge=0,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 0
    washout: Annotated[
        int,
        Field(
            title="Without the outcome before",
            description="Who had it within so many days before entry, or on that day, is left out.",
            ge=0,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = LONGEST
    horizon: Annotated[
        int, Field(title="Horizon", description="The last day.", ge=1, le=LONGEST, json_schema_extra={"unit": "days"})
    ] = 1825  # fmt: skip
    least_outcomes: Annotated[
        int,
        Field(
            title="Least outcomes",
            description="In each arm of a subgroup; with fewer it isn't estimated.",
            ge=1,
            le=1000,
            json_schema_extra={"unit": "outcomes"},
        ),
    ] = 10


def check_covariates(spec: Subgroups) -> None:
    for each in spec.adjust:
        if each.id != AGE_COVARIATE and not analysis_of(each.id).binary:
            raise BadQuestion(
                f"“{each.name}” ({each.id}) is a number whose bounds aren't known.",
                where="question.adjust",
                mend="Adjust for covariates that are 0 or 1, and for age (1002).",
            )


def check_markers(spec: Subgroups) -> None:
    names = [*TAKEN, *(marker.name for marker in spec.markers)]
    groups = [called(each, level) for each in divisions(spec) for level in range(len(each.levels) - 1)]
    if len(set(names)) != len(names) or len(set(groups)) != len(groups):
        raise BadQuestion(
            "Two markers, or two of their levels, have one name.",
            where="question.markers",
            mend=f"Name each marker differently, and none {', '.join(TAKEN)}.",
        )
    for marker in spec.markers:
        levels = [level.name for level in marker.levels]
        if len(set(levels)) != len(levels) or UNKNOWN in levels:
            raise BadQuestion(
                f"Levels of “{marker.name}” have one name, or one is “{UNKNOWN}”.",
                where="question.markers",
                mend="Name each level differently.",
            )
        if any(bool(level.answers) == level.numeric for level in marker.levels):
            raise BadQuestion(
                f"A level of “{marker.name}” has both answers and a range, or neither.",
                where="question.markers",
                mend="Give answers, or low, high or both.",
            )
        if any(level.numeric for level in marker.levels) and marker.unit is None:
            raise BadQuestion(
                f"“{marker.name}” has ranges and no unit.",
                where="question.markers",
                mend="Give the unit's concept: 5 mmol/L and 5 mg/dL aren't the same.",
            )


def divisions(spec: Subgroups) -> tuple[Strata, ...]:
    """What people are divided by; the last level of each is of those of whom it isn't known."""
    found = []
    if spec.ages:
        bounds = [f"{low}-{high - 1}" for low, high in zip(spec.ages, spec.ages[1:], strict=False)]
        found.append(
            Strata(
                name=BY_AGE, levels=(f"under {spec.ages[0]}", *bounds, f"{spec.ages[-1]} and over", UNKNOWN)
            )
        )
    if spec.by_sex:
        found.append(Strata(name=BY_SEX, levels=(*SEX.levels[:-1], UNKNOWN)))
    found += [
        Strata(name=each.name, levels=(*(level.name for level in each.levels), UNKNOWN))
        for each in spec.markers
    ]
    return tuple(found)


def called(division: Strata, level: int) -> str:
    """A subgroup's name, which no subgroup of another division has."""
    name = division.levels[level]
    return name if division.name in {BY_AGE, BY_SEX} else f"{division.name}: {name}"
