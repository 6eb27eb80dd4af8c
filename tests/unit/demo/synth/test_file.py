"""Making a file: the same recipe gives the same rows in any order of chunks; a bad recipe gives a clear error."""

import json

import duckdb
import pytest

from dure.demo.synth import chunk as chunk_module
from dure.demo.synth import generate, truth_path
from dure.demo.synth.file import chunks
from dure.demo.synth.hospital import habits_of
from dure.demo.synth.problems import BadRecipe
from dure.engines.problems import OutputExists


def fingerprints(path):
    """A hash of each table's rows, whatever their order."""
    with duckdb.connect(str(path), read_only=True) as db:
        names = [
            name
            for (name,) in db.execute(
                "select table_name from duckdb_tables() where schema_name = 'main'"
            ).fetchall()
        ]
        return {
            name: db.execute(f'select count(*), sum(hash(t::varchar)::hugeint) from "{name}" t').fetchall()[0]
            for name in names
        }


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "a.duckdb"
    generate(persons=1500, seed=3, hospital=4, path=path)
    return path


def test_the_same_recipe_gives_the_same_rows_and_truth(small, tmp_path):
    again = tmp_path / "b.duckdb"
    generate(persons=1500, seed=3, hospital=4, path=again)
    assert fingerprints(small) == fingerprints(again)
    assert truth_path(small).read_bytes() == truth_path(again).read_bytes()


@pytest.mark.parametrize("other", [{"seed": 4}, {"hospital": 5}])
def test_another_seed_or_hospital_gives_other_people(small, tmp_path, other):
    path = tmp_path / "c.duckdb"
    generate(**({"persons": 1500, "seed": 3, "hospital": 4, "path": path} | other))
    assert fingerprints(small)["measurement"] != fingerprints(path)["measurement"]


def test_chunks_are_the_same_in_any_order(monkeypatch):
    monkeypatch.setattr(chunk_module, "CHUNK", 400)
    monkeypatch.setattr("dure.demo.synth.file.CHUNK", 400)
    who = habits_of(seed=5, number=1)
    makers = list(chunks(who, 1100))
    forward = [maker().tables for maker in makers]
    backward = [maker().tables for maker in reversed(makers)][::-1]
    assert [tables["person"].num_rows for tables in forward] == [400, 400, 300]
    for one, other in zip(forward, backward, strict=True):
        assert all(one[name].equals(other[name]) for name in one)
    ids = [i for tables in forward for i in tables["measurement"]["measurement_id"].to_pylist()]
    assert len(ids) == len(set(ids))


def test_hospitals_differ_in_whom_they_see(tmp_path):
    def share_of_old(number):
        path = tmp_path / f"{number}.duckdb"
        generate(persons=3000, seed=1, hospital=number, path=path)
        with duckdb.connect(str(path), read_only=True) as db:
            return db.execute("select avg((year_of_birth < 1955)::int) from person").fetchall()[0][0]

    rural, metropolitan = share_of_old(3), share_of_old(4)
    assert rural > 1.4 * metropolitan


def test_two_hospitals_can_be_pooled(small, tmp_path):
    path = tmp_path / "d.duckdb"
    generate(persons=500, seed=3, hospital=5, path=path)
    with duckdb.connect(str(path)) as db:
        db.execute(f"attach '{small}' as other (read_only)")
        shared = "select count(*) from person join other.person using (person_id)"
        assert db.execute(shared).fetchall()[0][0] == 0
        assert db.execute("select min(person_id) from person").fetchall()[0][0] > 2**32


@pytest.mark.parametrize("persons", [1, 2, 17])
def test_very_small_hospitals_work(tmp_path, persons):
    truth = generate(persons=persons, seed=9, hospital=1, path=tmp_path / "tiny.duckdb")
    assert truth.rows["person"] == persons
    assert 1 <= truth.rare_patients <= min(5, persons)


def test_progress_reaches_everyone(tmp_path):
    seen = []
    generate(persons=700, seed=1, path=tmp_path / "p.duckdb", progress=seen.append)
    assert seen[-1] == 700


@pytest.mark.parametrize(
    ("recipe", "option"),
    [
        ({"persons": 0}, "--persons"),
        ({"persons": 10**9}, "--persons"),
        ({"seed": -1}, "--seed"),
        ({"hospital": 0}, "--hospital"),
        ({"hospital": 1000}, "--hospital"),
    ],
)
def test_a_bad_recipe_is_refused_and_leaves_nothing(tmp_path, recipe, option):
    path = tmp_path / "x.duckdb"
    with pytest.raises(BadRecipe) as caught:
        generate(**({"persons": 10, "seed": 1, "path": path} | recipe))
    assert caught.value.where == option
    assert caught.value.mend
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten_unasked(small):
    before = small.read_bytes()
    with pytest.raises(OutputExists):
        generate(persons=10, seed=1, path=small)
    assert small.read_bytes() == before


def test_the_truth_says_what_the_concepts_mean(small):
    truth = json.loads(truth_path(small).read_text(encoding="utf-8"))
    assert truth["concepts"]["316139"] == "Heart failure"
    for plan in truth["comparisons"]:
        assert {str(plan[key]) for key in ("first", "second", "outcome")} <= truth["concepts"].keys()


def test_a_failure_half_way_leaves_nothing(tmp_path):
    class NoMore(Exception):
        pass

    def stop(_):
        raise NoMore

    with pytest.raises(NoMore):
        generate(persons=50, seed=1, path=tmp_path / "x.duckdb", progress=stop)
    assert list(tmp_path.iterdir()) == []
