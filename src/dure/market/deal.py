"""A deal: one request with its quote, its contract and its deliveries, step by step.

Every step is judged by the tables of `states`; here is what makes their conditions true. Steps return the deal after them, and those that
move won also the movements to post with it. Pure: the hub keeps deals, posts movements in the same transaction, and says what time it is.

Responsible for: conditions, and what each step changes. Not responsible for: who is signed in as whom, signatures of permits and
price lists (verified before), whether a hospital's node has stopped (it proves that itself).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from dure.market.contract import Contract, draw, signed_by
from dure.market.ledger import Books, Cause, Movement
from dure.market.problems import NotNow
from dure.market.programmes import Award, pays_for
from dure.market.quote import Quote
from dure.market.settlement import (
    Settlement,
    closing,
    credits_of,
    funding,
    held,
    movements,
    purse,
    settle,
)
from dure.market.standing import due
from dure.market.states import (
    ACTIVE,
    ALL_SETTLED,
    ALL_SIGNED,
    AWARD_FITS,
    BROKEN,
    CONTRACT,
    DELIVERY,
    DUE,
    ELSEWHERE,
    ENOUGH,
    IN_TIME,
    ITS_BUYER,
    MATCHES,
    NO_RUN,
    NOT_ALL,
    OVER,
    PARTY,
    PERMITS,
    QUOTE,
    QUOTE_HOLDS,
    QUOTE_OVER,
    RELEASED,
    REQUEST,
    SIGNATURE,
    SUSPENDER,
    UNSETTLED,
    Condition,
    Party,
    judge,
)
from dure.study.report import Part, Report
from dure.wire.codec import digest, encode
from dure.wire.directory import Directory
from dure.wire.envelope import Envelope, seal
from dure.wire.messages import Permit

UNDER_WAY = frozenset({"running", "released"})
COUNTED = frozenset({"running", "released", "settled"})


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who takes a step, and as what."""

    member: str
    party: Party


HUB = Actor(member="hub", party=Party.HUB)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One delivery.

    Attributes:
        permits: by their digests.
        settlement: what it costs, once it was released.
    """

    number: int
    study: str
    state: str
    permits: Mapping[str, Permit]
    settlement: Settlement | None = None


@dataclass(frozen=True, kw_only=True)
class Deal:
    """A request and what has become of it.

    Attributes:
        study: digest; None asks for a subscription.
        envelope: the contract with the signatures so far.
        suspended_by: who did.
    """

    id: str
    buyer: str
    study: str | None
    state: str = REQUEST.start
    quote: Quote | None = None
    quote_state: str = QUOTE.start
    contract: Contract | None = None
    envelope: Envelope | None = None
    contract_state: str = CONTRACT.start
    suspended_by: Actor | None = None
    runs: tuple[Run, ...] = ()


def offer(deal: Deal, quote: Quote, *, by: Actor) -> Deal:
    """A quote is put before the buyer, in place of an earlier one."""
    quote.check()
    fits = (quote.buyer, quote.study, quote.intermediary) == (deal.buyer, deal.study, by.member)
    holds = {MATCHES} if fits else set()
    state = judge(REQUEST, deal.state, "quote", by=by.party, holds=holds).target
    if deal.quote is not None and deal.quote_state == QUOTE.start:
        judge(QUOTE, deal.quote_state, "replace", by=by.party, holds=holds)
    return replace(deal, state=state, quote=quote, quote_state=QUOTE.start)


def lapse(deal: Deal, *, now: datetime) -> Deal:
    """A quote's date is over: the request is open again."""
    holds = {QUOTE_OVER} if deal.quote is not None and now >= deal.quote.until else set()
    state = judge(REQUEST, deal.state, "lapse", by=Party.HUB, holds=holds).target
    return replace(
        deal,
        state=state,
        quote_state=judge(QUOTE, deal.quote_state, "lapse", by=Party.HUB, holds=holds).target,
    )


