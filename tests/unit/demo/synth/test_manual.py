"""The manual's table of truths says what is planted."""

import re
from pathlib import Path

import pytest

MANUAL = Path(__file__).resolve().parents[4] / "docs" / "synthetic.md"
WHERE = [
    ("empagliflozin over sitagliptin", lambda t: t["comparisons"][0]["hazard_ratio"]),
    ("lisinopril over amlodipine", lambda t: t["comparisons"][1]["hazard_ratio"]),
    ("not carriers", lambda t: t["comparisons"][2]["hazard_ratio"]),
    ("carriers of a CYP2C19", lambda t: t["comparisons"][2]["carrier_hazard_ratio"]),
    ("ten negative controls", lambda t: t["negative_controls"]["hazard_ratio"]),
    ("events per person-year", lambda t: t["season"]["yearly"]),
    ("amplitude over the mean", lambda t: t["season"]["amplitude"]),
    ("day of the year of the peak", lambda t: t["season"]["peak_day_of_year"]),
    ("30 days after the sun cream", lambda t: t["signal"]["rate_ratio"]),
    ("first day on which the sun cream is sold", lambda t: t["signal"]["launch"]),
    ("per mg/dL of lactate", lambda t: t["prediction"]["lactate_per_mg_dl_above_14"]),
    ("per beat per minute", lambda t: t["prediction"]["heart_rate_per_beat_above_80"]),
    ("per ten years of age", lambda t: t["prediction"]["age_per_decade_above_60"]),
    ("Mortality: growth", lambda t: t["mortality"]["slope_per_year_of_age"]),
    ("Mortality: women over men", lambda t: t["mortality"]["female_ratio"]),
]


def rows():
    table = MANUAL.read_text(encoding="utf-8").split("## What is planted")[1].split("**Confounding.**")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|") and "---" not in line
    ][1:]


@pytest.mark.parametrize(("words", "value"), WHERE)
def test_the_value_is_the_planted_one(made, words, value):
    found = [row for row in rows() if words in row[0]]
    assert [row[2] for row in found] == [str(value(made.truth))]


def test_the_concepts_are_in_the_truth_or_the_vocabulary(made):
    concepts = {int(each) for row in rows() for each in re.findall(r"\d{6,}", row[1])}
    assert len(concepts) > 12
    for concept in concepts:
        assert made.db.execute("select count(*) from concept where concept_id = ?", [concept]).fetchall() == [
            (1,)
        ]


def test_there_are_ten_controls(made):
    assert len(made.truth["negative_controls"]["yearly"]) == 10
