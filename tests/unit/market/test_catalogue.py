"""The catalogue shows what a board declared, and a search fits only what was declared."""

from datetime import UTC, date, datetime

import pytest

from dure.market.catalogue import listing, search
from dure.wire.directory import Member, Role
from dure.wire.messages import DatasetDeclaration, Provenance


def line(name, people=None, provenance=Provenance.REAL, first=2015, last=2025):
    member = Member(id=name, name=f"{name.title()} Hospital", role=Role.HOLDER, affiliation="north")
    if people is None:
        return listing(member, None)
    declared = DatasetDeclaration(
        hospital=name,
        dataset_version="1",
        cdm_version="5.4",
        provenance=provenance,
        people_about=people,
        first_date=date(first, 1, 1),
        last_date=date(last, 12, 31),
        declared=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return listing(member, declared)


LINES = (
    line("aram", 1000),
    line("byeol", 5000, Provenance.SYNTHETIC),
    line("chorok"),
    line("dalbit", 3000, first=2020),
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["byeol", "dalbit", "aram", "chorok"]),
        ({"text": "ARAM"}, ["aram"]),
        ({"text": "north"}, ["byeol", "dalbit", "aram", "chorok"]),
        ({"least_people": 2000}, ["byeol", "dalbit"]),
        ({"provenance": Provenance.REAL}, ["dalbit", "aram"]),
        ({"covers": (date(2016, 1, 1), date(2024, 1, 1))}, ["byeol", "aram"]),
        ({"covers": (date(2016, 1, 1), date(2026, 6, 1))}, []),
    ],
)
def test_a_search_finds(asked, found):
    assert [one.hospital for one in search(LINES, **asked)] == found


def test_what_was_not_declared_is_not_made_up():
    assert LINES[2].people_about is None
    assert LINES[2].provenance is None
