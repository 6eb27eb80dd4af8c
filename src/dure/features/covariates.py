"""Covariates of people at an index day, as a sparse matrix: rows are people, columns are covariates by their OHDSI ids.

Responsible for: from grouped scans of a database to a matrix, whose columns are given (a study's) or all that the database holds (a
list is being made). Not responsible for: the queries (`scans`), what may leave the hospital.

An entry that isn't stored is 0; of an analysis whose values can be missing (measured values) it is missing, and 0 is stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from sqlglot import exp

from dure.cohort import CohortPlan
from dure.cohort.problems import MissingTable
from dure.engines import cohorts
from dure.engines.base import Engine
from dure.features import scans
from dure.features.analyses import Analysis, Ids, Windows, analysis_of, identify
from dure.features.demographics import FEMALE, Days, days
from dure.features.scans import Flag, Wanted
from dure.features.scores import SCORES, Category, Score
from dure.wire.codec import message
from dure.wire.problems import Problem

LIFE = 1 << 22
"""More days than between any two dates: moves each person onto a stretch of one common line."""


class BadCovariate(Problem):
    """A covariate that no analysis makes, or a list that names one twice."""

    slug, title, status, exit_code = "bad-covariate", "A covariate can't be made", 422, 111


@message
class Covariate:
    """A covariate by its OHDSI id, with the name that reports show."""

    id: Annotated[int, Field(title="Id", ge=1)]
    name: Annotated[str, Field(title="Name", min_length=1, max_length=512)]

    def __str__(self) -> str:
        """As a board reads it."""
        return f"{self.name} ({self.id})"


@dataclass(frozen=True, kw_only=True)
class Entries:
    """The first entry of each person into a cohort, by ascending person. All arrays have shape (n,)."""

    person: Ids
    start: Days
    end: Days


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Covariates found: entries of the matrix, of a subset of the wanted columns or of others. All arrays have shape (m,)."""

    row: Ids
    covariate: Ids
    value: NDArray[np.float64]


def check(covariates: Sequence[Covariate]) -> None:
    """Raise BadCovariate where an id is of no analysis, or stands twice."""
    seen: set[int] = set()
    for covariate in covariates:
        if covariate.id in seen:
            raise BadCovariate(
                f"The covariate {covariate.id} stands twice.", where="covariates", mend="Name each one once."
            )
        seen.add(covariate.id)
        try:
            analysis_of(covariate.id)
        except KeyError:
            raise BadCovariate(
                f"No analysis has the number {covariate.id % 1000}, the last three places of {covariate.id}.",
                where="covariates",
                mend="Take ids from `dure study covariates`, or from FeatureExtraction's analyses 1-11, 101-816 and 901-925.",
            ) from None


@contextmanager
def entered(engine: Engine, plans: Sequence[CohortPlan]) -> Iterator[list[Entries]]:
    """The first entries into cohorts; while it is open, `matrix` and `held` answer for them.

    Raises:
        MissingTable: the database lacks a table that a cohort reads.
    """
    named = {f"dure_entered_{number}": plan for number, plan in enumerate(plans)}
    with cohorts.kept(engine, named) as found:
        engine.temporary(scans.INDEX, scans.index(list(named)))
        try:
            yield [first_entries(table.rows) for table in found.values()]
        finally:
            engine.drop(scans.INDEX)


def first_entries(rows: pa.Table) -> Entries:
    """Of the rows of a cohort (subject_id, cohort_start_date, cohort_end_date)."""
    member = rows["subject_id"].to_numpy()
    start, end = (days(rows[name].to_numpy()) for name in ("cohort_start_date", "cohort_end_date"))
    order = np.lexsort((end, start, member))
    person, where = np.unique(member[order], return_index=True)
    return Entries(person=person, start=start[order][where], end=end[order][where])


