"""Covariates that need no list: those of OHDSI's table 1, what can be seen from their ids, and names of any.

Responsible for: the default list, names by analysis, and which covariates exclude or contain one another. Not responsible for:
finding them (`covariates`).
"""

from collections.abc import Sequence

from dure.features.analyses import Analysis, Start, Windows, analyses, analysis_of
from dure.features.covariates import Covariate
from dure.features.scores import SCORES

OF_A_CONCEPT = " · "
"""Between a concept's name and what is said of it."""
HISTORY = {
    4006969: "Acute respiratory disease",
    438409: "Attention deficit hyperactivity disorder",
    4212540: "Chronic liver disease",
    255573: "Chronic obstructive pulmonary disease",
    201606: "Crohn's disease",
    4182210: "Dementia",
    440383: "Depressive disorder",
    201820: "Diabetes mellitus",
    318800: "Gastroesophageal reflux disease",
    192671: "Gastrointestinal hemorrhage",
    439727: "Human immunodeficiency virus infection",
    432867: "Hyperlipidemia",
    316866: "Hypertensive disorder",
    4104000: "Lesion of liver",
    433736: "Obesity",
    80180: "Osteoarthritis",
    255848: "Pneumonia",
    140168: "Psoriasis",
    4030518: "Renal impairment",
    80809: "Rheumatoid arthritis",
    435783: "Schizophrenia",
    4279309: "Substance abuse",
    81893: "Ulcerative colitis",
    81902: "Urinary tract infectious disease",
    197494: "Viral hepatitis C",
    4134440: "Visual system disorder",
    313217: "Atrial fibrillation",
    381591: "Cerebrovascular disease",
    317576: "Coronary arteriosclerosis",
    321588: "Heart disease",
    316139: "Heart failure",
    4185932: "Ischemic heart disease",
    321052: "Peripheral vascular disease",
    440417: "Pulmonary embolism",
    444247: "Venous thrombosis",
    4044013: "Hematologic neoplasm",
    432571: "Malignant lymphoma",
    40481902: "Malignant neoplasm of anorectum",
    443392: "Malignant neoplastic disease",
    4112853: "Malignant tumor of breast",
    4180790: "Malignant tumor of colon",
    443388: "Malignant tumor of lung",
    197508: "Malignant tumor of urinary bladder",
    200962: "Primary malignant neoplasm of prostate",
}
"""Conditions of OHDSI's table 1 (`Table1Specs.csv` of FeatureExtraction)."""
MEDICATION = {
    21601782: "Agents acting on the renin-angiotensin system",
    21602796: "Antibacterials for systemic use",
    21604686: "Antidepressants",
    21604389: "Antiepileptics",
    21603932: "Antiinflammatory and antirheumatic products",
    21601387: "Antineoplastic agents",
    21602028: "Antipsoriatics",
    21600960: "Antithrombotic agents",
    21601664: "Beta blocking agents",
    21601744: "Calcium channel blockers",
    21601461: "Diuretics",
    21600046: "Drugs for acid related disorders",
    21603248: "Drugs for obstructive airway diseases",
    21600712: "Drugs used in diabetes",
    21603890: "Immunosuppressants",
    21601853: "Lipid modifying agents",
    21604254: "Opioids",
    21604489: "Psycholeptics",
    21604752: "Psychostimulants, agents used for ADHD and nootropics",
}
GROUPS = {
    "condition_occurrence": "condition",
    "condition_era": "condition",
    "drug_exposure": "drug",
    "drug_era": "drug",
    "procedure_occurrence": "procedure",
    "device_exposure": "device",
    "measurement": "measurement",
    "observation": "observation",
    "visit_occurrence": "visit",
}
PARTITIONS = (1, 3, 4, 5, 6, 7, 11)
"""Analyses of which each person has at most one covariate."""
WIDER: dict[Start, tuple[Start, ...]] = {
    "long": ("any",),
    "medium": ("long", "any"),
    "short": ("medium", "long", "any"),
}
NUMBERS = {
    1002: "Age in years",
    1008: "Days observed before",
    1009: "Days observed after",
    1010: "Days in the cohort",
}
SEXES = {8507001: "Male", 8532001: "Female"}