def withdraw(deal: Deal, *, by: Actor) -> Deal:
    """The buyer doesn't want it any more."""
    holds = _buyer(deal, by)
    state = judge(REQUEST, deal.state, "withdraw", by=by.party, holds=holds).target
    quote_state = deal.quote_state
    if deal.quote is not None and quote_state == QUOTE.start:
        quote_state = judge(QUOTE, quote_state, "withdraw", by=by.party, holds=holds).target
    return replace(deal, state=state, quote_state=quote_state)


def accept(deal: Deal, *, by: Actor, now: datetime, ends: datetime) -> Deal:
    """The buyer takes the quote: the contract is drawn up."""
    holds = _buyer(deal, by)
    if deal.quote is not None and deal.quote.issued <= now < deal.quote.until:
        holds.add(QUOTE_HOLDS)
    state = judge(REQUEST, deal.state, "accept", by=by.party, holds=holds).target
    quote_state = judge(QUOTE, deal.quote_state, "accept", by=by.party, holds=holds).target
    assert deal.quote is not None
    contract = draw(deal.quote, now=now, ends=ends)
    return replace(
        deal,
        state=state,
        quote_state=quote_state,
        contract=contract,
        envelope=seal(contract, "contract"),
        contract_state=CONTRACT.start,
    )


def sign(deal: Deal, envelope: Envelope, directory: Directory, *, by: Actor, now: datetime) -> Deal:
    """A party signs; with the last signature the contract binds.

    Args:
        envelope: the deal's, with the party's own signature added.
    """
    contract, mine = _drawn(deal)
    holds = _party(deal, by) | ({IN_TIME} if now < contract.ends else set())
    signers: tuple[str, ...] = ()
    if envelope.payload == mine.payload and set(mine.signatures) <= set(envelope.signatures):
        signers = signed_by(envelope, directory, where=f"contract {contract.digest}")
        if by.member in signers:
            holds.add(SIGNATURE)
    state = judge(CONTRACT, deal.contract_state, "sign", by=by.party, holds=holds).target
    if set(signers) == set(contract.parties):
        state = judge(CONTRACT, state, "complete", by=Party.HUB, holds={ALL_SIGNED}).target
    return replace(deal, envelope=envelope, contract_state=state)


def cancel(deal: Deal, *, by: Actor) -> Deal:
    """A party takes a contract back that isn't funded."""
    _drawn(deal)
    return _step(deal, "cancel", by, _party(deal, by))


def fund(
    deal: Deal, books: Books, *, award: Award | None = None, by: Actor, now: datetime
) -> tuple[Deal, tuple[Movement, ...]]:
    """The buyer's won, and a voucher's credit, are set aside: studies may run.

    Args:
        award: the one that the voucher names.
    """
    contract, _ = _drawn(deal)
    quote, credit = contract.quote, credits_of(contract)
    holds = _buyer(deal, by) | ({IN_TIME} if now < contract.ends else set())
    if quote.voucher is None or (award is not None and pays_for(award, quote, now=now)):
        holds.add(AWARD_FITS)
    enough = books.balance(purse(quote.buyer)) >= quote.most_won - quote.most_credit
    if enough and (credit is None or books.balance(credit[0]) >= quote.most_credit):
        holds.add(ENOUGH)
    return _step(deal, "fund", by, holds), funding(contract)


def start(
    deal: Deal, study: str, permits: Mapping[str, Permit], *, revoked: Collection[str], now: datetime
) -> Deal:
    """A run begins.

    Args:
        study: digest of the signed study.
        permits: of the hospitals that will take part, verified, by digest.
        revoked: digests of permits that were taken back.
    """
    contract, _ = _drawn(deal)
    run = Run(number=len(deal.runs) + 1, study=study, state=DELIVERY.start, permits=permits)
    holds = set()
    if _active(deal, now):
        holds.add(ACTIVE)
    asked = sum(one.state in COUNTED for one in deal.runs)
    if asked < contract.quote.deliveries:
        holds.add(NOT_ALL)
    if now >= due(contract.drawn, contract.quote.every_months, asked):
        holds.add(DUE)
    if _live(contract, run, revoked, now):
        holds.add(PERMITS)
    state = judge(DELIVERY, run.state, "run", by=Party.HUB, holds=holds).target
    return replace(deal, runs=(*deal.runs, replace(run, state=state)))


