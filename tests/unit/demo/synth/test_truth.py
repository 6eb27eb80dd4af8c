"""The planted truths are found again in the data, by analyses that look only at CDM tables; the naive ones go wrong."""

import numpy as np
import pytest

Z99 = 2.5758
"""Every check is of a 99 % interval: a dozen of them at 95 % would miss for every other seed."""

COHORT = """
with starts as (
    select d.person_id, a.ancestor_concept_id as drug, min(d.drug_exposure_start_date) as day
    from drug_exposure d join concept_ancestor a on a.descendant_concept_id = d.drug_concept_id
    where a.ancestor_concept_id in ($first, $second) group by all
), index_day as (
    select person_id, min(day) as day, arg_min(drug, day) = $first as treated from starts group by all
), outcome as (
    select c.person_id, c.condition_start_date as day
    from condition_occurrence c join visit_occurrence v using (visit_occurrence_id)
    join concept_ancestor a on a.descendant_concept_id = c.condition_concept_id
    where a.ancestor_concept_id = $outcome and v.visit_concept_id = 9201
)
select i.person_id, i.treated, i.day as start, date_diff('day', i.day, o.observation_period_end_date) as seen,
    (select date_diff('day', i.day, min(e.day)) from outcome e where e.person_id = i.person_id and e.day > i.day) as event,
    year(i.day) - p.year_of_birth as age, p.gender_concept_id = 8507 as male
from index_day i join person p using (person_id)
join observation_period o on o.person_id = i.person_id
    and i.day between o.observation_period_start_date + 365 and o.observation_period_end_date
where not exists (select 1 from outcome e where e.person_id = i.person_id and e.day <= i.day)
order by i.person_id
"""
EVER = """
select i.person_id, count(c.person_id) > 0 as known from index_table i left join condition_occurrence c
    on c.person_id = i.person_id and c.condition_start_date <= i.start and list_contains($concepts, c.condition_concept_id)
group by all order by i.person_id
"""


class Cohort:
    """The new users of one planted comparison, as a careful analyst would select them."""

    def __init__(self, made, plan):
        drugs = {"first": plan["first"], "second": plan["second"], "outcome": plan["outcome"]}
        table = made.db.sql(COHORT, params=drugs).to_arrow_table()
        frame = {name: table[name].to_numpy() for name in table.column_names}
        self.treated = frame["treated"].astype(float)
        event = frame["event"].astype(float)
        self.event = ~np.isnan(event)
        self.seen = frame["seen"]
        self.time = np.where(self.event, event, self.seen)
        self.person, self.start = frame["person_id"], frame["start"]
        made.db.register("index_table", table)
        names = sorted(plan["confounders"])
        known = [
            made.db.execute(EVER, {"concepts": plan["confounders"][name]}).fetchnumpy()["known"]
            for name in names
        ]
        made.db.unregister("index_table")
        self.covariates = np.column_stack([(frame["age"] - 60) / 10, frame["male"], *known]).astype(float)
        self.names = ["age", "male", *names]
        self.genotype = dict(
            made.db.execute(
                "select person_id, max(value_as_concept_id = 9191)::int from measurement where "
                "measurement_concept_id = 2000000311 group by all"
            ).fetchall()
        )

    def keep(self, rows):
        for name in ("treated", "event", "time", "person", "start", "covariates"):
            setattr(self, name, getattr(self, name)[rows])
        return self


def plan(made, key):
    return next(each for each in made.truth["comparisons"] if each["key"] == key)


@pytest.mark.parametrize("key", ["heart_failure", "infarction"])
def test_the_crude_ratio_is_wrong_and_the_adjusted_one_right(made, fit_cox, key):
    truth = np.log(plan(made, key)["hazard_ratio"])
    cohort = Cohort(made, plan(made, key))
    crude, crude_se = fit_cox(cohort.time, cohort.event, cohort.treated[:, None])
    adjusted, se = fit_cox(cohort.time, cohort.event, np.column_stack([cohort.treated, cohort.covariates]))
    assert cohort.event.sum() > 150
    assert crude[0] - truth > 3 * crude_se[0]
    assert abs(adjusted[0] - truth) < Z99 * se[0]


