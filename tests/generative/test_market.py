"""Random sequences of steps by random actors, with the laws of the market held after each one.

The ledger sums to zero and no won is made; no state outside its table is reached, nor along another step; nothing runs without live permits; nothing
is settled without a release. 10,000 steps are a slow test; a few hundred run always.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dure.market import deal as deals
from dure.market import programmes
from dure.market.deal import Actor, Deal
from dure.market.ledger import BANKS, Account, Books, Cause, Heading, Transaction, verify
from dure.market.prices import Way
from dure.market.problems import NotNow, NotPosted
from dure.market.programmes import Outcome, Programme, allot, apply, deposit, payout
from dure.market.quote import Royalty, Voucher
from dure.market.settlement import held, purse
from dure.market.shares import Rule, Split
from dure.market.states import AWARD, CONTRACT, DELIVERY, QUOTE, REQUEST, Party
from dure.wire.codec import decode
from dure.wire.envelope import countersign
from tests.spec.market.deal import HOSPITALS, NOW, directory, key, numbers, quote, report
from tests.spec.market.test_deal import permits

BOOK = directory()
DEALS = 3
BUYER, FIRM = "saebom", "saebom"
ACTORS = [
    Actor(member="saebom", party=Party.BUYER),
    Actor(member="stranger", party=Party.BUYER),
    Actor(member="narae", party=Party.INTERMEDIARY),
    Actor(member="dasom", party=Party.INTERMEDIARY),
    *(Actor(member=name, party=Party.HOSPITAL) for name in (*HOSPITALS, "dalbit")),
    Actor(member="ministry", party=Party.REGULATOR),
]
PARTIES = {
    "saebom": ACTORS[0],
    "narae": ACTORS[2],
    **{name: ACTORS[4 + i] for i, name in enumerate(HOSPITALS)},
}
PROGRAMME = Programme(
    id="start-ups", title="t", fund="nation", won=50_000_000, basis_points=8000, most_won=20_000_000,
    ways=tuple(Way), opens=NOW, closes=NOW + timedelta(days=60), ends=NOW + timedelta(days=90), report_days=10,
)  # fmt: skip
WHICH, ACTOR = st.integers(0, DEALS - 1), st.sampled_from(ACTORS)
WATCHERS = st.sampled_from([*ACTORS, PARTIES["aram"], PARTIES["aram"], ACTORS[-1], ACTORS[0]])
HOSPITAL_SETS = st.sets(st.sampled_from(HOSPITALS), min_size=1).map(lambda names: tuple(sorted(names)))
SPLITS = st.sampled_from([Split(rule=Rule.LISTED), Split(rule=Rule.EQUAL)])
ROYALTIES = st.sampled_from([(), (Royalty(to="dasom", work="sha256:t", basis_points=333),)])


def edges(table):
    return {(one.source, one.target) for one in table.transitions} | {
        (state, state) for state in table.states
    }


EDGES = {table.thing: edges(table) for table in (REQUEST, QUOTE, CONTRACT, DELIVERY, AWARD)}

REACHED = set()
"""States that some deal was in."""


class Market(RuleBasedStateMachine):
    """Three deals, three awards, one ledger, a clock."""

    @initialize()
    def begin(self):
        self.now, self.books, self.bodies = NOW, Books(), []
        self.deals = [
            Deal(id=f"r-{n}", buyer=BUYER, study=None if n == 2 else f"sha256:study-{n}")
            for n in range(DEALS)
        ]
        self.awards, self.revoked, self.banks, self.quotes = {}, set(), 0, 0
        self.released, self.paid_in, self.requests = {}, 0, DEALS
        self.bank(Account(heading=Heading.FUND, owner="nation"), 60_000_000)
        self.post(allot(PROGRAMME))

    def post(self, *movements):
        self.bodies += self.books.post(*movements, at=self.now, who="hub")

    def bank(self, account, won):
        self.banks += 1
        self.post(deposit(account, won, reference=f"bank-{self.banks}"))
        self.paid_in += won

    def attempt(self, which, step, *args, **named):
        """A step on a deal; a denial must change nothing."""
        before, head = self.deals[which], self.books.checkpoint
        try:
            done = step(before, *args, **named)
        except NotNow:
            assert self.books.checkpoint == head
            return False
        after, moves = done if isinstance(done, tuple) else (done, ())
        self.post(*moves)
        self.lawful(before, after)
        REACHED.update((after.state, after.contract_state, *(run.state for run in after.runs)))
        self.deals[which] = after
        return True

    def lawful(self, before, after):
        assert (before.state, after.state) in EDGES["request"]
        if before.quote is after.quote and before.quote is not None:
            assert (before.quote_state, after.quote_state) in EDGES["quote"]
        steps = {(before.contract_state, after.contract_state)}
        completed = before.contract_state == "drawn" and after.contract_state == "signed"
        assert completed or steps <= EDGES["contract"]
        for old, new in zip(before.runs, after.runs, strict=False):
            assert (old.state, new.state) in EDGES["delivery"]
        for new in after.runs[len(before.runs) :]:
            assert new.state == "running"

    @rule(won=st.integers(1, 30_000_000))
    def pays_in(self, won):
        self.bank(purse(BUYER), won)

    @rule(owner=st.sampled_from(["saebom", "narae", "dasom", *HOSPITALS]), won=st.integers(1, 5_000_000), heading=st.sampled_from([Heading.PURSE, Heading.VAT, Heading.CREDIT, Heading.HELD, Heading.FUND]))  # fmt: skip
    def is_paid_out(self, owner, won, heading):
        account = Account(heading=heading, owner=owner)
        self.banks += 1
        has = self.books.balance(account)
        try:
            self.post(payout(account, won, reference=f"bank-{self.banks}"))
        except NotPosted:
            assert has < won or heading not in {Heading.PURSE, Heading.VAT}
        else:
            assert has >= won
            self.paid_in -= won

    @rule(days=st.sampled_from([1, 3, 12, 41]))
    def time_passes(self, days):
        self.now += timedelta(days=days)

    @rule(which=WHICH, way=st.sampled_from(Way), split=SPLITS, royalties=ROYALTIES, voucher=st.booleans(), by=st.sampled_from([ACTORS[2]] * 3 + ACTORS), deliveries=st.integers(1, 3))  # fmt: skip
    def is_quoted(self, which, way, split, royalties, voucher, by, deliveries):
        self.quotes += 1
        deal = self.deals[which]
        way = Way.SUBSCRIPTION if deal.study is None else Way.PER_STUDY if way is Way.SUBSCRIPTION else way
        made = quote(
            way, split=split, royalties=royalties, study=deal.study, id=f"q-{self.quotes}",
            deliveries=deliveries if way in {Way.SUBSCRIPTION, Way.STANDING} else 1,
            voucher=Voucher(award=f"award-{which}", programme="start-ups") if voucher else None,
            issued=self.now, until=self.now + timedelta(days=10),
        )  # fmt: skip
        self.attempt(which, deals.offer, made, by=by)

    @rule(which=WHICH, by=ACTOR, days=st.integers(5, 60))
    def is_accepted(self, which, by, days):
        self.attempt(which, deals.accept, by=by, now=self.now, ends=self.now + timedelta(days=days))

    @rule(which=WHICH, by=ACTOR, own=st.sampled_from([True, True, True, False]))
    def is_signed(self, which, by, own):
        deal = self.deals[which]
        if deal.envelope is not None:
            envelope = countersign(deal.envelope, key(by.member if own else "thief"))
            self.attempt(which, deals.sign, envelope, BOOK, by=by, now=self.now)

    @rule(which=WHICH, steps=st.integers(1, 6), voucher=st.booleans())
    def goes_on(self, which, steps, voucher):
        """The steps that all hope for, so that every state is reached; a deal that is over is followed by another."""
        for _ in range(steps):
            deal = self.deals[which]
            state = deal.contract_state if deal.state == "contracted" else deal.state
            if state in {"closed", "withdrawn"}:
                self.requests += 1
                self.deals[which] = Deal(id=f"r-{self.requests}", buyer=BUYER, study=deal.study)
            elif state == "open":
                self.is_quoted(which, Way.PER_STUDY, Split(rule=Rule.EQUAL), (), voucher, ACTORS[2], 1)
            elif state == "quoted":
                self.is_accepted(which, ACTORS[0], 40)
            elif state == "drawn":
                for actor in PARTIES.values():
                    self.is_signed(which, actor, True)
            elif state == "signed":
                self.bank(purse(BUYER), deal.contract.quote.most_won)
                self.applies_and_is_granted(which, 6_000_000)
                self.is_funded(which, ACTORS[0])
            elif state == "active" and not any(run.state in deals.UNDER_WAY for run in deal.runs):
                self.runs(which, HOSPITALS, 30)
                self.time_does_its_part(which)
            elif state == "active" and deal.runs[-1].state == "running":
                self.is_released(which, 60, 3, False)
            else:
                self.is_settled(which)
                self.time_does_its_part(which)

    @rule(which=WHICH, what=st.sampled_from(["fail", "suspend", "revoke", "board", "time", "cancel"]))
    def meets_with_a_setback(self, which, what):
        """In mid-run, or when it is signed."""
        for _ in range(12):
            deal = self.deals[which]
            if deal.state == "contracted" and deal.contract_state == "signed" and what == "cancel":
                break
            if deal.contract_state == "active" and deal.runs and deal.runs[-1].state == "running":
                break
            self.goes_on(which, 1, False)
        if what == "fail":
            self.run_ends(which, True, deals.fail)
        elif what == "board":
            self.a_board_revokes(which, "aram")
        elif what == "time":
            self.time_passes(41)
            self.time_does_its_part(which)
        elif what == "cancel":
            self.somebody_steps_in(which, ACTORS[0], deals.cancel)
        else:
            self.somebody_steps_in(which, PARTIES["aram"], getattr(deals, what))

    @rule(which=WHICH, by=ACTOR)
    def is_funded(self, which, by):
        deal = self.deals[which]
        before = self.books.balance(purse(BUYER))
        if self.attempt(which, deals.fund, self.books, award=self.awards.get(which), by=by, now=self.now):
            assert by == ACTORS[0]
            own = deal.contract.quote.most_won - deal.contract.quote.most_credit
            assert self.books.balance(purse(BUYER)) == before - own
            assert self.books.balance(held(deal.contract)) == own

    @rule(which=WHICH, seated=HOSPITAL_SETS, days=st.integers(0, 30))
    def runs(self, which, seated, days):
        deal = self.deals[which]
        study = deal.study or f"sha256:any-{len(deal.runs)}"
        given = permits(*seated, study=study, issued=self.now, expires=self.now + timedelta(days=days))
        live = days > 0 and not set(given) & self.revoked
        if self.attempt(which, deals.start, study, given, revoked=self.revoked, now=self.now):
            assert live, "a run without a live permit"
            assert deal.contract_state == "active"
            assert self.now < deal.contract.ends

    @rule(which=WHICH, hospital=st.sampled_from(HOSPITALS))
    def a_board_revokes(self, which, hospital):
        for run in self.deals[which].runs:
            if run.state == "running":
                self.revoked |= {name for name in run.permits if f"of {hospital} " in name}
                self.attempt(which, deals.stop, run.number, revoked=self.revoked, now=self.now)

    @rule(which=WHICH, shown=st.integers(0, 130), hidden=st.integers(0, 9), again=st.booleans())
    def is_released(self, which, shown, hidden, again):
        for run in self.deals[which].runs:
            if run.state != "running":
                continue
            answered = tuple(sorted(permit.hospital for permit in run.permits.values()))
            made = report(numbers(shown, hidden=hidden), answered=answered, study=run.study)
            made = made if again else replace(made, finished=self.now + timedelta(seconds=run.number))
            done = self.attempt(
                which, deals.release, run.number, made, self.books, revoked=self.revoked, now=self.now
            )
            if done:
                assert shown > 0
                assert self.now < self.deals[which].contract.ends
                assert all(permit.expires > self.now for permit in run.permits.values())
                assert not set(run.permits) & self.revoked
                new = next(one for one in self.deals[which].runs if one.number == run.number)
                self.released.setdefault(new.settlement.report, []).append(which)

    @rule(which=WHICH)
    def is_settled(self, which):
        for run in self.deals[which].runs:
            settled = self.attempt(which, deals.pay, run.number, self.books)
            if settled:
                assert which in self.released[run.settlement.report]
            else:
                self.attempt(which, deals.drop, run.number, self.books)

    @rule(which=WHICH, late=st.booleans(), step=st.sampled_from([deals.fail, deals.stop]))
    def run_ends(self, which, late, step):
        number = len(self.deals[which].runs) if late else 1
        if step is deals.fail:
            self.attempt(which, step, number)
        else:
            self.attempt(which, step, number, revoked=self.revoked, now=self.now)

    @rule(which=WHICH, by=WATCHERS, step=st.sampled_from([deals.suspend, deals.resume, deals.suspend, deals.resume, deals.revoke, deals.cancel]))  # fmt: skip
    def somebody_steps_in(self, which, by, step):
        named = {"now": self.now} if step is deals.resume else {}
        if self.attempt(which, step, by=by, **named) and self.deals[which].contract_state != "active":
            assert all(run.state != "running" for run in self.deals[which].runs)

    @rule(which=WHICH, by=st.sampled_from(ACTORS[:2]))
    def is_withdrawn(self, which, by):
        if self.attempt(which, deals.withdraw, by=by):
            assert by == ACTORS[0]

    @rule(which=WHICH)
    def time_does_its_part(self, which):
        self.attempt(which, deals.lapse, now=self.now)
        self.attempt(which, deals.expire, now=self.now)
        self.attempt(which, deals.finish)
        if self.attempt(which, deals.close, self.books):
            contract = self.deals[which].contract
            assert self.books.balance(held(contract)) == 0

    @rule(which=WHICH, won=st.integers(1, 20_000_000))
    def applies_and_is_granted(self, which, won):
        if which in self.awards:
            return
        try:
            made = apply(PROGRAMME, award=f"award-{which}", firm=FIRM, won=won, purpose="p", now=self.now)
            others = tuple(self.awards.values())
            award, moved = programmes.grant(made, won, self.books, others, by="nation", now=self.now)
        except NotNow:
            return
        self.post(moved)
        self.awards[which] = award

    @rule(which=WHICH, early=st.booleans(), truth=st.booleans())
    def award_moves_on(self, which, early, truth):
        award = self.awards.get(which)
        if award is None:
            return
        outcome = Outcome(
            award=award.id, spent_won=award.won - award.returned_won + (not truth), text="t", reports=()
        )
        for step in (
            lambda: programmes.end(award, self.books, by=FIRM, now=self.now) if early else programmes.lapse(award, self.books, now=self.now),
            lambda: (programmes.report(award, outcome, by=FIRM), ()),
            lambda: (programmes.decide(award, accepted=truth, by="nation"), ()),
        ):  # fmt: skip
            try:
                new, moves = step()
            except NotNow:
                continue
            self.post(*moves)
            assert (award.state, new.state) in EDGES["award"]
            self.awards[which] = new
            break

    @invariant()
    def no_won_is_made_or_lost(self):
        if hasattr(self, "books"):
            assert sum(won for _, won in self.books.accounts) == 0
            assert -self.books.balance(BANKS) == self.paid_in
            assert [account for account, won in self.books.accounts if won < 0] in ([], [BANKS])

    @invariant()
    def what_is_set_aside_is_what_contracts_still_may_cost(self):
        for deal in self.deals if hasattr(self, "deals") else ():
            if deal.contract is not None and deal.contract_state in {
                "active",
                "suspended",
                "revoked",
                "expired",
            }:
                settled = sum(run.state == "settled" for run in deal.runs)
                most, own = deal.contract.quote.most, deal.contract.quote
                left = (most.total - own.credit(most)) * (own.deliveries - settled)
                assert self.books.balance(held(deal.contract)) in ({left} if self.funded(deal) else {0})

    def funded(self, deal):
        return self.books.has(Cause.HOLD, deal.contract.digest)

    def teardown(self):
        if not hasattr(self, "bodies"):
            return
        assert verify(self.bodies, head=self.books.checkpoint).accounts == self.books.accounts
        settled = [
            transaction.movement.reference
            for transaction in (decode(Transaction, body, where="test") for body in self.bodies)
            if transaction.movement.cause is Cause.SETTLE
        ]
        assert set(settled) <= set(self.released), "a settlement without a release"
        assert len(set(settled)) == len(settled)


def run(examples, steps):
    run_state_machine_as_test(
        Market,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_steps():
    run(12, 25)


@pytest.mark.slow
def test_ten_thousand_random_steps():
    run(200, 50)
    assert {*REQUEST.states, *CONTRACT.states, *DELIVERY.states} - {"open", "asked"} <= REACHED