def release(
    deal: Deal, number: int, report: Report, books: Books, *, revoked: Collection[str], now: datetime
) -> Deal:
    """A run has its report. What it costs is fixed with it."""
    contract, _ = _drawn(deal)
    run = _run(deal, number)
    holds, settlement = {ACTIVE} if _active(deal, now) else set[Condition](), None
    if _live(contract, run, revoked, now):
        holds.add(PERMITS)
    seated = {permit.hospital for permit in run.permits.values()}
    answered = {part.hospital for part in report.participation if part.part is Part.ANSWERED}
    if report.study == run.study and answered <= seated:
        try:
            settlement = settle(contract, report)
            holds.add(RELEASED)
        except NotNow:
            # Nothing that could be paid for was released: the denial says so.
            settlement = None
    if not _paid(deal, digest(encode(report)), books, but=number):
        holds.add(UNSETTLED)
    state = judge(DELIVERY, run.state, "release", by=Party.HUB, holds=holds).target
    return _with(deal, replace(run, state=state, settlement=settlement))


def fail(deal: Deal, number: int) -> Deal:
    """A run ended without a report that releases anything: nothing is owed, and it may be run again."""
    run = _run(deal, number)
    return _with(deal, replace(run, state=judge(DELIVERY, run.state, "fail", by=Party.HUB, holds=()).target))


def stop(deal: Deal, number: int, *, revoked: Collection[str], now: datetime) -> Deal:
    """A run ends because a permit or the contract did."""
    contract, _ = _drawn(deal)
    run = _run(deal, number)
    live = _active(deal, now) and _live(contract, run, revoked, now)
    holds = set() if live else {BROKEN}
    return _with(
        deal, replace(run, state=judge(DELIVERY, run.state, "stop", by=Party.HUB, holds=holds).target)
    )


def pay(deal: Deal, number: int, books: Books) -> tuple[Deal, tuple[Movement, ...]]:
    """A released delivery is settled."""
    contract, _ = _drawn(deal)
    run = _run(deal, number)
    made = run.settlement
    holds = {UNSETTLED} if made is not None and not _paid(deal, made.report, books, but=number) else set()
    state = judge(DELIVERY, run.state, "settle", by=Party.HUB, holds=holds).target
    assert made is not None
    return _with(deal, replace(run, state=state)), movements(contract, made)


def drop(deal: Deal, number: int, books: Books) -> Deal:
    """A released delivery whose report was settled under another contract meanwhile: nobody pays for it twice."""
    run = _run(deal, number)
    twice = run.settlement is not None and books.has(Cause.SETTLE, run.settlement.report)
    state = judge(DELIVERY, run.state, "drop", by=Party.HUB, holds={ELSEWHERE} if twice else ()).target
    return _with(deal, replace(run, state=state))


def suspend(deal: Deal, *, by: Actor) -> Deal:
    """Nothing runs until it is resumed; what is running stops."""
    _drawn(deal)
    return replace(_stopped(_step(deal, "suspend", by, _party(deal, by))), suspended_by=by)


def resume(deal: Deal, *, by: Actor, now: datetime) -> Deal:
    """Who suspended it lets it go on."""
    contract, _ = _drawn(deal)
    holds = ({SUSPENDER} if by == deal.suspended_by else set()) | (
        {IN_TIME} if now < contract.ends else set()
    )
    return replace(_step(deal, "resume", by, holds), suspended_by=None)


def revoke(deal: Deal, *, by: Actor) -> Deal:
    """Nothing runs any more; what is running stops."""
    _drawn(deal)
    return _stopped(_step(deal, "revoke", by, _party(deal, by)))


def expire(deal: Deal, *, now: datetime) -> Deal:
    """The contract's end is over; what is running stops."""
    contract, _ = _drawn(deal)
    return _stopped(_step(deal, "expire", HUB, {OVER} if now >= contract.ends else set()))


