"""What a comparison of two treatments asks: the message, and names that its parts share."""

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from dure.cohort.build import negative_control
from dure.features.analyses import Windows
from dure.features.covariates import Covariate
from dure.features.table_one import standard
from dure.features.time_at_risk import Anchor
from dure.study.kinds.base import Cohort
from dure.wire.codec import message

LONGEST = 36_525
MOST_COVARIATES = 20_000
MOST_CONTROLS = 100
TARGET = "target"
ARMS = (TARGET, "comparator")
COVARIATES, PROPENSITY, SCORES, BALANCE, POWER = "covariates", "propensity", "scores", "balance", "power"
CRUDE, ADJUSTED, CURVES, CRUDE_RISKS, RISKS = "crude", "adjusted", "curves", "crude risks", "risks"
OUTCOME_STEPS = (CRUDE, ADJUSTED, CURVES, CRUDE_RISKS, RISKS)
Adjustment = Literal["stratify", "weight", "match"]
Model = Literal["cox", "poisson", "logistic"]


@message
class ControlConcept:
    """A condition that neither treatment causes, by its concept."""

    concept: Annotated[int, Field(title="Concept", ge=1)]
    name: Annotated[str, Field(title="Name", min_length=1, max_length=120)]


@message
class Effect:
    """What does one treatment do, compared with another, to those who start it?"""

    kind: Literal["effect"] = "effect"
    target: Annotated[
        Cohort, Field(title="New users of", description="Each person at the first entry into either cohort.")
    ]
    comparator: Annotated[
        Cohort,
        Field(title="Compared with new users of", description="Who enters both on one day is left out."),
    ]
    outcome: Annotated[
        Cohort, Field(title="Outcome", description="Who had it before the time at risk isn't compared.")
    ]
    controls: Annotated[
        tuple[Cohort, ...],
        Field(
            title="Negative controls",
            description="Outcomes that neither treatment causes: what is found for them is error.",
            max_length=MOST_CONTROLS,
        ),
    ] = ()
    control_concepts: Annotated[
        tuple[ControlConcept, ...],
        Field(
            title="Negative controls by concept",
            description="Made into outcomes: days on which the condition, or one below it, starts.",
            max_length=MOST_CONTROLS,
        ),
    ] = ()
    start_offset: Annotated[
        int,
        Field(
            title="Time at risk starts after entry by",
            description="Day 0 is the entry itself.",
            ge=0,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 1
    end_anchor: Annotated[
        Anchor,
        Field(
            title="Time at risk ends at the cohort's",
            description="Or with the observation period, if that is earlier.",
        ),
    ] = "end"
    end_offset: Annotated[
        int,
        Field(
            title="plus days",
            description="0 is that day itself.",
            ge=-LONGEST,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 0
    covariates: Annotated[
        tuple[Covariate, ...],
        Field(
            title="Covariates",
            description="By their OHDSI ids, as `dure study covariates` lists them; OHDSI's table 1 if none is given.",
            max_length=MOST_COVARIATES,
        ),
    ] = ()
    windows: Annotated[
        Windows, Field(title="Windows", description="Days relative to the first entry, which is day 0.")
    ] = Windows()
    rare: Annotated[
        float,
        Field(
            title="Rare covariates",
            description="Left out if fewer than this share of the network's people have them.",
            ge=0,
            le=0.5,
            json_schema_extra={"unit": "share of people"},
        ),
    ] = 0.001
    penalty: Annotated[
        float,
        Field(
            title="Penalty",
            description="Of the propensity model's LASSO, per person. Smaller keeps more covariates.",
            ge=1e-5,
            le=0.1,
            json_schema_extra={"unit": "log-likelihood a person"},
        ),
    ] = 0.001
    adjustment: Annotated[
        Adjustment,
        Field(
            title="Adjust by", description="Strata of the score, weights by it, or matches within a hospital."
        ),
    ] = "stratify"
    strata: Annotated[
        int,
        Field(
            title="Strata",
            description="Of the score, each of as many people.",
            ge=2,
            le=20,
            json_schema_extra={"unit": "strata"},
        ),
    ] = 10
    largest_weight: Annotated[
        float,
        Field(
            title="Largest weight",
            description="Larger ones count as this.",
            ge=1,
            le=100,
            json_schema_extra={"unit": "people"},
        ),
    ] = 10.0
    caliper: Annotated[
        float,
        Field(
            title="Caliper",
            description="In standard deviations of the score's logit.",
            gt=0,
            le=1,
            json_schema_extra={"unit": "standard deviations"},
        ),
    ] = 0.2
    trim: Annotated[
        float,
        Field(
            title="Trim",
            description="People with a preference score below this, or above 1 less this, are left out.",
            ge=0,
            le=0.4,
            json_schema_extra={"unit": "preference score"},
        ),
    ] = 0.0
    model: Annotated[
        Model, Field(title="Model of the outcome", description="Hazard, rate or odds ratio.")
    ] = "cox"
    horizon: Annotated[
        int,
        Field(
            title="Horizon",
            description="Day at which risks are compared.",
            ge=1,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 365
    pieces: Annotated[
        int,
        Field(
            title="Intervals",
            description="Equal parts of the time to the horizon.",
            ge=1,
            le=24,
            json_schema_extra={"unit": "parts"},
        ),
    ] = 4
    curves: Annotated[bool, Field(title="Survival curves", description="Of the network's total only.")] = True
    separately: Annotated[
        bool,
        Field(
            title="Each hospital by itself",
            description="For answers by hospital: every hospital has a model and diagnostics of its own. No survival curves.",
        ),
    ] = False
    most_smd: Annotated[
        float,
        Field(
            title="Largest standardised difference",
            description="Of any covariate after adjusting; beyond it the outcome stays shut.",
            gt=0,
            le=1,
            json_schema_extra={"unit": "standard deviations"},
        ),
    ] = 0.1
    least_equipoise: Annotated[
        float,
        Field(
            title="Least equipoise",
            description="Share of people with a preference score of 0.3 to 0.7.",
            gt=0,
            lt=1,
            json_schema_extra={"unit": "share of people"},
        ),
    ] = 0.2
    most_mdrr: Annotated[
        float,
        Field(
            title="Largest minimum detectable rate ratio",
            description="With more, the study could find too little.",
            gt=1,
            le=100,
            json_schema_extra={"unit": "ratio"},
        ),
    ] = 10.0
    most_ease: Annotated[
        float,
        Field(
            title="Largest expected systematic error",
            description="Of negative controls (EASE).",
            gt=0,
            le=2,
            json_schema_extra={"unit": "log ratio"},
        ),
    ] = 0.25
    despite: Annotated[
        str,
        Field(
            title="Open despite failed diagnostics",
            description="Why: on record in the study. Left empty, the outcome stays shut if a diagnostic fails.",
            max_length=2000,
        ),
    ] = ""


def covariates_of(spec: Effect) -> tuple[Covariate, ...]:
    """Those given, or OHDSI's table 1 without what lies after the entry."""
    after = {1009, 1010}
    return spec.covariates or tuple(each for each in standard(spec.windows) if each.id not in after)


def controls_of(spec: Effect) -> tuple[Cohort, ...]:
    """Every negative control as a cohort."""
    return (*spec.controls, *(_control(each.name, each.concept) for each in spec.control_concepts))


@lru_cache(maxsize=MOST_CONTROLS)
def _control(name: str, concept: int) -> Cohort:
    return Cohort(name=name, circe=negative_control(name, concept).document)


def control_step(number: int) -> str:
    """The name of a negative control's step."""
    return f"control {number + 1}"
