"""What `survival` asks."""

from typing import Annotated, Literal

from pydantic import Field

from dure.features.follow_up import LONGEST
from dure.study.kinds.base import Cohort
from dure.wire.codec import message

MOST_ARMS = 8
Until = Literal["observation", "cohort"]


@message
class Survival:
    """How long until an outcome?"""

    kind: Literal["survival"] = "survival"
    arms: Annotated[
        tuple[Cohort, ...],
        Field(
            title="People",
            description="One cohort, or several that are compared; the first is what the others are compared with.",
            min_length=1,
            max_length=MOST_ARMS,
        ),
    ]
    outcome: Annotated[
        Cohort, Field(title="Outcome", description="The first start of this cohort after entry.")
    ]
    competing: Annotated[
        Cohort | None,
        Field(title="Competing event", description="After it the outcome can't come. May be left out."),
    ] = None
    death_competes: Annotated[
        bool, Field(title="Death competes", description="Whether a recorded death is a competing event.")
    ] = False
    until: Annotated[
        Until,
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
    width: Annotated[
        int,
        Field(
            title="Width of intervals",
            description="The finest; they are as much wider as it takes to show no small number.",
            ge=1,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = 30
    mean_until: Annotated[
        int | None,
        Field(
            title="Mean survival up to day",
            description="The horizon if left out.",
            ge=1,
            le=LONGEST,
            json_schema_extra={"unit": "days"},
        ),
    ] = None

    @property
    def competes(self) -> bool:
        """Whether anything competes with the outcome."""
        return self.death_competes or self.competing is not None
