"""The quote: all that buying a study, or several, would cost at most, line by line, until a date. Buyer, hospitals and intermediary see the same.

Responsible for: the quote, what it costs, whether a voucher pays part of it. Not responsible for: price lists (`prices`), what a delivery
did cost (`settlement`), the signatures (`contract`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NoReturn

from dure.market.bill import Bill, bill
from dure.market.prices import REPEATED, TIER, WHOLE, PriceList, Way, open_fee, open_price_list
from dure.market.problems import BadTerms
from dure.market.shares import Split
from dure.market.works import open_work
from dure.wire.codec import Moment, message
from dure.wire.directory import Directory
from dure.wire.envelope import Envelope
from dure.wire.rules import Mode

LONGEST = 200


@message
class Offer:
    """One hospital's part in a quote, for one delivery.

    Attributes:
        price_list: digest of the signed list.
        won, covers, block_won: the price, as `prices.Price` has it.
        blocks: further blocks of numbers that are paid for at most; what is beyond them is free.
        weight: among the hospitals of the quote, if it is split by bands.
    """

    hospital: str
    price_list: str
    won: int
    covers: int
    block_won: int
    blocks: int
    weight: int

    @property
    def most_won(self) -> int:
        return self.won + self.blocks * self.block_won


@message
class Royalty:
    """What an author gets of each delivery, on top of the hospitals' prices.

    Attributes:
        work: what it is for: the digest of the signed `works.Work`.
    """

    to: str
    work: str
    basis_points: int


@message
class Voucher:
    """A programme pays part of what is bought before tax; the buyer pays the rest, and all tax.

    Attributes:
        award: whose credit it is.
        basis_points: the programme's part: 8,000 are 80 %.
    """

    award: str
    programme: str
    basis_points: int = 8000


@message
class Quote:
    """What is offered.

    Attributes:
        study: digest of the study; None in a subscription, which is for any of the buyer's.
        deliveries: released reports that are paid for.
        every_months: how often a standing query is asked; 0 for all else.
        fee_basis_points, fee_least_won: the intermediary's fee, by its list with the digest `fee`.
        voucher: None: the buyer pays all.
        until: after this it can't be accepted.
    """

    id: str
    buyer: str
    intermediary: str
    way: Way
    study: str | None
    mode: Mode
    deliveries: int
    every_months: int
    offers: tuple[Offer, ...]
    fee: str
    fee_basis_points: int
    fee_least_won: int
    split: Split
    royalties: tuple[Royalty, ...]
    voucher: Voucher | None
    issued: Moment
    until: Moment

    def check(self) -> None:
        """Raise BadTerms where it contradicts itself."""
        if any(not word or not word.isprintable() or len(word) > LONGEST for word in self._words()):
            _bad(
                "A word of it is empty, longer than 200 letters, or has letters that can't be seen.",
                "words",
                "Write ids and names in letters that a reader of the contract sees.",
            )
        names = [offer.hospital for offer in self.offers]
        if not names or len(set(names)) != len(names):
            _bad("A quote has one line for each of its hospitals.", "offers", "Name each hospital once.")
        if any(min(o.won, o.covers, o.block_won, o.blocks) < 0 or o.weight < 1 for o in self.offers):
            _bad(
                "A number of an offer is below its meaning.",
                "offers",
                "Give 0 or more, a weight of 1 or more.",
            )
        if (self.way is Way.SUBSCRIPTION) != (self.study is None):
            _bad("A subscription is for any study, all else for one.", "study", "Name the study, or none.")
        if self.deliveries < 1 or (self.deliveries > 1 and self.way not in REPEATED):
            _bad(f"{self.deliveries} deliveries {self.way}.", "deliveries", "Buy one, or buy otherwise.")
        if (self.way is Way.STANDING) != (self.every_months > 0) or not 0 <= self.every_months <= 12:
            _bad(
                "A standing query is asked every 1 to 12 months, all else once.",
                "every_months",
                "Say how often.",
            )
        if not self.issued < self.until:
            _bad("It ends before it is issued.", "until", "Give a later date.")
        parts = [self.fee_basis_points, *(royalty.basis_points for royalty in self.royalties)]
        if min(*parts, self.fee_least_won) < 0 or sum(parts) > WHOLE:
            _bad(
                "Fee and royalties are below 0 or above the hospitals' prices.",
                "fee, royalties",
                "Lower them.",
            )
        authors = [royalty.to for royalty in self.royalties]
        if len(set(authors)) != len(authors):
            _bad("An author stands twice.", "royalties", "Add its parts up.")
        if self.intermediary in {self.buyer, *names}:
            _bad("An intermediary neither buys nor sells data.", "intermediary", "Go through another one.")
        if self.voucher is not None and not 0 < self.voucher.basis_points <= WHOLE:
            _bad("A voucher pays nothing, or more than all.", "voucher", "Give 1 to 10,000 basis points.")
        self.split.check(self.mode)
        if self.way is Way.SELF_SERVE:
            supply = self.most.supply
            if not TIER[0] <= supply <= TIER[1] or self.mode is not Mode.TOTAL:
                _bad(
                    f"A self-serve study costs 100,000 to 1,000,000 won and is released in total; this is {supply:,} won, {self.mode}.",
                    "way",
                    "Ask fewer hospitals, or buy it per study.",
                )

    def _words(self) -> tuple[str, ...]:
        """All text that comes into the contract as it is: a line break in it could look like an article."""
        split, voucher = self.split, self.voucher
        return (
            self.id,
            self.buyer,
            self.intermediary,
            self.fee,
            *(() if self.study is None else (self.study,)),
            *(word for offer in self.offers for word in (offer.hospital, offer.price_list)),
            *(word for royalty in self.royalties for word in (royalty.to, royalty.work)),
            *(() if voucher is None else (voucher.award, voucher.programme)),
            *(word for word in (split.table, split.low, split.high) if word),
        )

    @property
    def most(self) -> Bill:
        """The bill of a delivery in which all hospitals answer and all blocks are started."""
        return self.bill(sum(offer.most_won for offer in self.offers))

    @property
    def most_won(self) -> int:
        """What all deliveries cost at most, tax included: what is set aside when the contract is funded."""
        return self.most.total * self.deliveries

    @property
    def most_credit(self) -> int:
        """Of `most_won`, what the voucher pays."""
        return self.credit(self.most) * self.deliveries

    def credit(self, delivery: Bill) -> int:
        """What the voucher pays of a delivery's bill: its part of what is bought before tax, rounded down."""
        return 0 if self.voucher is None else delivery.supply * self.voucher.basis_points // WHOLE

    def bill(self, hospitals: int) -> Bill:
        """The bill of a delivery in which hospitals earned so much together."""
        return bill(
            hospitals,
            fee_basis_points=self.fee_basis_points,
            fee_least_won=self.fee_least_won,
            royalties={royalty.to: royalty.basis_points for royalty in self.royalties},
        )


