"""Scores of illness as OHDSI's FeatureExtraction defines them: categories of conditions, each with a weight.

Responsible for: the categories as data. Not responsible for: finding people's conditions (`covariates`).

A category holds the descendants of its ancestors without those of `without`, and the concepts of `also` by themselves. Every
category counts once, also where a milder one of the same disease counts too. Sources: Charlson index by Romano, J Clin Epidemiol 46
(1993); CHADS2 by Gage, JAMA 285 (2001); CHA2DS2-VASc by Lip, Chest 137 (2010); concepts as in FeatureExtraction 3.
"""

from dataclasses import dataclass

VASCULAR = (
    312327,
    43020432,
    314962,
    312939,
    315288,
    317309,
    134380,
    196438,
    200138,
    194393,
    319047,
    40486130,
    317003,
    4313767,
    321596,
)


@dataclass(frozen=True, kw_only=True)
class Category:
    """One category of a score."""

    name: str
    weight: int
    ancestors: tuple[int, ...]
    without: tuple[int, ...] = ()
    also: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score: its categories, and what age (years from, weight; the highest that fits) and being a woman add."""

    name: str
    categories: tuple[Category, ...]
    ages: tuple[tuple[int, int], ...] = ()
    female: int = 0


CHARLSON = Score(
    name="Charlson index - Romano adaptation",
    categories=tuple(
        Category(name=name, weight=weight, ancestors=ancestors)
        for name, weight, ancestors in (
            ("Myocardial infarction", 1, (4329847,)),
            ("Congestive heart failure", 1, (316139,)),
            ("Peripheral vascular disease", 1, (321052,)),
            ("Cerebrovascular disease", 1, (381591, 434056)),
            ("Dementia", 1, (4182210,)),
            ("Chronic pulmonary disease", 1, (4063381,)),
            ("Rheumatologic disease", 1, (257628, 134442, 80800, 80809, 256197, 255348)),
            ("Peptic ulcer disease", 1, (4247120,)),
            ("Mild liver disease", 1, (4064161, 4212540)),
            ("Diabetes, mild to moderate", 1, (201820,)),
            ("Diabetes with chronic complications", 2, (443767, 442793)),
            ("Hemiplegia or paraplegia", 2, (192606, 374022)),
            ("Renal disease", 2, (4030518,)),
            ("Any malignancy", 2, (443392,)),
            ("Moderate to severe liver disease", 3, (4245975, 4029488, 192680, 24966)),
            ("Metastatic solid tumour", 6, (432851,)),
            ("AIDS", 6, (439727,)),
        )
    ),
)
CHADS2 = Score(
    name="CHADS2",
    categories=(
        Category(name="Congestive heart failure", weight=1, ancestors=(316139,)),
        Category(name="Hypertension", weight=1, ancestors=(316866,)),
        Category(name="Diabetes", weight=1, ancestors=(201820,)),
        Category(name="Stroke", weight=2, ancestors=(381591, 434056)),
    ),
    ages=((75, 1),),
)
CHADS2_VASC = Score(
    name="CHADS2VASc",
    categories=(
        Category(
            name="Congestive heart failure",
            weight=1,
            ancestors=(316139, 314378),
            also=(316139, 314378, 318773, 321319),
        ),
        Category(name="Hypertension", weight=1, ancestors=(320128, 442604, 201313), without=(197930,)),
        Category(
            name="Diabetes",
            weight=1,
            ancestors=(201820, 442793),
            without=(195771, 376112, 4174977, 4058243, 193323, 376979),
        ),
        Category(
            name="Stroke",
            weight=2,
            ancestors=(4043731, 4110192, 375557, 4108356, 373503, 434656, 433505, 376714, 312337),
        ),
        Category(
            name="Vascular disease",
            weight=1,
            ancestors=VASCULAR,
            also=(*VASCULAR, 317305, 321886, 314659, 321887, 437312, 134057),
        ),
    ),
    ages=((65, 1), (75, 2)),
    female=1,
)
SCORES = {901: CHARLSON, 903: CHADS2, 904: CHADS2_VASC}
"""By the number of their analysis."""
