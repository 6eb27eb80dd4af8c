"""The truth: what was planted in a synthetic hospital, as a document beside its data.

Responsible for: saying every planted parameter with the concepts it is about. Not responsible for: planting (the file
that plants each thing owns its numbers).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dure.demo.synth import comparisons, controls, people, rare, sepsis, skin, vocabulary
from dure.demo.synth.diseases import CHRONIC
from dure.demo.synth.hospital import Hospital
from dure.demo.synth.tables import SOURCE

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a synthetic hospital holds and what is true in it.

    Args:
        hospital: its habits, with its seed and number.
        persons: people made.
        rows: rows per table.
        rare_patients: people with the rare disease.
        sepsis_auc: area under the ROC curve of the true sepsis score among this hospital's stays; None without cases.
    """

    hospital: Hospital
    persons: int
    rows: Mapping[str, int]
    rare_patients: int
    sepsis_auc: float | None

    def document(self) -> dict[str, Any]:
        """The truth as JSON has it."""
        concepts, document = _planted(self)
        return {
            "synthetic": SOURCE,
            "format": FORMAT,
            "recipe": {
                "persons": self.persons,
                "seed": self.hospital.seed,
                "hospital": self.hospital.number,
            },
            "hospital": asdict(self.hospital) | {"name": self.hospital.name},
            "rows": dict(self.rows),
            **document,
            "concepts": {str(concept): vocabulary.name(concept) for concept in sorted(concepts)},
        }

    def json(self) -> str:
        """The document as text, the same for the same truth."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False) + "\n"


def _planted(truth: Truth) -> tuple[set[int], dict[str, Any]]:
    concepts = {rare.WILSON, sepsis.SEPSIS, sepsis.LACTATE, skin.DERMATITIS, skin.CREAM, *controls.YEARLY}
    plans = []
    for plan in comparisons.ALL:
        concepts |= {plan.first, plan.second, plan.outcome}
        plans.append(
            asdict(plan)
            | {
                "treatment": dict(plan.treatment),
                "outcome_model": dict(plan.outcome_model),
                "confounders": _coded({name for name, _ in plan.treatment}),
                "meaning": "hazard of the first drug's starters over the second's, given the covariates, by the drug started",
            }
        )
    return concepts, {
        "comparisons": plans,
        "negative_controls": {
            "hazard_ratio": 1.0,
            "age_effect_per_decade": controls.AGE_EFFECT,
            "effect_per_chronic_condition": controls.BURDEN_EFFECT,
            "yearly": {str(concept): rate for concept, rate in controls.YEARLY.items()},
        },
        "season": {
            "concept": skin.DERMATITIS,
            "yearly": skin.YEARLY,
            "amplitude": skin.AMPLITUDE,
            "peak_day_of_year": skin.PEAK,
        },
        "signal": {
            "exposure": skin.CREAM,
            "outcome": skin.DERMATITIS,
            "launch": skin.LAUNCH.isoformat(),
            "risk_days": skin.RISK_DAYS,
            "rate_ratio": skin.EXPOSED_RATIO,
        },
        "prediction": {
            "outcome": sepsis.SEPSIS,
            "population": "stays of adults of at least a night, outcome within three days",
            "intercept": sepsis.INTERCEPT,
            "lactate_per_mg_dl_above_14": sepsis.LACTATE_EFFECT,
            "heart_rate_per_beat_above_80": sepsis.HEART_RATE_EFFECT,
            "age_per_decade_above_60": sepsis.AGE_EFFECT,
            "auc": truth.sepsis_auc,
        },
        "rare_disease": {"concept": rare.WILSON, "patients": truth.rare_patients},
        "mortality": {
            "yearly_rate_at_0": people.GOMPERTZ_RATE,
            "slope_per_year_of_age": people.GOMPERTZ_SLOPE,
            "female_ratio": people.FEMALE_DEATH_RATIO,
            "ratio_per_chronic_condition_on_arrival": people.DISEASE_DEATH_RATIO,
        },
    }


def _coded(names: set[str]) -> dict[str, list[int]]:
    return {disease.key: list(disease.concepts) for disease in CHRONIC if disease.key in names}