def finish(deal: Deal) -> Deal:
    """All deliveries are settled."""
    contract, _ = _drawn(deal)
    settled = sum(run.state == "settled" for run in deal.runs)
    return _step(deal, "finish", HUB, {ALL_SETTLED} if settled == contract.quote.deliveries else set())


def close(deal: Deal, books: Books) -> tuple[Deal, tuple[Movement, ...]]:
    """All that is still set aside goes back."""
    contract, _ = _drawn(deal)
    holds = set() if any(run.state in UNDER_WAY for run in deal.runs) else {NO_RUN}
    closed = _step(deal, "close", HUB, holds)
    state = judge(REQUEST, deal.state, "close", by=Party.HUB, holds=()).target
    credit = credits_of(contract)
    back = closing(contract, books.balance(held(contract)), 0 if credit is None else books.balance(credit[1]))
    return replace(closed, state=state), back


def _paid(deal: Deal, report: str, books: Books, *, but: int) -> bool:
    """Whether a report is settled, or another delivery of the deal has it."""
    mine = {
        run.settlement.report
        for run in deal.runs
        if run.number != but and run.settlement is not None and run.state in COUNTED
    }
    return report in mine or books.has(Cause.SETTLE, report)


def _drawn(deal: Deal) -> tuple[Contract, Envelope]:
    if deal.contract is None or deal.envelope is None:
        raise NotNow("There is no contract.", where=f"request {deal.id}", mend="Accept a quote first.")
    return deal.contract, deal.envelope


def _run(deal: Deal, number: int) -> Run:
    for run in deal.runs:
        if run.number == number:
            return run
    raise NotNow(f"There is no delivery {number}.", where=f"request {deal.id}", mend="Start it first.")


def _with(deal: Deal, run: Run) -> Deal:
    return replace(deal, runs=tuple(run if one.number == run.number else one for one in deal.runs))


def _step(deal: Deal, action: str, by: Actor, holds: Collection[Condition]) -> Deal:
    return replace(
        deal, contract_state=judge(CONTRACT, deal.contract_state, action, by=by.party, holds=holds).target
    )


def _stopped(deal: Deal) -> Deal:
    for run in deal.runs:
        if run.state == "running":
            state = judge(DELIVERY, run.state, "stop", by=Party.HUB, holds={BROKEN}).target
            deal = _with(deal, replace(run, state=state))
    return deal


def _buyer(deal: Deal, by: Actor) -> set[Condition]:
    return {ITS_BUYER} if by.member == deal.buyer else set()


def _party(deal: Deal, by: Actor) -> set[Condition]:
    """Whether it is a party, as what it acts as; the regulator is one of every contract."""
    assert deal.contract is not None
    quote = deal.contract.quote
    parties = {
        Party.BUYER: {quote.buyer},
        Party.INTERMEDIARY: {quote.intermediary},
        Party.HOSPITAL: {offer.hospital for offer in quote.offers},
        Party.REGULATOR: {by.member},
    }
    return {PARTY} if by.member in parties.get(by.party, set()) else set()


def _active(deal: Deal, now: datetime) -> bool:
    return deal.contract is not None and deal.contract_state == "active" and now < deal.contract.ends


def _live(contract: Contract, run: Run, revoked: Collection[str], now: datetime) -> bool:
    """Whether each hospital of a run is of the contract and has a permit for exactly this that holds now."""
    quote = contract.quote
    hospitals = {offer.hospital for offer in quote.offers}
    seated = [permit.hospital for permit in run.permits.values()]
    return (
        bool(seated)
        and len(set(seated)) == len(seated)
        and quote.study in {None, run.study}
        and all(
            (permit.study, permit.asker, permit.mode) == (run.study, quote.buyer, quote.mode)
            and permit.hospital in hospitals
            and permit.issued <= now < permit.expires
            and name not in revoked
            for name, permit in run.permits.items()
        )
    )
