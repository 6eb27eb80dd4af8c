"""What hospitals and intermediaries ask: price lists, signed and published.

Responsible for: the lists and whether they hold. Not responsible for: what a study costs (`quote`).
"""

from datetime import datetime
from enum import StrEnum

from dure.market.problems import BadTerms
from dure.wire.codec import Moment, message
from dure.wire.directory import Directory
from dure.wire.envelope import Envelope, open_sealed, peek

BLOCK = 10
"""Numbers beyond those that a price covers are counted in started blocks of so many."""
WHOLE = 10_000
"""Basis points of everything."""
TIER = (100_000, 1_000_000)
"""What a self-serve study may cost at least and at most, before tax."""


class Way(StrEnum):
    """How studies are bought: one; a number of any in a period; one again and again; one at a small fixed price, without bargaining."""

    PER_STUDY = "per-study"
    SUBSCRIPTION = "subscription"
    STANDING = "standing"
    SELF_SERVE = "self-serve"


REPEATED = frozenset({Way.SUBSCRIPTION, Way.STANDING})


@message
class Price:
    """What a hospital asks for its part in one delivery.

    Attributes:
        won: before tax.
        covers: shown numbers of the report that this pays for.
        block_won: for each further started block of 10.
    """

    way: Way
    won: int
    covers: int
    block_won: int = 0

    def blocks(self, numbers: int) -> int:
        """Blocks beyond what is covered that so many shown numbers start."""
        return max(0, -(-(numbers - self.covers) // BLOCK)) if self.block_won else 0


@message
class PriceList:
    """A hospital's prices. Signed with its board key; the newest version holds."""

    hospital: str
    version: int
    prices: tuple[Price, ...]
    since: Moment
    until: Moment

    def check(self) -> None:
        """Raise BadTerms where it contradicts itself."""
        ways = [price.way for price in self.prices]
        if len(set(ways)) != len(ways):
            raise BadTerms("A way of buying has two prices.", where="prices", mend="Keep one of them.")
        if any(min(price.won, price.covers, price.block_won) < 0 for price in self.prices):
            raise BadTerms("A price is below 0.", where="prices", mend="Give 0 or more.")
        if any(price.way is Way.SELF_SERVE and price.block_won for price in self.prices):
            raise BadTerms(
                "A self-serve price is fixed.", where="prices", mend="Leave the price of a block out."
            )

    def price(self, way: Way) -> Price:
        """The price of a way. Raises BadTerms where the hospital doesn't sell like that."""
        for price in self.prices:
            if price.way is way:
                return price
        raise BadTerms(
            f"{self.hospital} has no price for {way}.",
            where="price list",
            mend="Leave it out, or buy otherwise.",
        )


@message
class Fee:
    """What an intermediary asks on top of the hospitals' prices: the same for everybody, whatever else they buy. Signed by it.

    Attributes:
        basis_points: of the hospitals' prices: 800 are 8 %.
        least_won: for a delivery, if that is more.
    """

    intermediary: str
    version: int
    basis_points: int
    least_won: int
    since: Moment
    until: Moment

    def check(self) -> None:
        """Raise BadTerms where it makes no sense."""
        if not 0 <= self.basis_points <= WHOLE or self.least_won < 0:
            raise BadTerms(
                "No such fee.", where="fee", mend="Give 0 to 10,000 basis points and 0 won or more."
            )


def open_price_list(envelope: Envelope, directory: Directory, *, now: datetime, where: str) -> PriceList:
    """A price list that its hospital's board signed and that holds now.

    Raises:
        Forged, Untrusted: the signature or the hospital.
        BadTerms: over, not yet, or contradictory.
    """
    claimed = peek(PriceList, envelope, where=where)
    key = directory.member(claimed.hospital, where=where).board_key
    listed = open_sealed(PriceList, envelope, "price-list", *_keys(key), where=where)
    listed.check()
    _holds(listed.since, listed.until, now, where)
    return listed


def open_fee(envelope: Envelope, directory: Directory, *, now: datetime, where: str) -> Fee:
    """A fee that its intermediary signed and that holds now. Raises as `open_price_list`."""
    claimed = peek(Fee, envelope, where=where)
    key = directory.member(claimed.intermediary, where=where).asker_key
    fee = open_sealed(Fee, envelope, "fee", *_keys(key), where=where)
    fee.check()
    _holds(fee.since, fee.until, now, where)
    return fee


def _keys(key: str | None) -> tuple[str, ...]:
    return () if key is None else (key,)


def _holds(since: datetime, until: datetime, now: datetime, where: str) -> None:
    if not since <= now < until:
        raise BadTerms(
            f"It holds from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC.",
            where=where,
            mend="Ask for the newest one.",
        )
