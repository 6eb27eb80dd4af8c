"""Works that are sold beside data: a study template, a way of analysis, an agreement of a consortium. Their authors sign them and get a royalty.

Responsible for: the work and its terms. Not responsible for: what is in it (its content has a digest), what a royalty comes to (`bill`).
"""

from datetime import datetime

from dure.market.prices import WHOLE
from dure.market.problems import BadTerms
from dure.wire.codec import Moment, message
from dure.wire.directory import Directory, Role
from dure.wire.envelope import Envelope, open_sealed, peek


@message
class Work:
    """What an author offers. Signed with the author's key; a quote names it by the digest of these bytes.

    Attributes:
        content: digest of the template, the text or the agreement itself.
        basis_points: of the hospitals' prices, on top of them, for each delivery that uses it.
    """

    author: str
    title: str
    content: str
    basis_points: int
    since: Moment
    until: Moment


def open_work(envelope: Envelope, directory: Directory, *, now: datetime, where: str) -> Work:
    """A work that its author signed and offers now.

    Raises:
        Forged, Untrusted: the signature or the author.
        BadTerms: over, not yet, or no such royalty.
    """
    author = directory.member(peek(Work, envelope, where=where).author, where=where)
    key = author.board_key if author.role is Role.HOLDER else author.asker_key
    work = open_sealed(Work, envelope, "work", *(() if key is None else (key,)), where=where)
    if not 0 <= work.basis_points <= WHOLE:
        raise BadTerms("No such royalty.", where=where, mend="Give 0 to 10,000 basis points.")
    if not work.since <= now < work.until:
        raise BadTerms(
            f"It is offered from {work.since:%Y-%m-%d %H:%M} to {work.until:%Y-%m-%d %H:%M} UTC.",
            where=where,
            mend="Ask its author for a new offer.",
        )
    return work