def matrix(engine: Engine, entries: Entries, ids: Sequence[int], windows: Windows) -> sparse.csr_array:
    """The covariates of people at their first entries. Shape (len(entries.person), len(ids)).

    Args:
        entries: people of cohorts that are `entered`.

    Raises:
        MissingTable: the database lacks a table that a covariate reads.
    """
    wanted = np.asarray(ids, dtype=np.int64)
    order = np.argsort(wanted)
    analyses = {analysis_of(each).id: analysis_of(each) for each in ids}
    rows, columns, values = [], [], []
    for part in _found(engine, entries, wanted, analyses, windows):
        place = np.minimum(np.searchsorted(wanted[order], part.covariate), len(wanted) - 1)
        kept = wanted[order][place] == part.covariate
        rows.append(part.row[kept].astype(np.int32))
        columns.append(order[place[kept]].astype(np.int32))
        values.append(part.value[kept])
    shape = (len(entries.person), len(ids))
    if not rows:
        return sparse.csr_array(shape, dtype=np.float64)
    entry = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_array(sparse.coo_array(entry, shape=shape))


def held(
    engine: Engine, entries: Entries, analyses: Mapping[int, Analysis], windows: Windows
) -> dict[int, int]:
    """Every covariate of some analyses that someone has, with the number of people: to make a list from."""
    people: dict[int, int] = {}
    for part in _found(engine, entries, None, analyses, windows):
        ids, counts = np.unique(part.covariate, return_counts=True)
        for covariate, count in zip(ids.tolist(), counts.tolist(), strict=True):
            people[covariate] = people.get(covariate, 0) + count
    return people


def _found(
    engine: Engine,
    entries: Entries,
    wanted: Ids | None,
    analyses: Mapping[int, Analysis],
    windows: Windows,
) -> Iterator[_Found]:
    """Everything found of some analyses. `wanted`: ids outside of which nothing need be found; None: all are wanted."""
    reader = _Reader(engine=engine, rows=_Rows(entries), wanted=wanted, windows=windows)
    yield from _demographics(
        reader, entries, [each for each in analyses.values() if each.family == "demographic"]
    )
    by_scan: dict[tuple[str, str, bool], list[Analysis]] = {}
    for analysis in analyses.values():
        if analysis.family != "demographic":
            scan = _SCAN.get(analysis.family, "concepts")
            by_scan.setdefault((scan, analysis.table, analysis.inpatient), []).append(analysis)
    for (scan, table, inpatient), members in by_scan.items():
        for name in {table, *(["visit_occurrence"] if inpatient else [])}:
            if not engine.has(name):
                raise MissingTable(
                    f"The database has no table {name}, which covariates read.",
                    where=f"{engine.dataset.source}: table {name}",
                    mend="Load the table (it may be empty), or leave those covariates out.",
                )
        yield from _SCANNED[scan](reader, table, members)


_SCAN = {"value": "values", "range": "ranges", "pair": "pairs", "count": "counts", "concept count": "counts"}


class _Rows:
    """Finds the row of the matrix of a person at an index day; what is about other days belongs to no row."""

    def __init__(self, entries: Entries) -> None:
        self.person = entries.person
        self.start = entries.start

    def of(self, table: pa.Table) -> tuple[Ids, NDArray[np.bool_]]:
        """Rows by a query's key, and which of them are rows at all."""
        person, day = table["person_id"].to_numpy(), days(table["index_date"].to_numpy())
        if not len(self.person):
            return np.zeros(len(person), dtype=np.int64), np.zeros(len(person), dtype=np.bool_)
        row = np.minimum(np.searchsorted(self.person, person), len(self.person) - 1)
        return row, (self.person[row] == person) & (self.start[row] == day)


