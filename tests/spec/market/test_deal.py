"""Deals step by step: from a request to won, and every way in which a step is denied."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dure.market import deal as deals
from dure.market.deal import Actor, Deal
from dure.market.ledger import Books
from dure.market.prices import Way
from dure.market.problems import BadTerms, NotNow
from dure.market.settlement import held, purse
from dure.market.states import Party
from dure.study.report import Part
from dure.wire.envelope import countersign
from dure.wire.messages import Permit, Provenance
from dure.wire.rules import Mode, Rules
from tests.spec.market.deal import (
    HOSPITALS,
    LATER,
    NOW,
    YEAR,
    directory,
    key,
    numbers,
    paid_in,
    quote,
    report,
)

SAEBOM = Actor(member="saebom", party=Party.BUYER)
NARAE = Actor(member="narae", party=Party.INTERMEDIARY)
ARAM = Actor(member="aram", party=Party.HOSPITAL)
BYEOL = Actor(member="byeol", party=Party.HOSPITAL)
MINISTRY = Actor(member="ministry", party=Party.REGULATOR)
STRANGER = Actor(member="stranger", party=Party.BUYER)
STUDY = "sha256:study"
MONTH = NOW + timedelta(days=30)


def permits(*hospitals, study=STUDY, asker="saebom", mode=Mode.TOTAL, issued=NOW, expires=YEAR):
    return {
        f"permit of {name} for {study}": Permit(
            study=study, asker=asker, asker_key="k", hospital=name, node_key="n", epoch=1, dataset_version="v",
            provenance=Provenance.REAL, mode=mode, rules=Rules(), rounds=9, issued=issued, expires=expires,
        )
        for name in hospitals
    }  # fmt: skip


ALL = permits(*HOSPITALS)


class Market:
    """A deal with its books, whose steps read as sentences."""

    def __init__(self, made=None, *, won=10_000_000):
        self.quote = quote() if made is None else made
        self.deal = Deal(id="r-1", buyer="saebom", study=self.quote.study)
        self.books = paid_in(Books(), saebom=won)

    def do(self, step, *args, **named):
        done = step(self.deal, *args, **named)
        if isinstance(done, tuple):
            done, moves = done
            self.books.post(*moves, at=NOW, who="hub")
        self.deal = done
        return self

    def offered(self):
        return self.do(deals.offer, self.quote, by=NARAE)

    def drawn(self, ends=YEAR):
        return self.offered().do(deals.accept, by=SAEBOM, now=NOW, ends=ends)

    def signs(self, actor, now=NOW):
        envelope = countersign(self.deal.envelope, key(actor.member))
        return self.do(deals.sign, envelope, directory(), by=actor, now=now)

    def signed(self, ends=YEAR):
        self.drawn(ends)
        hospitals = [Actor(member=name, party=Party.HOSPITAL) for name in HOSPITALS]
        for actor in (SAEBOM, *hospitals, NARAE):
            self.signs(actor)
        return self

    def active(self, ends=YEAR):
        return self.signed(ends).do(deals.fund, self.books, by=SAEBOM, now=NOW)

    def running(self):
        return self.active().do(deals.start, STUDY, ALL, revoked=(), now=NOW)

    def released(self, shown=5):
        return self.running().do(deals.release, 1, report(numbers(shown)), self.books, revoked=(), now=NOW)

    @property
    def states(self):
        return (self.deal.state, self.deal.contract_state, *(run.state for run in self.deal.runs))


def test_from_a_request_to_won():
    market = Market()
    assert market.states == ("open", "drawn")
    assert market.offered().states == ("quoted", "drawn")
    market = Market().signed()
    assert market.states == ("contracted", "signed")
    market.do(deals.fund, market.books, by=SAEBOM, now=NOW)
    assert market.states == ("contracted", "active")
    assert market.books.balance(held(market.deal.contract)) == 3_920_400
    market.do(deals.start, STUDY, ALL, revoked=(), now=NOW)
    market.do(deals.release, 1, report(numbers(5)), market.books, revoked=(), now=NOW)
    assert market.states == ("contracted", "active", "released")
    market.do(deals.pay, 1, market.books).do(deals.finish).do(deals.close, market.books)
    assert market.states == ("closed", "closed", "settled")
    assert market.books.balance(held(market.deal.contract)) == 0
    assert market.books.balance(purse("aram")) == 1_000_000
    assert market.books.balance(purse("saebom")) == 10_000_000 - 3_564_000


def test_a_standing_query_delivers_every_quarter_and_the_rest_goes_back():
    market = Market(quote(Way.STANDING, deliveries=4)).active()
    for number, day in ((1, NOW), (2, NOW + timedelta(days=92)), (3, NOW + timedelta(days=184))):
        if number > 1:
            with pytest.raises(NotNow, match="isn't due yet"):
                market.do(deals.start, STUDY, ALL, revoked=(), now=day - timedelta(seconds=1))
        market.do(deals.start, STUDY, ALL, revoked=(), now=day)
        quarter = replace(report(numbers(5)), finished=day)
        market.do(deals.release, number, quarter, market.books, revoked=(), now=day)
        market.do(deals.pay, number, market.books)
    market.do(deals.expire, now=YEAR).do(deals.close, market.books)
    assert market.states == ("closed", "closed", "settled", "settled", "settled")
    assert market.books.balance(purse("aram")) == 900_000
    assert market.books.balance(purse("saebom")) == 10_000_000 - 3 * 1_069_200


def test_a_hospital_that_revokes_in_mid_run_stops_it_and_the_buyer_has_its_won_back():
    market = Market().running()
    market.do(deals.stop, 1, revoked={f"permit of aram for {STUDY}"}, now=NOW)
    assert market.states == ("contracted", "active", "stopped")
    two = permits("byeol", "chorok")
    market.do(deals.start, STUDY, two, revoked=(), now=NOW)
    seen = report(numbers(5), answered=HOSPITALS[1:])
    market.do(deals.release, 2, seen, market.books, revoked=(), now=NOW).do(deals.pay, 2, market.books)
    assert market.books.balance(purse("aram")) == 0
    market = Market().running().do(deals.revoke, by=ARAM)
    assert market.states == ("contracted", "revoked", "stopped")
    market.do(deals.close, market.books)
    assert market.books.balance(purse("saebom")) == 10_000_000


def test_a_failed_run_may_be_run_again():
    market = Market().running().do(deals.fail, 1)
    market.do(deals.start, STUDY, ALL, revoked=(), now=NOW)
    assert market.states[2:] == ("failed", "running")


def test_what_was_released_is_paid_though_the_contract_is_suspended_or_revoked():
    for stop in (deals.suspend, deals.revoke):
        market = Market().released()
        market.do(stop, by=ARAM).do(deals.pay, 1, market.books)
        assert market.books.balance(purse("aram")) == 1_000_000


def test_a_suspended_contract_goes_on_when_its_suspender_says_so():
    market = Market().running().do(deals.suspend, by=ARAM)
    assert market.states == ("contracted", "suspended", "stopped")
    for other in (BYEOL, MINISTRY):
        with pytest.raises(NotNow, match="Another party suspended it"):
            market.do(deals.resume, by=other, now=NOW)
    market.do(deals.resume, by=ARAM, now=NOW).do(deals.start, STUDY, ALL, revoked=(), now=NOW)
    assert market.states == ("contracted", "active", "stopped", "running")


def test_a_quote_that_lapses_is_followed_by_another():
    market = Market().offered()
    with pytest.raises(NotNow, match="still holds"):
        market.do(deals.lapse, now=LATER - timedelta(seconds=1))
    market.do(deals.lapse, now=LATER)
    assert (market.deal.state, market.deal.quote_state) == ("open", "lapsed")
    market.offered().offered()
    assert (market.deal.state, market.deal.quote_state) == ("quoted", "offered")


PERMIT = "A permit is missing, over, revoked, or for another study"
WRONG_PERMITS = (
    ("none", {}, ()),
    ("over", permits(*HOSPITALS, expires=NOW), ()),
    ("of later", permits(*HOSPITALS, issued=MONTH), ()),
    ("revoked", ALL, {f"permit of byeol for {STUDY}"}),
    ("for another study", permits(*HOSPITALS, study="sha256:other"), ()),
    ("for another buyer", permits(*HOSPITALS, asker="other"), ()),
    ("in another mode", permits(*HOSPITALS, mode=Mode.BY_HOSPITAL), ()),
    ("of a hospital outside", permits(*HOSPITALS, "dalbit"), ()),
    ("two of one hospital", {**ALL, "again": ALL[f"permit of aram for {STUDY}"]}, ()),
)


@pytest.mark.parametrize(("given", "revoked"), [row[1:] for row in WRONG_PERMITS], ids=[row[0] for row in WRONG_PERMITS])  # fmt: skip
def test_nothing_runs_without_a_live_permit_of_every_hospital(given, revoked):
    with pytest.raises(NotNow, match=PERMIT):
        Market().active().do(deals.start, STUDY, given, revoked=revoked, now=NOW)
    if given is ALL:
        market = Market().running()
        with pytest.raises(NotNow, match=PERMIT):
            market.do(deals.release, 1, report(numbers(5)), market.books, revoked=revoked, now=NOW)


def test_nothing_is_released_after_a_permit_s_end():
    market = Market().active().do(deals.start, STUDY, permits(*HOSPITALS, expires=MONTH), revoked=(), now=NOW)
    with pytest.raises(NotNow, match=PERMIT):
        market.do(deals.release, 1, report(numbers(5)), market.books, revoked=(), now=MONTH)
    market.do(deals.stop, 1, revoked=(), now=MONTH)
    with pytest.raises(NotNow, match="are live"):
        Market().running().do(deals.stop, 1, revoked=(), now=NOW)


DENIED = (
    # what, after which steps, the step, why not
    ("a quote for another buyer", Market, lambda m: m.do(deals.offer, replace(m.quote, buyer="other"), by=NARAE), "another buyer or study"),
    ("a quote for another study", Market, lambda m: m.do(deals.offer, replace(m.quote, study="sha256:x"), by=NARAE), "another buyer or study"),
    ("a quote in another's name", Market, lambda m: m.do(deals.offer, m.quote, by=Actor(member="dasom", party=Party.INTERMEDIARY)), "another buyer or study"),
    ("a quote by a hospital", Market, lambda m: m.do(deals.offer, m.quote, by=ARAM), "hospital can't quote"),
    ("no quote", Market, lambda m: m.do(deals.accept, by=SAEBOM, now=NOW, ends=YEAR), "open has no step 'accept'"),
    ("accepted by a stranger", lambda: Market().offered(), lambda m: m.do(deals.accept, by=STRANGER, now=NOW, ends=YEAR), "Another buyer's"),
    ("accepted too late", lambda: Market().offered(), lambda m: m.do(deals.accept, by=SAEBOM, now=LATER, ends=YEAR), "date is over"),
    ("withdrawn by a stranger", lambda: Market().offered(), lambda m: m.do(deals.withdraw, by=STRANGER), "Another buyer's"),
    ("signed before it is drawn", lambda: Market().offered(), lambda m: m.do(deals.cancel, by=SAEBOM), "There is no contract"),
    ("signed by a stranger", lambda: Market().drawn(), lambda m: m.signs(STRANGER), "Only a party"),
    ("signed after its end", lambda: Market().drawn(), lambda m: m.signs(SAEBOM, now=YEAR), "end is over"),
    ("signed with another's key", lambda: Market().drawn(), lambda m: m.do(deals.sign, countersign(m.deal.envelope, key("aram")), directory(), by=SAEBOM, now=NOW), "no valid signature"),
    ("signatures left out", lambda: Market().drawn().signs(ARAM), lambda m: m.do(deals.sign, countersign(replace(m.deal.envelope, signatures=()), key("saebom")), directory(), by=SAEBOM, now=NOW), "no valid signature"),
    ("funded before all signed", lambda: Market().drawn().signs(SAEBOM), lambda m: m.do(deals.fund, m.books, by=SAEBOM, now=NOW), "drawn has no step 'fund'"),
    ("funded by a stranger", lambda: Market().signed(), lambda m: m.do(deals.fund, m.books, by=STRANGER, now=NOW), "Another buyer's"),
    ("funded without won", lambda: Market(won=3_920_399).signed(), lambda m: m.do(deals.fund, m.books, by=SAEBOM, now=NOW), "aren't enough won"),
    ("funded twice", lambda: Market().active(), lambda m: m.do(deals.fund, m.books, by=SAEBOM, now=NOW), "active has no step 'fund'"),
    ("run before it is funded", lambda: Market().signed(), lambda m: m.do(deals.start, STUDY, ALL, revoked=(), now=NOW), "isn't active"),
    ("run after its end", lambda: Market().active(MONTH), lambda m: m.do(deals.start, STUDY, ALL, revoked=(), now=MONTH), "isn't active"),
    ("run while suspended", lambda: Market().active().do(deals.suspend, by=MINISTRY), lambda m: m.do(deals.start, STUDY, ALL, revoked=(), now=NOW), "isn't active"),
    ("run once too often", lambda: Market().running(), lambda m: m.do(deals.start, STUDY, ALL, revoked=(), now=NOW), "All deliveries"),
    ("another study", lambda: Market().active(), lambda m: m.do(deals.start, "sha256:x", permits(*HOSPITALS, study="sha256:x"), revoked=(), now=NOW), PERMIT),
    ("nothing released", lambda: Market().running(), lambda m: m.do(deals.release, 1, report(), m.books, revoked=(), now=NOW), "Nothing of this study"),
    ("another study's report", lambda: Market().running(), lambda m: m.do(deals.release, 1, report(numbers(5), study="sha256:x"), m.books, revoked=(), now=NOW), "Nothing of this study"),
    ("a report of one without a seat", lambda: Market().active().do(deals.start, STUDY, permits("aram"), revoked=(), now=NOW), lambda m: m.do(deals.release, 1, report(numbers(5)), m.books, revoked=(), now=NOW), "Nothing of this study"),
    ("released after the contract's end", lambda: Market().active(MONTH).do(deals.start, STUDY, ALL, revoked=(), now=NOW), lambda m: m.do(deals.release, 1, report(numbers(5)), m.books, revoked=(), now=MONTH), "isn't active"),
    ("settled without a release", lambda: Market().running(), lambda m: m.do(deals.pay, 1, m.books), "running has no step 'settle'"),
    ("settled twice", lambda: Market().released(), lambda m: m.do(deals.pay, 1, m.books).do(deals.pay, 1, m.books), "settled has no step 'settle'"),
    ("dropped though unsettled", lambda: Market().released(), lambda m: m.do(deals.drop, 1, m.books), "isn't settled yet"),
    ("a delivery that isn't there", lambda: Market().active(), lambda m: m.do(deals.fail, 1), "There is no delivery 1"),
    ("failed after its release", lambda: Market().released(), lambda m: m.do(deals.fail, 1), "released has no step 'fail'"),
    ("suspended by the buyer", lambda: Market().active(), lambda m: m.do(deals.suspend, by=SAEBOM), "buyer can't suspend"),
    ("suspended by another hospital", lambda: Market().active(), lambda m: m.do(deals.suspend, by=Actor(member="dalbit", party=Party.HOSPITAL)), "Only a party"),
    ("finished too early", lambda: Market().released(), lambda m: m.do(deals.finish), "Not all deliveries"),
    ("expired too early", lambda: Market().active(), lambda m: m.do(deals.expire, now=LATER), "is not over"),
    ("cancelled when funded", lambda: Market().active(), lambda m: m.do(deals.cancel, by=SAEBOM), "active has no step 'cancel'"),
    ("closed while active", lambda: Market().active(), lambda m: m.do(deals.close, m.books), "active has no step 'close'"),
    ("closed before it is settled", lambda: Market().released().do(deals.revoke, by=ARAM), lambda m: m.do(deals.close, m.books), "under way"),
)  # fmt: skip


@pytest.mark.parametrize(("made", "step", "why"), [row[1:] for row in DENIED], ids=[row[0] for row in DENIED])
def test_what_is_denied_and_why(made, step, why):
    market = made()
    with pytest.raises(NotNow, match=why):
        step(market)


def test_one_report_is_paid_once_whatever_contract_it_is_brought_under():
    market = Market(won=20_000_000).released()
    again = Market(replace(quote(), id="q-2"))
    again.books = market.books
    again.running().do(deals.release, 1, report(numbers(5)), again.books, revoked=(), now=NOW)
    market.do(deals.pay, 1, market.books)
    with pytest.raises(NotNow, match="settled before"):
        again.do(deals.pay, 1, again.books)
    again.do(deals.drop, 1, again.books).do(deals.revoke, by=ARAM).do(deals.close, again.books)
    assert again.books.balance(purse("aram")) == 1_000_000
    assert again.books.balance(held(again.deal.contract)) == 0
    third = Market(replace(quote(), id="q-3"))
    third.books = market.books
    with pytest.raises(NotNow, match="settled before"):
        third.running().do(deals.release, 1, report(numbers(5)), third.books, revoked=(), now=NOW)


def test_a_subscription_s_report_counts_for_one_delivery():
    market = Market(quote(Way.SUBSCRIPTION, deliveries=2)).active()
    for _ in range(2):
        market.do(deals.start, STUDY, ALL, revoked=(), now=NOW)
    market.do(deals.release, 1, report(numbers(5)), market.books, revoked=(), now=NOW)
    with pytest.raises(NotNow, match="settled before"):
        market.do(deals.release, 2, report(numbers(5)), market.books, revoked=(), now=NOW)


def test_a_contradictory_quote_never_gets_to_the_buyer():
    with pytest.raises(BadTerms):
        Market(quote(deliveries=0)).offered()


def test_hospitals_that_refused_earn_nothing():
    market = Market().running()
    seen = report(numbers(5), answered=HOSPITALS[:2], out=(("chorok", Part.REFUSED),))
    market.do(deals.release, 1, seen, market.books, revoked=(), now=NOW).do(deals.pay, 1, market.books)
    assert [market.books.balance(purse(name)) for name in HOSPITALS] == [1_000_000, 1_000_000, 0]
