"""A split is a partition: every person is somewhere once, with all that is theirs, and the vocabulary everywhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlglot import exp

from dure.engines import Engine, open_engine
from dure.engines.problems import NotACdm, OutputExists
from dure.onboard.account import Account
from dure.onboard.problems import NobodyThere
from dure.onboard.split import split


def column(engine: Engine, table: str, name: str) -> list[object]:
    rows: list[object] = engine.query(exp.select(name).from_(table))[name].to_pylist()
    return rows


@pytest.fixture
def whole(source: Path, loaded: Callable[..., Account], out: Path) -> Path:
    person = (source / "person.csv").read_text().splitlines()[0]
    (source / "person.csv").write_text(
        "\n".join([person, *(f"{number},8507,1980,0,0,p{number}" for number in range(1, 24))])
    )
    note = "note_id,person_id,note_date,note_type_concept_id,note_class_concept_id,note_text,encoding_concept_id,language_concept_id"
    (source / "note.csv").write_text(f"{note}\n1,1,2020-01-01,0,0,x,0,0\n2,2,2020-01-01,0,0,x,0,0\n")
    (source / "note_nlp.csv").write_text(
        "note_nlp_id,note_id,lexical_variant,nlp_date\n1,1,x,2020-01-01\n2,2,x,2020-01-01\n"
    )
    (source / "cohort.csv").write_text(
        "cohort_definition_id,subject_id,cohort_start_date,cohort_end_date\n1,5,2020-01-01,2020-01-02\n"
    )
    (source / "fact_relationship.csv").write_text(
        "domain_concept_id_1,fact_id_1,domain_concept_id_2,fact_id_2,relationship_concept_id\n1,1,1,1,1\n"
    )
    loaded()
    return out


def test_every_person_is_somewhere_once_with_what_is_theirs(whole: Path, tmp_path: Path) -> None:
    result = split(whole, parts=5, seed=7, out_dir=tmp_path / "parts")
    assert sorted(dataset.persons for _, dataset in result.parts) == [4, 4, 5, 5, 5]
    everybody: list[object] = []
    for path, dataset in result.parts:
        with open_engine(str(path)) as engine:
            assert engine.dataset == dataset
            here = column(engine, "person", "person_id")
            everybody += here
            assert set(column(engine, "observation_period", "person_id")) <= set(here)
            notes = column(engine, "note", "note_id")
            assert notes == [number for number in (1, 2) if number in here]
            assert column(engine, "note_nlp", "note_id") == notes
            assert column(engine, "cohort", "subject_id") == ([5] if 5 in here else [])
            assert column(engine, "concept", "concept_id") == [201826]
            assert column(engine, "fact_relationship", "fact_id_1") == []
    assert sorted(everybody, key=str) == sorted(range(1, 24), key=str)
    assert len({dataset.version for _, dataset in result.parts}) == 5
    assert result.notes == ("left out, for it names no person: fact_relationship, rows: 1",)


def test_the_seed_decides(whole: Path, tmp_path: Path) -> None:
    def people(seed: int, name: str) -> list[list[object]]:
        found = []
        for path, _ in split(whole, parts=2, seed=seed, out_dir=tmp_path / name).parts:
            with open_engine(str(path)) as engine:
                found.append(sorted(column(engine, "person", "person_id"), key=str))
        return found

    assert people(1, "a") == people(1, "b")
    assert people(1, "c") != people(2, "d")


def test_refusals_leave_nothing(whole: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(NobodyThere, match="23 people"):
        split(whole, parts=24, seed=0, out_dir=tmp_path / "parts")
    assert not (tmp_path / "parts").exists()
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "hospital-2.duckdb").write_text("mine")
    with pytest.raises(OutputExists):
        split(whole, parts=2, seed=0, out_dir=tmp_path / "parts")
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["hospital-2.duckdb"]
    import duckdb

    with duckdb.connect(str(tmp_path / "other.duckdb")) as connection:
        connection.execute("CREATE TABLE x (a INTEGER)")
    with pytest.raises(NotACdm):
        split(tmp_path / "other.duckdb", parts=2, seed=0, out_dir=tmp_path / "parts")
