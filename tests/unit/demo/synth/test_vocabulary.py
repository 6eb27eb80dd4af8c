"""The vocabulary is closed and says plainly what is invented."""

import pytest

from dure.demo.synth import vocabulary


def test_ids_are_unique_and_parents_exist():
    ids = [concept.id for concept in vocabulary.concepts()]
    assert len(ids) == len(set(ids))
    assert {parent for concept in vocabulary.concepts() for parent in concept.parents} <= set(ids)


def test_invented_concepts_have_their_own_ids_and_names():
    for concept in vocabulary.concepts():
        invented = concept.id >= 2_000_000_000
        assert (concept.vocabulary in vocabulary.INVENTED) == invented, concept
        assert ("synthetic" in concept.name) == invented, concept


@pytest.mark.parametrize(
    ("ancestor", "descendant", "levels"),
    [
        (201826, 201826, (0, 0)),
        (201820, 4193704, (2, 2)),
        (4274025, 37016354, (2, 4)),
        (2_000_000_101, 2_000_001_001, (3, 3)),
        (1503297, 2_000_001_001, (1, 1)),
    ],
)
def test_levels_of_separation(ancestor, descendant, levels):
    assert vocabulary.ancestors()[ancestor, descendant] == levels


def test_every_local_code_maps_to_one_standard_concept():
    tables = vocabulary.tables()
    local = {
        row["concept_id"] for row in tables["concept"].to_pylist() if row["vocabulary_id"] == "Dure Local"
    }
    maps = [
        (row["concept_id_1"], row["concept_id_2"])
        for row in tables["concept_relationship"].to_pylist()
        if row["relationship_id"] == "Maps to" and row["concept_id_1"] in local
    ]
    standard = {row["concept_id"] for row in tables["concept"].to_pylist() if row["standard_concept"] == "S"}
    assert len(local) > 200
    assert sorted(one for one, _ in maps) == sorted(local)
    assert {two for _, two in maps} <= standard


def test_every_relationship_has_its_reverse():
    rows = vocabulary.tables()["concept_relationship"].to_pylist()
    reverse = {"Maps to": "Mapped from", "Mapped from": "Maps to", "Is a": "Subsumes", "Subsumes": "Is a"}
    found = {(row["concept_id_1"], row["concept_id_2"], row["relationship_id"]) for row in rows}
    assert len(found) == len(rows)
    assert all((two, one, reverse[kind]) in found for one, two, kind in found)


def test_korean_names_are_searchable():
    names = {row["concept_synonym_name"] for row in vocabulary.tables()["concept_synonym"].to_pylist()}
    assert {"제2형 당뇨병", "심부전", "메트포르민"} <= names


def test_real_concepts_are_as_a_published_vocabulary_has_them(shared):
    import csv
    import io
    import zipfile

    with zipfile.ZipFile(shared / "data" / "Synthea27Nj_5.4.zip") as archive:
        text = archive.read("CONCEPT.csv").decode("utf-8")
    published = {int(row["concept_id"]): row for row in csv.DictReader(io.StringIO(text))}
    both = [c for c in vocabulary.concepts() if c.id in published and c.id]
    assert len(both) > 60
    for concept in both:
        row = published[concept.id]
        assert concept.vocabulary == row["vocabulary_id"], concept
        assert concept.code == row["concept_code"], concept
        assert concept.domain == row["domain_id"], concept
        assert row["standard_concept"] == "S", concept
