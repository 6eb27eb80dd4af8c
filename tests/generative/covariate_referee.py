"""Covariates as FeatureExtraction's documentation says them, person by person and row by row: slow, obvious, the referee."""

from datetime import timedelta

from dure.features.analyses import Windows
from dure.features.scores import SCORES

ERA = {"condition_era": "condition", "drug_era": "drug"}
DATED = {
    "condition_occurrence": ("condition_concept_id", "condition_start_date", "condition_start_date"),
    "drug_exposure": ("drug_concept_id", "drug_exposure_start_date", "drug_exposure_start_date"),
    "procedure_occurrence": ("procedure_concept_id", "procedure_date", "procedure_date"),
    "device_exposure": ("device_concept_id", "device_exposure_start_date", "device_exposure_start_date"),
    "measurement": ("measurement_concept_id", "measurement_date", "measurement_date"),
    "observation": ("observation_concept_id", "observation_date", "observation_date"),
    "condition_era": ("condition_concept_id", "condition_era_start_date", "condition_era_end_date"),
    "drug_era": ("drug_concept_id", "drug_era_start_date", "drug_era_end_date"),
    "visit_occurrence": ("visit_concept_id", "visit_start_date", "visit_end_date"),
}
STAYS = (9201, 38004311, 8920, 262)


def covariates(tables, person, entry, leaves, windows: Windows) -> dict[int, float]:
    """All covariates of one person who enters on a day and leaves on another; absent: not observed."""
    found: dict[int, float] = {}
    me = next(row for row in tables["person"] if row["person_id"] == person)
    age = entry.year - me["year_of_birth"]
    for analysis, concept in (
        (1, me["gender_concept_id"]),
        (4, me["race_concept_id"]),
        (5, me["ethnicity_concept_id"]),
    ):
        if concept:
            found[concept * 1000 + analysis] = 1
    found[1002] = age
    found[age // 5 * 1000 + 3] = 1
    found[entry.year * 1000 + 6] = 1
    found[entry.month * 1000 + 7] = 1
    found[(entry.year * 100 + entry.month) * 1000 + 11] = 1
    for row in tables["observation_period"]:
        start, end = row["observation_period_start_date"], row["observation_period_end_date"]
        if row["person_id"] == person and start <= entry <= end:
            found[1008], found[1009] = (entry - start).days, (end - entry).days
    found[1010] = (leaves - entry).days

    def events(table):
        concept, start, end = DATED[table]
        for row in tables[table]:
            if row["person_id"] != person or not row[concept]:
                continue
            if row[start] <= entry + timedelta(days=windows.end):
                yield row, row[concept], row[start], row[end]

    def inside(day, first):
        return first is None or day >= entry + timedelta(days=first)

    def above(concept):
        return {
            row["ancestor_concept_id"]
            for row in tables["concept_ancestor"]
            if row["descendant_concept_id"] == concept
        }

    firsts = [None, windows.long, windows.medium, windows.short]
    for base, table in ((101, "condition_occurrence"), (301, "drug_exposure"), (501, "procedure_occurrence"),
                        (601, "device_exposure"), (701, "measurement"), (801, "observation")):  # fmt: skip
        for _, concept, start, _ in events(table):
            for offset, first in enumerate(firsts):
                if inside(start, first):
                    found[concept * 1000 + base + offset] = 1
                    if table == "condition_occurrence" and any(
                        visit["person_id"] == person
                        and visit["visit_start_date"] <= start <= visit["visit_end_date"]
                        and above(visit["visit_concept_id"]) & set(STAYS)
                        for visit in tables["visit_occurrence"]
                    ):
                        found[concept * 1000 + 105 + offset] = 1
    for hundred, table in ((200, "condition_era"), (400, "drug_era")):
        for _, concept, start, end in events(table):
            for offset, first in enumerate([*firsts, windows.end]):
                if inside(end, first):
                    found[concept * 1000 + hundred + 1 + offset] = 1
                    for group in above(concept):
                        found[group * 1000 + hundred + 9 + offset] = 1
            for offset, first in enumerate(firsts[1:]):
                if inside(start, first):
                    found[concept * 1000 + hundred + 6 + offset] = 1
                    for group in above(concept):
                        found[group * 1000 + hundred + 14 + offset] = 1
    for base, table in ((705, "measurement"), (809, "observation")):
        for offset, first in enumerate(firsts):
            last: dict[int, tuple] = {}
            for row, concept, day, _ in events(table):
                unit, value = row["unit_concept_id"], row["value_as_number"]
                if unit is None or value is None or not inside(day, first):
                    continue
                covariate = concept * 1_000_000 + unit % 1000 * 1000 + base + offset
                last[covariate] = min(last.get(covariate, (1, 0)), (-day.toordinal(), value))
            found |= {covariate: value for covariate, (_, value) in last.items()}
    for row, concept, day, _ in events("measurement"):
        value, low, high = row["value_as_number"], row["range_low"], row["range_high"]
        if low is None or high is None:
            continue
        part = 2 if value is None else 1 if value < low else 3 if value > high else 2
        for offset, first in enumerate(firsts):
            if inside(day, first):
                found[concept * 10_000 + part * 1000 + 709 + offset] = 1
    for base, table in ((713, "measurement"), (805, "observation")):
        for row, concept, day, _ in events(table):
            if row["value_as_concept_id"]:
                high = concept * 2_654_435_769 // 4096 & 1_048_575
                low = row["value_as_concept_id"] * 2_654_435_769 // 1024 & 4_194_303
                for offset, first in enumerate(firsts):
                    if inside(day, first):
                        found[high * 4_194_304_000 + low * 1000 + base + offset] = 1
    for number, score in SCORES.items():
        total = sum(weight for least, weight in score.ages[-1:] if age >= least)
        if not total:
            total = max([weight for least, weight in score.ages if age >= least], default=0)
        total += score.female * (me["gender_concept_id"] == 8532)
        for category in score.categories:
            for _, concept, _, _ in events("condition_era"):
                ancestors = above(concept)
                if concept in category.also or (
                    ancestors & set(category.ancestors) and not ancestors & set(category.without)
                ):
                    total += category.weight
                    break
        if total:
            found[1000 + number] = total
    for base, table in ((905, "condition_era"), (908, "drug_era"), (911, "procedure_occurrence"),
                        (914, "measurement"), (917, "observation")):  # fmt: skip
        for offset, first in enumerate(firsts[1:]):
            distinct = {concept for _, concept, _, end in events(table) if inside(end, first)}
            if distinct:
                found[1000 + base + offset] = len(distinct)
    for offset, first in enumerate(firsts[1:]):
        visits = [concept for _, concept, _, end in events("visit_occurrence") if inside(end, first)]
        if visits:
            found[1000 + 920 + offset] = len(visits)
        for concept in set(visits):
            found[concept * 1000 + 923 + offset] = visits.count(concept)
    return found
