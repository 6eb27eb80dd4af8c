"""Which version a source is of, and how that is known."""

import pytest

from dure.onboard.problems import CdmVersionUnknown
from dure.onboard.version import choose

NEW = {"visit_occurrence": {"admitted_from_concept_id"}, "episode": {"episode_id"}}
OLD = {"visit_occurrence": {"admitting_source_concept_id"}}


@pytest.mark.parametrize(
    ("asked", "written", "headers", "version", "said"),
    [
        ("5.3", ["5.4"], {}, "5.3", "as asked"),
        (None, ["v5.3.1"], OLD, "5.3", "as cdm_source says"),
        (None, ["5.4"], {}, "5.4", "as cdm_source says"),
        (None, [], NEW, "5.4", "judged by its columns"),
        (None, ["unknown"], OLD, "5.3", "judged by its columns"),
        (None, [], {}, "5.4", "assumed"),
    ],
)
def test_choice(
    asked: str | None, written: list[str], headers: dict[str, set[str]], version: str, said: str
) -> None:
    chosen, notes = choose(asked, written, headers, "x")
    assert chosen == version
    assert said in notes[0]
    assert len(notes) == 1


def test_doubt_is_said() -> None:
    _, notes = choose(None, ["v5.3.1"], NEW, "x")
    assert "--cdm-version 5.4" in notes[1]


@pytest.mark.parametrize(("asked", "written"), [("6.0", []), (None, ["5.2.2"]), (None, ["v6.0"])])
def test_versions_that_arent_read(asked: str | None, written: list[str]) -> None:
    with pytest.raises(CdmVersionUnknown, match=r"5\.2|6\.0"):
        choose(asked, written, {}, "x")