@dataclass(frozen=True, kw_only=True)
class _Reader:
    engine: Engine
    rows: _Rows
    wanted: Ids | None
    windows: Windows

    def read(self, tree: exp.Query, *columns: str) -> tuple[Ids, ...]:
        """Row, then columns, of what is about a row of the matrix."""
        table = self.engine.query(tree)
        row, real = self.rows.of(table)
        return (row[real], *(_filled(table[name])[real] for name in columns))

    def concepts_wanted(self, members: Sequence[Analysis]) -> Wanted:
        """Which concepts the wanted covariates of some analyses are made of."""
        if self.wanted is None or any(each.family in {"distinct", "count", "pair"} for each in members):
            return Wanted(everything=True)
        concepts: set[int] = set()
        below: set[int] = set()
        for analysis in members:
            if analysis.family == "score":
                for category in SCORES[analysis.id].categories:
                    concepts.update(category.also)
                    below.update(category.ancestors)
            else:
                found = self.of(analysis)
                target = below if analysis.family == "group" else concepts
                target.update((found // _SCALE.get(analysis.family, 1000)).tolist())
        return Wanted(concepts=tuple(sorted(concepts)), below=tuple(sorted(below)))

    def of(self, analysis: Analysis) -> Ids:
        """The wanted ids of one analysis."""
        assert self.wanted is not None
        mine: Ids = self.wanted[self.wanted % 1000 == analysis.id]
        return mine


def _filled(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column as an array; a missing number is 0, as an unknown concept is."""
    whole = column.combine_chunks()
    if pa.types.is_date(whole.type):
        return np.asarray(whole.to_numpy(zero_copy_only=False))
    return np.asarray(whole.fill_null(0).to_numpy(zero_copy_only=False))


_SCALE = {"value": 1_000_000, "range": 10_000}


def _flags(members: Sequence[Analysis], windows: Windows) -> list[Flag]:
    return list(dict.fromkeys(Flag.of(each, windows) for each in members))


def _ones(count: int) -> NDArray[np.float64]:
    return np.ones(count, dtype=np.float64)


def _concepts(reader: _Reader, table: str, members: Sequence[Analysis]) -> Iterator[_Found]:
    flags = _flags(members, reader.windows)
    wanted = reader.concepts_wanted(members)
    inpatient = members[0].inpatient
    tree = scans.concepts(table, flags, reader.windows, wanted, inpatient=inpatient)
    row, concept, mask = reader.read(tree, "concept_id", "mask")
    seen, place = np.unique(concept, return_inverse=True)
    groups, categories = _groups(reader, table, members), _categories(reader, members)
    for analysis in members:
        bit = flags.index(Flag.of(analysis, reader.windows))
        holds = (mask >> bit) & 1 == 1
        if analysis.family == "concept":
            ids = identify(analysis, concept[holds])
            yield _Found(row=row[holds], covariate=ids, value=_ones(len(ids)))
        elif analysis.family == "distinct":
            who, count = np.unique(row[holds], return_counts=True)
            ids = identify(analysis, np.ones(len(who), dtype=np.int64))
            yield _Found(row=who, covariate=ids, value=np.asarray(count, dtype=np.float64))
        else:
            shape = (len(reader.rows.person), len(seen))
            has = sparse.csr_array((_ones(int(holds.sum())), (row[holds], place[holds])), shape=shape)
            if analysis.family == "score":
                yield _scored(reader, analysis, has, seen, categories)
            else:
                yield _rolled_up(reader, analysis, has, seen, groups)


@dataclass(frozen=True, kw_only=True)
class _Above:
    """Which concepts lie below which. Arrays of shape (m,)."""

    ancestor: Ids
    descendant: Ids

    def below(self, ancestors: Sequence[int]) -> Ids:
        return self.descendant[np.isin(self.ancestor, np.asarray(ancestors, dtype=np.int64))]


def _groups(reader: _Reader, table: str, members: Sequence[Analysis]) -> _Above:
    """What the groups among some analyses need of the vocabulary's hierarchy."""
    groups = [each for each in members if each.family == "group"]
    if groups and reader.wanted is None:
        return _above(reader.engine, scans.groups(table))
    wanted = {int(group) for each in groups for group in (reader.of(each) // 1000).tolist()}
    return _above(reader.engine, scans.descendants(sorted(wanted)) if wanted else None)


def _categories(reader: _Reader, members: Sequence[Analysis]) -> _Above:
    """What the scores among some analyses need of the vocabulary's hierarchy."""
    categories = [
        category for each in members if each.family == "score" for category in SCORES[each.id].categories
    ]
    wanted = {concept for category in categories for concept in (*category.ancestors, *category.without)}
    return _above(reader.engine, scans.descendants(sorted(wanted)) if wanted else None)


def _above(engine: Engine, query: exp.Query | None) -> _Above:
    if query is None:
        return _Above(ancestor=np.zeros(0, dtype=np.int64), descendant=np.zeros(0, dtype=np.int64))
    pairs = engine.query(query)
    return _Above(
        ancestor=pairs["ancestor_concept_id"].to_numpy(), descendant=pairs["descendant_concept_id"].to_numpy()
    )


def _rolled_up(
    reader: _Reader, analysis: Analysis, has: sparse.csr_array, seen: Ids, above: _Above
) -> _Found:
    """Groups: who has a concept below each."""
    known = np.isin(above.descendant, seen)
    if reader.wanted is not None:
        known &= np.isin(above.ancestor, reader.of(analysis) // 1000)
    group, column = np.unique(above.ancestor[known], return_inverse=True)
    rolls_up = sparse.csr_array(
        (_ones(int(known.sum())), (np.searchsorted(seen, above.descendant[known]), column)),
        shape=(len(seen), len(group)),
    )
    found = (has @ rolls_up).tocoo()
    ids = identify(analysis, group[found.col])
    return _Found(row=found.row.astype(np.int64), covariate=ids, value=_ones(len(ids)))


def _scored(reader: _Reader, analysis: Analysis, has: sparse.csr_array, seen: Ids, above: _Above) -> _Found:
    """A score: weights of the categories that each person has a condition of, and of age and sex."""
    score = SCORES[analysis.id]
    total = _of_person(reader, score)
    for category in score.categories:
        inside = np.isin(seen, _members(category, above))
        total += category.weight * (has[:, np.flatnonzero(inside)].sum(axis=1) > 0)
    who = np.flatnonzero(total)
    ones = np.ones(len(who), dtype=np.int64)
    return _Found(row=who, covariate=identify(analysis, ones), value=total[who])


def _members(category: Category, above: _Above) -> Ids:
    inside = np.setdiff1d(above.below(category.ancestors), above.below(category.without))
    return np.union1d(inside, np.asarray(category.also, dtype=np.int64))


def _of_person(reader: _Reader, score: Score) -> NDArray[np.float64]:
    """What age and sex add."""
    total = np.zeros(len(reader.rows.person))
    if not score.ages and not score.female:
        return total
    row, born, gender = reader.read(scans.persons(), "year_of_birth", "gender_concept_id")
    age = _year(reader.rows.start[row]) - born
    for least, weight in score.ages:
        total[row[age >= least]] = weight
    total[row[gender == FEMALE]] += score.female
    return total


def _values(reader: _Reader, table: str, members: Sequence[Analysis]) -> Iterator[_Found]:
    flags = _flags(members, reader.windows)
    tree = scans.values(table, flags, reader.windows, reader.concepts_wanted(members))
    row, concept, unit, value, at = reader.read(tree, "concept_id", "second", "value", "at")
    since = (days(at) - reader.rows.start[row]).astype(np.int64)
    for analysis in members:
        first = reader.windows.first(analysis.start)
        holds = np.ones(len(row), dtype=np.bool_) if first is None else since >= first
        ids = identify(analysis, concept[holds], unit[holds])
        yield from _one_each(row[holds], ids, value[holds].astype(np.float64))


def _ranges(reader: _Reader, table: str, members: Sequence[Analysis]) -> Iterator[_Found]:
    flags = _flags(members, reader.windows)
    query = scans.ranges if members[0].family == "range" else scans.pairs
    tree = query(table, flags, reader.windows, reader.concepts_wanted(members))
    row, concept, second, mask = reader.read(tree, "concept_id", "second", "mask")
    for analysis in members:
        holds = (mask >> flags.index(Flag.of(analysis, reader.windows))) & 1 == 1
        ids = identify(analysis, concept[holds], second[holds])
        yield from _one_each(row[holds], ids, _ones(len(ids)))


def _one_each(row: Ids, ids: Ids, value: NDArray[np.float64]) -> Iterator[_Found]:
    """Each person's covariate once: units equal in their last three places, or pairs of one hash, share an id."""
    order = np.lexsort((value, ids, row))
    row, ids, value = row[order], ids[order], value[order]
    first = np.ones(len(row), dtype=np.bool_)
    first[1:] = (row[1:] != row[:-1]) | (ids[1:] != ids[:-1])
    yield _Found(row=row[first], covariate=ids[first], value=value[first])


def _counts(reader: _Reader, table: str, members: Sequence[Analysis]) -> Iterator[_Found]:
    flags = _flags(members, reader.windows)
    tree = scans.counts(table, flags, reader.windows, reader.concepts_wanted(members))
    tallies = [f"n{place}" for place in range(len(flags))]
    row, concept, *counts = reader.read(tree, "concept_id", *tallies)
    for analysis in members:
        count = counts[flags.index(Flag.of(analysis, reader.windows))].astype(np.float64)
        if analysis.family == "concept count":
            some = count > 0
            yield _Found(row=row[some], covariate=identify(analysis, concept[some]), value=count[some])
        else:
            total: NDArray[np.float64] = np.zeros(len(reader.rows.person))
            np.add.at(total, row, count)
            who = np.flatnonzero(total)
            ids = identify(analysis, np.ones(len(who), dtype=np.int64))
            yield _Found(row=who, covariate=ids, value=total[who])


_SCANNED = {"concepts": _concepts, "values": _values, "ranges": _ranges, "pairs": _ranges, "counts": _counts}


def _demographics(reader: _Reader, entries: Entries, members: Sequence[Analysis]) -> Iterator[_Found]:
    if not members:
        return
    fixed = ("year_of_birth", "gender_concept_id", "race_concept_id", "ethnicity_concept_id")
    row, born, gender, race, ethnicity = reader.read(scans.persons(), *fixed)
    year = _year(entries.start[row])
    month = entries.start[row].astype("datetime64[M]").astype(np.int64) % 12 + 1
    age = year - born
    by_number = {
        1: gender,
        3: age // 5,
        4: race,
        5: ethnicity,
        6: year,
        7: month,
        11: year * 100 + month,
    }
    for analysis in members:
        if analysis.id in by_number:
            first = by_number[analysis.id]
            real = (
                first > 0
                if analysis.id in {1, 4, 5}
                else (born > 0) & (age >= 0)
                if analysis.id == 3
                else year > 0
            )
            yield _Found(
                row=row[real], covariate=identify(analysis, first[real]), value=_ones(int(real.sum()))
            )
        elif analysis.id == 2:
            yield _whole(analysis, row, age)
        elif analysis.id == 10:
            yield _whole(
                analysis, np.arange(len(entries.person)), (entries.end - entries.start).astype(np.int64)
            )
    times = [each for each in members if each.id in {8, 9}]
    if times:
        ends = ("observation_period_start_date", "observation_period_end_date")
        row, since, until = reader.read(scans.observed(), *ends)
        at = entries.start[row]
        for analysis in times:
            reach = at - days(since) if analysis.id == 8 else days(until) - at
            found = _whole(analysis, row, reach.astype(np.int64))
            yield from _one_each(found.row, found.covariate, found.value)


def _whole(analysis: Analysis, row: Ids, value: Ids) -> _Found:
    return _Found(
        row=row,
        covariate=identify(analysis, np.ones(len(row), dtype=np.int64)),
        value=value.astype(np.float64),
    )


def _year(day: Days) -> Ids:
    return day.astype("datetime64[Y]").astype(np.int64) + 1970