def domain(covariate: int) -> str:
    """What a covariate is about, in a word."""
    analysis = analysis_of(covariate)
    return "score" if analysis.family == "score" else GROUPS.get(analysis.table, "demographics")


def within(analysis: Analysis, windows: Windows) -> str:
    """An analysis's window, as people say it."""
    first = windows.first(analysis.start)
    return f"until day {windows.end}" if first is None else f"days {first} to {windows.end}"


def named(covariate: int, concept: str, windows: Windows) -> str:
    """A covariate's name; `concept`: the name of its concept."""
    analysis, number = analysis_of(covariate), covariate // 1000
    if analysis.family == "demographic":
        return NUMBERS.get(covariate) or _demographic(analysis.id, number, concept)
    if analysis.family == "score":
        return SCORES[analysis.id].name
    about = GROUPS[analysis.table]
    span = within(analysis, windows)
    match analysis.family:
        case "distinct":
            return f"Distinct {about} concepts, {span}"
        case "count":
            return f"Visits, {span}"
        case "group":
            how = f"{about} group"
        case "range":
            part = ("below", "within", "above")[covariate // 1000 % 10 - 1]
            how = f"{part} the normal range"
        case "value":
            how = f"last {about}, unit …{covariate // 1000 % 1000:03d}"
        case "concept count":
            how = "number of visits"
        case "pair":
            how = f"{about} with a certain value"
        case _:
            era = " era" if analysis.table.endswith("_era") else ""
            how = f"{about}{era}{' in a stay' if analysis.inpatient else ''}"
    kind = " started" if analysis.id in _STARTED else ""
    return f"{concept}{OF_A_CONCEPT}{how}{kind}, {span}"


_STARTED = {each.id for each in analyses().values() if "EraStart" in each.name}


def _demographic(analysis: int, number: int, concept: str) -> str:
    match analysis:
        case 1:
            return concept.capitalize()
        case 3:
            return f"Age {5 * number}-{5 * number + 4}"
        case 6:
            return f"Index year {number}"
        case 7:
            return f"Index month {number}"
        case 11:
            return f"Index month {number // 100}-{number % 100:02d}"
        case _:
            return concept


def standard(windows: Windows) -> tuple[Covariate, ...]:
    """What OHDSI's table 1 shows: age and sex, history, medication, scores; with days observed."""
    ids: list[tuple[int, str]] = [(8532001, "Female"), (8507001, "Male"), *NUMBERS.items()]
    ids += [(group * 1000 + 3, "") for group in range(20)]
    ids += [(concept * 1000 + 210, name) for concept, name in HISTORY.items()]
    ids += [(concept * 1000 + 410, name) for concept, name in MEDICATION.items()]
    ids += [(1000 + number, "") for number in SCORES]
    return tuple(
        Covariate(id=covariate, name=named(covariate, concept, windows)) for covariate, concept in ids
    )


def partitions(ids: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Places of covariates of which each person has at most one, where there are several."""
    found = (
        tuple(at for at, covariate in enumerate(ids) if covariate % 1000 == analysis)
        for analysis in PARTITIONS
    )
    return tuple(places for places in found if len(places) > 1)


def nested(ids: Sequence[int], windows: Windows) -> tuple[tuple[int, int], ...]:
    """Places of pairs (wider, narrower) where who has the second has the first: a shorter window, or only events in stays."""
    place = {covariate: at for at, covariate in enumerate(ids)}
    by_series = {
        (each.family, each.table, each.lasting, each.inpatient, each.id in _STARTED, each.start): each.id
        for each in analyses().values()
    }
    found = []
    for covariate, at in place.items():
        analysis = analysis_of(covariate)
        core = covariate - analysis.id
        series = (analysis.family, analysis.table, analysis.lasting)
        started = analysis.id in _STARTED
        for start in WIDER.get(analysis.start, ()):
            wider = by_series.get((*series, analysis.inpatient, started, start))
            first, mine = windows.first(start), windows.first(analysis.start)
            reaches = first is None or (mine is not None and first <= mine)
            if wider is not None and core + wider in place and reaches:
                found.append((place[core + wider], at))
                break
        if analysis.inpatient:
            everywhere = core + by_series[(*series, False, started, analysis.start)]
            if everywhere in place:
                found.append((place[everywhere], at))
    return tuple(found)