def test_the_genotype_modifies_the_effect(made, fit_cox):
    stroke = plan(made, "stroke")
    for carrier, ratio in ((0, stroke["hazard_ratio"]), (1, stroke["carrier_hazard_ratio"])):
        cohort = Cohort(made, stroke)
        cohort.keep(np.array([cohort.genotype.get(person) == carrier for person in cohort.person]))
        beta, se = fit_cox(cohort.time, cohort.event, np.column_stack([cohort.treated, cohort.covariates]))
        assert abs(beta[0] - np.log(ratio)) < Z99 * se[0]


def test_the_negative_controls_are_crude_wrong_and_adjusted_null(made, fit_cox):
    cohort = Cohort(made, plan(made, "heart_failure"))
    controls = [int(concept) for concept in made.truth["negative_controls"]["yearly"]]
    days = made.db.execute(
        "select person_id, condition_concept_id, condition_start_date::date from condition_occurrence "
        "where list_contains($controls, condition_concept_id) order by all",
        {"controls": controls},
    ).fetchall()
    dates: dict[tuple[int, int], list[np.datetime64]] = {}
    for person, concept, when in days:
        dates.setdefault((person, concept), []).append(np.datetime64(when))
    crude, adjusted = [], []
    for concept in controls:
        after = []
        for person, start in zip(cohort.person, cohort.start.astype("datetime64[D]"), strict=True):
            later = [d for d in dates.get((person, concept), []) if d > start]
            after.append((min(later) - start).astype(float) if later else np.inf)
        event = np.isfinite(after)
        time = np.where(event, after, cohort.seen)
        crude.append(fit_cox(time, event, cohort.treated[:, None]))
        adjusted.append(fit_cox(time, event, np.column_stack([cohort.treated, cohort.covariates])))

    def pooled(fits):
        estimate = np.array([beta[0] for beta, _ in fits])
        weight = np.array([se[0] for _, se in fits]) ** -2
        return (estimate * weight).sum() / weight.sum(), weight.sum() ** -0.5

    wrong, wrong_se = pooled(crude)
    right, right_se = pooled(adjusted)
    assert wrong > 3 * wrong_se
    assert abs(right) < Z99 * right_se


def test_the_season_is_found_by_a_harmonic_fit(made):
    season = made.truth["season"]
    counts = dict(
        made.db.execute(
            "select dayofyear(condition_start_date), count(*) from condition_occurrence "
            "where condition_concept_id = ? group by all",
            [season["concept"]],
        ).fetchall()
    )
    exposure = dict(
        made.db.execute(
            "select dayofyear(day), count(*) from (select unnest(generate_series(observation_period_start_date, "
            "observation_period_end_date, interval 1 day))::date as day from observation_period using sample 20000 rows (reservoir, 1)) "
            "group by all"
        ).fetchall()
    )
    day = np.arange(1, 366)
    angle = 2 * np.pi * day / 365.25
    rate = np.array([counts.get(d, 0) for d in day]) / np.array([exposure[d] for d in day])
    mean, cosine, sine = np.linalg.lstsq(
        np.column_stack([np.ones(365), np.cos(angle), np.sin(angle)]), rate, rcond=None
    )[0]
    assert np.hypot(cosine, sine) / mean == pytest.approx(season["amplitude"], abs=0.06)
    peak = np.arctan2(sine, cosine) / (2 * np.pi) * 365.25 % 365.25
    assert peak == pytest.approx(season["peak_day_of_year"], abs=6)


def test_the_cream_brings_dermatitis_to_those_who_use_it(made):
    signal = made.truth["signal"]
    assert (
        made.db.execute(
            "select min(drug_era_start_date)::varchar from drug_era where drug_concept_id = ?",
            [signal["exposure"]],
        ).fetchall()[0][0]
        >= signal["launch"]
    )
    exposed, exposed_years, other, other_years = made.db.execute(
        """
        with used as (
            select e.person_id, drug_exposure_start_date as day, observation_period_end_date as seen
            from drug_exposure e join concept_ancestor on descendant_concept_id = drug_concept_id
            join observation_period o on o.person_id = e.person_id
                and drug_exposure_start_date between observation_period_start_date and observation_period_end_date
            where ancestor_concept_id = $cream
        ), itch as (
            select person_id, condition_start_date as day from condition_occurrence where condition_concept_id = $itch
        ), window_ as (
            select *, least(date_diff('day', day, seen), 30) as risk, least(greatest(date_diff('day', day, seen) - 60, 0), 30) as wash
            from used
        )
        select
            (select count(*) from window_ w join itch i on i.person_id = w.person_id and date_diff('day', w.day, i.day) between 1 and 30),
            sum(risk) / 365.25,
            (select count(*) from window_ w join itch i on i.person_id = w.person_id and date_diff('day', w.day, i.day) between 61 and 90),
            sum(wash) / 365.25
        from window_""",
        {"cream": signal["exposure"], "itch": signal["outcome"]},
    ).fetchall()[0]
    log_ratio = np.log((exposed / exposed_years) / (other / other_years))
    assert log_ratio > Z99 * np.sqrt(1 / exposed + 1 / other)
    assert abs(log_ratio - np.log(signal["rate_ratio"])) < Z99 * np.sqrt(1 / exposed + 1 / other)


