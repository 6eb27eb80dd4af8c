"""The journal keeps all of a transaction or none, and is never guessed at."""

import sqlite3
from datetime import UTC, datetime

import numpy as np
import pytest

from dure.engines.problems import DiskFull
from dure.node.journal import Journal, Kept
from dure.node.people import compress, expand
from dure.node.problems import BadSetup, NoNode

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path, make=True)
    yield made
    made.close()


def test_an_error_within_a_transaction_leaves_nothing(journal):
    with pytest.raises(ValueError, match="half way"), journal.writing():
        journal.write_letter("/door", b"body", about="x", now=NOW)
        raise ValueError("half way")
    assert journal.to_send() == []


def test_a_full_disk_is_a_problem_and_leaves_nothing(journal):
    journal._db.execute("PRAGMA max_page_count = 30")
    with pytest.raises(DiskFull) as found, journal.writing():
        journal.write_letter("/door", b"first", about="x", now=NOW)
        journal.write_letter("/door", bytes(10**6), about="x", now=NOW)
    assert found.value.exit_code == 97
    assert journal.to_send() == []
    with journal.writing():
        journal.write_letter("/door", b"small", about="x", now=NOW)
    assert len(journal.to_send()) == 1


def test_letters_go_in_the_order_in_which_they_were_written(journal):
    with journal.writing():
        letters = [journal.write_letter("/door", bytes([n]), about=str(n), now=NOW) for n in range(3)]
        journal.mark_sent(letters[0], now=NOW)
        journal.mark_returned(letters[1], "no")
    assert [about for _, _, _, about in journal.to_send()] == ["2"]
    assert journal.returned() == [("1", "no")]
    with journal.writing():
        journal.send_again(letters[1])
    assert [about for _, _, _, about in journal.to_send()] == ["1", "2"]


def test_the_first_answer_to_a_question_stays(journal):
    for numbers in (b"one", b"two"):
        with journal.writing():
            journal.keep("q", Kept(layout="l", numbers=numbers, shown=None), dataset="v", now=NOW)
    assert journal.kept("q").numbers == b"one"
    assert journal.kept("another") is None


def test_a_population_is_kept_once_for_each_dataset_version(journal):
    people = compress(np.array([1, 5, 9]))
    for dataset in ("v1", "v1", "v2"):
        with journal.writing():
            journal.add_population(dataset, "q", "everyone", people, size=3, by_hospital=True)
    first, second = journal.populations()
    assert journal.people(first.id) == journal.people(second.id) == people
    assert first.by_hospital
    assert first.size == 3


def test_a_total_s_people_are_kept_once_and_named_by_run(journal):
    people = compress(np.array([1, 5, 9]))
    told = {"size": 3, "members": ("a", "b"), "outside": ("b",), "by_hospital": False}
    for ref in ("", "r1/0/everyone", "r1/0/everyone", "r2/0/everyone"):
        with journal.writing():
            journal.add_population("v1", "q", "everyone", people, ref=ref, **told)
    assert [one.ref for one in journal.populations()] == ["r1/0/everyone", "r2/0/everyone"]
    assert {journal.people(one.id) for one in journal.populations()} == {people}
    assert {(one.members, one.outside) for one in journal.populations()} == {(("a", "b"), ("b",))}
    assert journal.people_of("q") == {"everyone": people}
    assert journal.people_of("another") == {}
    (whole,) = journal._db.execute("SELECT count(*) FROM population WHERE length(people) > 0").fetchone()
    assert whole == 1


@pytest.mark.parametrize(
    "people", [[], [0], [1, 2, 3], [-(2**63), -7, 0, 7, 2**63 - 1], list(range(0, 200_000, 3))]
)
def test_people_come_back_as_they_went_in(people):
    array = np.array(people, dtype=np.int64)
    assert expand(compress(array)).tolist() == people


def test_a_journal_of_another_version_is_not_guessed_at(tmp_path):
    Journal(tmp_path, make=True).close()
    with sqlite3.connect(tmp_path / "journal.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(BadSetup, match="another version of Dure"):
        Journal(tmp_path)


def test_a_journal_that_is_gone_is_not_begun_anew(tmp_path):
    """An empty one would have forgotten what was answered."""
    with pytest.raises(NoNode):
        Journal(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_write_is_on_the_disk_before_it_counts(journal):
    assert journal._row("PRAGMA journal_mode") == ("wal",)
    assert journal._row("PRAGMA synchronous") == (2,)
    with journal.writing(durable=False):
        pass
    with journal.writing():
        assert journal._row("PRAGMA synchronous") == (2,)