def offer(
    way: Way, listed: PriceList, *, digest: str, blocks: int, split: Split, people_about: int | None
) -> Offer:
    """A hospital's line by its list.

    Args:
        digest: of the signed list.
        people_about: what its board published; it weighs in bands only.
    """
    price = listed.price(way)
    return Offer(
        hospital=listed.hospital,
        price_list=digest,
        won=price.won,
        covers=price.covers,
        block_won=price.block_won,
        blocks=blocks if price.block_won else 0,
        weight=split.weight(people_about),
    )


def matches(
    quote: Quote,
    lists: Mapping[str, Envelope],
    fee: Envelope,
    works: Iterable[Envelope],
    people: Mapping[str, int | None],
    directory: Directory,
    *,
    now: datetime,
) -> None:
    """Raise where a quote isn't what the signed lists, fees and works and the published profiles give.

    Args:
        lists: signed price lists, by hospital.
        fee: the intermediary's signed fee.
        works: those that its royalties are for, signed.
        people: what boards published, by hospital.

    Raises:
        BadTerms: the quote says other than they do, or they are over.
        Forged, Untrusted: a signature or a member.
    """
    quote.check()
    for line in quote.offers:
        here = line.hospital
        envelope = lists[here]
        listed = open_price_list(envelope, directory, now=now, where=f"price list of {here}")
        expected = offer(
            quote.way,
            listed,
            digest=envelope.digest,
            blocks=line.blocks,
            split=quote.split,
            people_about=people.get(here),
        )
        if line != expected:
            _bad(
                f"The line of {here} isn't what its price list gives.",
                here,
                "Quote by the list that is signed.",
            )
    asked = open_fee(fee, directory, now=now, where="fee")
    if (asked.intermediary, fee.digest, asked.basis_points, asked.least_won) != (
        quote.intermediary,
        quote.fee,
        quote.fee_basis_points,
        quote.fee_least_won,
    ):
        _bad(
            "The fee isn't the one that the intermediary published.",
            "fee",
            "Quote by the fee that is signed.",
        )
    offered = {envelope.digest: open_work(envelope, directory, now=now, where="work") for envelope in works}
    for royalty in quote.royalties:
        work = offered.get(royalty.work)
        if work is None or (work.author, work.basis_points) != (royalty.to, royalty.basis_points):
            _bad(
                "A royalty isn't what its work's author asks.",
                royalty.to,
                "Quote by the work that is signed.",
            )


def _bad(what: str, where: str, mend: str) -> NoReturn:
    raise BadTerms(what, where=f"quote, {where}", mend=mend)