def test_sepsis_is_foretold_by_the_first_days_measurements(made):
    prediction = made.truth["prediction"]
    stays = made.db.execute(
        """
        select max(m.value_as_number) filter (m.measurement_concept_id = 40762125) as lactate,
            max(m.value_as_number) filter (m.measurement_concept_id = 3027018) as rate,
            any_value(year(v.visit_start_date) - p.year_of_birth) as age,
            any_value(exists (select 1 from condition_occurrence c where c.visit_occurrence_id = v.visit_occurrence_id
                and c.condition_concept_id = 132797)) as septic
        from visit_occurrence v join person p using (person_id) join measurement m using (visit_occurrence_id)
        where v.visit_concept_id = 9201 group by v.visit_occurrence_id
        having count(*) filter (m.measurement_concept_id = 40762125) > 0"""
    ).fetchnumpy()
    x = np.column_stack(
        [
            np.ones(len(stays["age"])),
            stays["lactate"] - 14,
            stays["rate"] - 80,
            (stays["age"] - 60) / 10,
        ]
    ).astype(float)
    septic = stays["septic"].astype(float)
    beta = np.zeros(4)
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ beta))
        information = (x * (p * (1 - p))[:, None]).T @ x
        beta += np.linalg.solve(information, x.T @ (septic - p))
    se = np.sqrt(np.diag(np.linalg.inv(information)))
    names = (
        "intercept",
        "lactate_per_mg_dl_above_14",
        "heart_rate_per_beat_above_80",
        "age_per_decade_above_60",
    )
    for estimate, error, name in zip(beta, se, names, strict=True):
        assert abs(estimate - prediction[name]) < Z99 * error, name
        assert abs(estimate) > 3 * error, name
    rank = np.argsort(np.argsort(x @ beta))
    cases = septic.sum()
    auc = (rank[septic == 1].sum() - cases * (cases - 1) / 2) / (cases * (len(septic) - cases))
    assert auc == pytest.approx(prediction["auc"], abs=0.01)


def test_the_rare_disease_has_its_few_patients(made):
    patients = made.db.execute(
        "select count(distinct person_id) from condition_occurrence where condition_concept_id = ?",
        [made.truth["rare_disease"]["concept"]],
    ).fetchall()[0][0]
    assert patients == made.truth["rare_disease"]["patients"]
    assert 1 <= patients <= 5


def test_deaths_follow_the_planted_law(made):
    law = made.truth["mortality"]
    deaths, expected = made.db.execute(
        """
        select count(d.person_id), sum(
            case when gender_concept_id = 8507 then 1.0 else $female end * $rate / $slope
            * (exp($slope * date_diff('day', born, observation_period_end_date) / 365.25)
             - exp($slope * date_diff('day', born, observation_period_start_date) / 365.25)))
        from (select person_id, gender_concept_id, make_date(year_of_birth, month_of_birth, day_of_birth) as born from person)
        join (select person_id, max(observation_period_start_date) as observation_period_start_date,
              max(observation_period_end_date) as observation_period_end_date from observation_period group by all) using (person_id)
        left join death d using (person_id)""",
        {
            "female": law["female_ratio"],
            "rate": law["yearly_rate_at_0"],
            "slope": law["slope_per_year_of_age"],
        },
    ).fetchall()[0]
    assert deaths > 500
    assert 1.0 < deaths / float(expected) < law["ratio_per_chronic_condition_on_arrival"] ** 6
