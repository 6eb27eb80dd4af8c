"""What time alone brings about, with a clock that the test holds; and two hubs on one database."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from dure.hub.actions import accounts, decisions, directory, log, polls, runs, studies
from dure.hub.actions.accounts import Person, UserRole
from dure.hub.hub import Hub
from dure.hub.problems import Unavailable
from dure.hub.settings import Settings
from dure.hub.store.database import open_store
from dure.hub.store.migrations import upgrade
from dure.hub.sweep import sweep
from dure.wire.messages import PollAnswer


@dataclass
class Clock:
    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Two:
    """Two hubs on one database, without HTTP."""

    first: Hub
    second: Hub
    clock: Clock
    person: Person
    network: object

    def poll(self, name: str) -> PollAnswer:
        hospital = self.network.hospitals[name]
        found = self.first.reads(polls.waiting_for, name, directory_version=1, now=self.clock())
        for offer in found.offers:
            hospital.studies[offer.study.digest] = offer.study
        for run in found.runs:
            hospital.hear(run)
        return found

    def turn(self, name: str) -> None:
        hospital, found = self.network.hospitals[name], self.poll(name)
        for offer in found.offers:
            sealed = hospital.decide(offer.study, self.network.asker)
            decision = self.second.reads(decisions.verify_decision, sealed, now=self.clock())
            self.second.writes(
                decisions.decide, sealed, decision, patience=self.second.patience, now=self.clock()
            )
        for task in found.tasks:
            sealed = hospital.answer(task)
            event = self.second.reads(runs.verify_answer, sealed, now=self.clock())
            self.second.writes(runs.answer, sealed, event, now=self.clock())

    def view(self, digest: str):
        return self.second.reads(studies.view, digest, self.person)


@pytest.fixture
def two(database_url, network):
    clock = Clock()
    told = Settings(database=database_url, root_key=network.root_key, patience_seconds=60)
    stores = [open_store(database_url) for _ in range(2)]
    upgrade(stores[0].engine)
    first, second = (Hub(settings=told, store=store, clock=clock) for store in stores)
    first.writes(directory.put_directory, network.directory(), root_key=network.root_key, now=clock())
    first.writes(accounts.add_organisation, name="example-pharma", title="Example Pharma", now=clock())
    first.writes(
        accounts.add_user,
        email="ada@example.org",
        organisation="example-pharma",
        role=UserRole.ASKER,
        password_hash=accounts.hash_password("correct horse battery"),
        now=clock(),
    )
    person = first.reads(accounts.list_users)[0][0]
    yield Two(first, second, clock, person, network)
    for store in stores:
        store.close()


def submit(two, **changes) -> str:
    study = two.network.study(**changes)
    two.first.writes(studies.submit, study, two.person, now=two.clock())
    return study.digest


def test_the_run_starts_at_closing_with_whoever_signed(two):
    digest = submit(two)
    for name in ("aram", "byeol", "chorok"):
        two.turn(name)
    assert two.view(digest).state == "offered"
    two.clock.ahead = timedelta(hours=1, minutes=1)
    assert sweep(two.first) == 1
    assert sweep(two.second) == 0
    now = two.view(digest)
    assert now.state == "running"
    assert {part.hospital: part.state for part in now.parts} == {
        "aram": "signed",
        "byeol": "signed",
        "chorok": "signed",
        "dalbit": "silent",
        "eunha": "silent",
    }


def test_who_does_not_answer_in_time_is_out_and_named(two):
    digest = submit(two)
    for name in two.network.hospitals:
        two.turn(name)
    present = [name for name in two.network.hospitals if name != "eunha"]
    for name in present:
        two.turn(name)
    two.clock.ahead = timedelta(seconds=61)
    assert sweep(two.first) == 1
    assert sweep(two.second) == 0
    for _ in range(60):
        for name in present:
            two.turn(name)
    now = two.view(digest)
    assert now.state == "reported"
    gone = next(part for part in now.parts if part.hospital == "eunha")
    assert (gone.state, gone.reason) == ("dropped", "It did not answer in time.")
    two.first.reads(log.verify)


def test_an_offer_nobody_decided_ends_without_a_run(two):
    digest = submit(two)
    two.clock.ahead = timedelta(hours=2)
    sweep(two.second)
    now = two.view(digest)
    assert (now.state, now.reason) == ("unpermitted", "No hospital signed a permit.")
    assert {part.state for part in now.parts} == {"silent"}


def test_a_permit_by_keys_that_were_replaced_is_void_at_the_start(two):
    digest = submit(two)
    for name in ("aram", "byeol", "chorok", "dalbit"):
        two.turn(name)
    two.network.hospitals["aram"].epoch = 2
    sealed = two.network.directory()
    two.first.writes(directory.put_directory, sealed, root_key=two.network.root_key, now=two.clock())
    two.turn("eunha")
    now = two.view(digest)
    assert now.state == "running"
    assert next(part.state for part in now.parts if part.hospital == "aram") == "void"
    assert len(now.permits) == 4


def test_an_expired_directory_vouches_for_nothing_and_stops_nobody_from_mending_it(two):
    submit(two)
    two.clock.ahead = timedelta(days=31)
    sweep(two.first)
    with pytest.raises(Unavailable, match="ended"):
        two.poll("aram")


def test_old_nonces_are_forgotten(two):
    aram = two.network.hospitals["aram"]
    asked = two.first.reads(polls.verify_poll, aram.poll(), now=two.clock())
    two.first.notes(polls.admit, asked, now=two.clock())
    two.clock.ahead = timedelta(minutes=11)
    two.first.notes(polls.forget_nonces, now=two.clock())
    two.second.notes(polls.admit, asked, now=two.clock())
    assert set(two.first.reads(polls.last_seen)) == {"aram"}
