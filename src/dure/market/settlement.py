"""Settling a delivery: from a released report to won on accounts.

Everything here is a function of the contract and the released report. Whoever has both can compute it again, and nothing in it tells what the
report hides: hospitals earn by shown numbers (`meter`), and share by rules that read published or released numbers (`shares`).

Responsible for: the settlement and its movements. Not responsible for: whether it may be settled now (`deal`), posting (`ledger`).
"""

from fractions import Fraction

from dure.market.bill import Bill
from dure.market.contract import Contract
from dure.market.ledger import Account, Cause, Heading, Movement, move
from dure.market.meter import Delivery, measure
from dure.market.prices import Price
from dure.market.problems import NotNow
from dure.market.quote import Quote
from dure.market.shares import Rule, divide, information, precision, shapley
from dure.study.report import Report
from dure.wire.codec import digest, encode, message


@message
class Settlement:
    """What one delivery cost, and who gets it.

    Attributes:
        contract, report: digests.
        metered: shown numbers that each hospital's answer is part of; the only thing that was counted.
        hospitals: of what all hospitals earned together, each one's share.
        paid: before tax, by receiver: hospitals, intermediary, authors.
        vat: each receiver's tax, which it owes to the tax office.
        credit: of the bill, what a programme pays.
    """

    contract: str
    report: str
    metered: tuple[Delivery, ...]
    bill: Bill
    hospitals: dict[str, int]
    paid: dict[str, int]
    vat: dict[str, int]
    credit: int

    @property
    def own(self) -> int:
        """What the buyer pays itself."""
        return self.bill.total - self.credit


def settle(contract: Contract, report: Report) -> Settlement:
    """The settlement of a released report.

    Raises:
        NotNow: the report is of another study, buyer or mode, names a hospital without a price, or releases nothing.
        BadTerms: a table that the split reads isn't as the contract says.
    """
    quote, name = contract.quote, digest(encode(report))
    if (report.asker, report.mode) != (quote.buyer, quote.mode) or quote.study not in {None, report.study}:
        raise NotNow(
            "The report is of another study, buyer or way of release.",
            where=f"report {name}",
            mend="Settle it under the contract that it was made for.",
        )
    metered = measure(report)
    earned = _earned(quote, metered)
    if not earned:
        raise NotNow(
            "Nothing was released, so nothing is owed.",
            where=f"report {name}",
            mend="Ask again; what was set aside stays set aside, or goes back when the contract is closed.",
        )
    bill = quote.bill(sum(earned.values()))
    hospitals = divide(bill.hospitals, _weights(contract, report, earned))
    paid = dict(hospitals)
    for receiver, won in ((quote.intermediary, bill.fee), *bill.royalties.items()):
        paid[receiver] = paid.get(receiver, 0) + won
    return Settlement(
        contract=contract.digest,
        report=name,
        metered=metered,
        bill=bill,
        hospitals=hospitals,
        paid=paid,
        vat=divide(bill.vat, paid),
        credit=quote.credit(bill),
    )


def _earned(quote: Quote, metered: tuple[Delivery, ...]) -> dict[str, int]:
    """What each hospital's price gives. One that had no number shown delivered nothing."""
    offers = {offer.hospital: offer for offer in quote.offers}
    earned = {}
    for delivery in metered:
        if delivery.numbers:
            offer = offers.get(delivery.hospital)
            if offer is None:
                raise NotNow(
                    f"{delivery.hospital} answered, and the contract has no price for it.",
                    where="report",
                    mend="Ask only hospitals of the contract.",
                )
            price = Price(way=quote.way, won=offer.won, covers=offer.covers, block_won=offer.block_won)
            blocks = min(offer.blocks, price.blocks(delivery.numbers))
            earned[delivery.hospital] = offer.won + blocks * offer.block_won
    return earned


def _weights(contract: Contract, report: Report, earned: dict[str, int]) -> dict[str, int | Fraction]:
    split = contract.quote.split
    if split.rule is Rule.LISTED:
        return dict(earned)
    if split.rule in {Rule.EQUAL, Rule.BANDS}:
        return {offer.hospital: offer.weight for offer in contract.quote.offers if offer.hospital in earned}
    told = information(split, report, earned)
    if split.rule is Rule.INFORMATION:
        return dict(told)
    return dict(shapley(sorted(told), precision(told), seed=contract.digest.encode()))


def held(contract: Contract) -> Account:
    """Where a buyer's own won for a contract lie."""
    return Account(heading=Heading.HELD, owner=contract.quote.buyer, matter=contract.digest)


def purse(member: str) -> Account:
    """A member's won."""
    return Account(heading=Heading.PURSE, owner=member)


def credits_of(contract: Contract) -> tuple[Account, Account] | None:
    """Where a voucher's credit comes from, and where it lies for a contract; None without a voucher."""
    voucher = contract.quote.voucher
    if voucher is None:
        return None
    return (
        Account(heading=Heading.CREDIT, owner=voucher.award, matter=voucher.programme),
        Account(heading=Heading.HELD_CREDIT, owner=voucher.award, matter=contract.digest),
    )


def funding(contract: Contract) -> tuple[Movement, ...]:
    """Sets aside what the contract costs at most."""
    quote, credit = contract.quote, credits_of(contract)
    own = quote.most_won - quote.most_credit
    moves = [move(Cause.HOLD, contract.digest, (purse(quote.buyer), -own), (held(contract), own))]
    if credit is not None:
        moves.append(
            move(
                Cause.HOLD_CREDIT,
                contract.digest,
                (credit[0], -quote.most_credit),
                (credit[1], quote.most_credit),
            )
        )
    return _some(moves)


def movements(contract: Contract, made: Settlement) -> tuple[Movement, ...]:
    """Pays everybody, and gives back what the delivery cost less than quoted."""
    quote, credit = contract.quote, credits_of(contract)
    changes = [(held(contract), -made.own)]
    if credit is not None:
        changes.append((credit[1], -made.credit))
    changes += [(purse(receiver), won) for receiver, won in made.paid.items()]
    changes += [(Account(heading=Heading.VAT, owner=receiver), won) for receiver, won in made.vat.items()]
    most = quote.most
    own_left = most.total - quote.credit(most) - made.own
    return _some(
        [
            move(Cause.SETTLE, made.report, *changes),
            *_back(contract, made.report, own_left, quote.credit(most) - made.credit),
        ]
    )


def closing(contract: Contract, own: int, credit: int) -> tuple[Movement, ...]:
    """Gives back all that is still set aside: `own` of the buyer's won, `credit` of a programme's."""
    return _some(_back(contract, contract.digest, own, credit))


def _back(contract: Contract, reference: str, own: int, credit: int) -> list[Movement]:
    accounts = credits_of(contract)
    moves = [move(Cause.RETURN, reference, (held(contract), -own), (purse(contract.quote.buyer), own))]
    if accounts is not None:
        moves.append(move(Cause.RETURN_CREDIT, reference, (accounts[1], -credit), (accounts[0], credit)))
    return moves


def _some(moves: list[Movement]) -> tuple[Movement, ...]:
    """Those that move won."""
    return tuple(one for one in moves if one.postings)
