"""The contract: a quote, the digests of its text in both languages, and the signatures of all who are bound by it.

Responsible for: drawing it up and opening it. Not responsible for: what is written (`contract_text`), when it may be signed (`states`).
"""

from datetime import datetime

from dure.market.contract_text import text
from dure.market.problems import BadTerms
from dure.market.quote import Quote
from dure.wire.codec import Moment, digest, encode, message
from dure.wire.directory import Directory, Role
from dure.wire.envelope import Envelope, Forged, open_sealed, peek


@message
class Contract:
    """What the parties sign.

    Attributes:
        korean, english: digests of the texts.
        ends: when it ends at the latest.
    """

    quote: Quote
    korean: str
    english: str
    drawn: Moment
    ends: Moment

    @property
    def parties(self) -> tuple[str, ...]:
        """Who signs: buyer, intermediary, every hospital."""
        return (
            self.quote.buyer,
            self.quote.intermediary,
            *(offer.hospital for offer in self.quote.offers),
        )

    @property
    def digest(self) -> str:
        """By which accounts and settlements name it."""
        return digest(encode(self))


def draw(quote: Quote, *, now: datetime, ends: datetime) -> Contract:
    """The contract on a quote.

    Raises:
        BadTerms: the quote contradicts itself, is over or not yet, or the contract would end before it begins.
    """
    quote.check()
    if not quote.issued <= now < quote.until:
        raise BadTerms(
            f"The quote held until {quote.until:%Y-%m-%d %H:%M} UTC.",
            where=f"quote {quote.id}",
            mend="Ask for a new one.",
        )
    if not now < ends:
        raise BadTerms("It would end before it begins.", where="ends", mend="Give a later date.")
    return Contract(
        quote=quote,
        korean=digest(text(quote, ends, "ko").encode()),
        english=digest(text(quote, ends, "en").encode()),
        drawn=now,
        ends=ends,
    )


def signed_by(envelope: Envelope, directory: Directory, *, where: str) -> tuple[str, ...]:
    """The parties whose valid signatures a contract bears so far."""
    contract = peek(Contract, envelope, where=where)
    found = []
    for party in contract.parties:
        try:
            open_sealed(Contract, envelope, "contract", _key(directory, party, where), where=where)
        except Forged:
            continue
        found.append(party)
    return tuple(found)


def open_contract(envelope: Envelope, directory: Directory, *, where: str) -> Contract:
    """A contract that all its parties signed, and whose texts are what its terms say.

    Raises:
        Forged, Untrusted: a signature is missing, or a party.
        BadTerms: the texts are others, the quote contradicts itself, or was over when the contract was drawn up.
    """
    claimed = peek(Contract, envelope, where=where)
    keys = [_key(directory, party, where) for party in claimed.parties]
    contract = open_sealed(Contract, envelope, "contract", *keys, where=where)
    if contract != draw(contract.quote, now=contract.drawn, ends=contract.ends):
        raise BadTerms(
            "The texts that were signed are not those of these terms.", where=where, mend="Draw it up again."
        )
    return contract


def _key(directory: Directory, party: str, where: str) -> str:
    member = directory.member(party, where=where)
    key = member.board_key if member.role is Role.HOLDER else member.asker_key
    if key is None:
        raise Forged(
            f"{party} has no key that signs contracts.", where=where, mend="Ask the root to list one."
        )
    return key
