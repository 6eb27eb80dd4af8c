"""The bill of one delivery: what hospitals earned, the fee and royalties on top, and tax, in whole won.

The tax is 10 % of everything bought, rounded down once, so that it doesn't depend on how hospitals share. Each supplier's part of it is by
largest remainder: suppliers' tax adds up to the buyer's.

Responsible for: the sums. Not responsible for: who shares what hospitals earned (`shares`), who pays (`settlement`).
"""

from collections.abc import Mapping
from dataclasses import field

from dure.market.prices import WHOLE
from dure.wire.codec import message

TAX = 1000
"""Value-added tax in basis points."""


@message
class Bill:
    """What a delivery costs.

    Attributes:
        hospitals: what all hospitals earned together.
        royalties: by author.
    """

    hospitals: int
    fee: int
    vat: int
    royalties: dict[str, int] = field(default_factory=dict)

    @property
    def supply(self) -> int:
        """Before tax."""
        return self.hospitals + self.fee + sum(self.royalties.values())

    @property
    def total(self) -> int:
        """What is to be paid."""
        return self.supply + self.vat


def bill(hospitals: int, *, fee_basis_points: int, fee_least_won: int, royalties: Mapping[str, int]) -> Bill:
    """The bill where hospitals earned so much. A royalty is in basis points of that, like the fee; all are rounded down."""
    fee = max(hospitals * fee_basis_points // WHOLE, fee_least_won)
    authors = {name: hospitals * part // WHOLE for name, part in royalties.items()}
    supply = hospitals + fee + sum(authors.values())
    return Bill(hospitals=hospitals, fee=fee, royalties=authors, vat=supply * TAX // WHOLE)
