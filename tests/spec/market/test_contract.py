"""The contract: the same text for everybody in two languages, and signatures without which it binds nobody."""

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from dure.market.contract import Contract, draw, open_contract, signed_by
from dure.market.contract_text import text
from dure.market.prices import Way
from dure.market.problems import BadTerms
from dure.market.quote import Royalty, Voucher
from dure.market.shares import Band, Rule, Split
from dure.wire.codec import Malformed, digest
from dure.wire.directory import Untrusted
from dure.wire.envelope import Envelope, Forged, countersign, seal
from dure.wire.rules import Mode
from tests.spec.market.deal import HOSPITALS, LATER, NOW, YEAR, contract, directory, key, quote

READS = {"table": "hazard_ratios", "low": "hazard_ratio_low", "high": "hazard_ratio_high", "log": True}
QUOTES = {
    "per study": quote(),
    "subscription": quote(Way.SUBSCRIPTION, deliveries=12),
    "standing": quote(Way.STANDING, deliveries=4),
    "standing, yearly": quote(Way.STANDING, deliveries=4, every_months=12),
    "self-serve": quote(Way.SELF_SERVE),
    "voucher": quote(voucher=Voucher(award="award-1", programme="start-ups")),
    "royalty": quote(royalties=(Royalty(to="dasom", work="sha256:template", basis_points=525),)),
    "equal": quote(split=Split(rule=Rule.EQUAL)),
    "bands": quote(split=Split(rule=Rule.BANDS, bands=(Band(people=0, weight=1), Band(people=100_000, weight=3)))),
    "information": quote(mode=Mode.BY_HOSPITAL, split=Split(rule=Rule.INFORMATION, **READS)),
    "shapley": quote(mode=Mode.BY_HOSPITAL, split=Split(rule=Rule.SHAPLEY, **READS)),
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTES)
def test_both_texts_say_every_party_amount_and_digest_and_leave_no_blank(name):
    made = QUOTES[name]
    english, korean = (text(made, YEAR, language) for language in ("en", "ko"))
    said = [made.buyer, made.intermediary, *HOSPITALS, made.id, made.fee, "2027-03-02", str(made.mode)]
    said += [f"{won:,}" for won in (made.most.total, made.most_won, *(offer.won for offer in made.offers))]
    said += [offer.price_list for offer in made.offers] + ([made.study] if made.study else [])
    said += [royalty.work for royalty in made.royalties] + (["5.25"] if made.royalties else [])
    said += ["80", made.voucher.award, made.voucher.programme] if made.voucher else []
    said += [READS["table"], READS["low"], READS["high"]] if made.split.table else []
    for written in (english, korean):
        assert [part for part in said if part not in written] == []
        assert not re.search(r"[{}]|None", written)
    assert re.search("[가-힣]", korean)
    assert not re.search("[가-힣]", english)
    numbers = [
        Counter(re.findall(r"\d[\d,.]*\d", re.sub(r"sha256:\w+", "", one))) for one in (english, korean)
    ]
    assert numbers[0] == numbers[1], "the same numbers in both"


def test_every_term_changes_the_text():
    texts = {text(made, YEAR, "ko") for made in QUOTES.values()}
    assert len(texts) == len(QUOTES)


ALL = (key("saebom"), key("narae"), *(key(name) for name in HOSPITALS))


def test_all_parties_sign_one_after_the_other_in_any_order():
    made, book = contract(), directory()
    envelope = seal(made, "contract", key("byeol"))
    assert signed_by(envelope, book, where="contract") == ("byeol",)
    for name in ("saebom", "chorok", "narae", "saebom"):
        envelope = countersign(envelope, key(name))
        with pytest.raises(Forged):
            open_contract(envelope, book, where="contract")
    envelope = countersign(envelope, key("aram"))
    assert len(envelope.signatures) == 5
    assert signed_by(envelope, book, where="contract") == made.parties
    assert open_contract(envelope, book, where="contract") == made
    assert envelope.digest == made.digest


@pytest.mark.parametrize("missing", range(len(ALL)))
def test_without_any_one_signature_it_binds_nobody(missing):
    envelope = seal(contract(), "contract", *(one for place, one in enumerate(ALL) if place != missing))
    with pytest.raises(Forged):
        open_contract(envelope, directory(), where="contract")
    stranger = countersign(envelope, key("stranger"))
    with pytest.raises(Forged):
        open_contract(stranger, directory(), where="contract")


def test_any_changed_byte_of_a_signed_contract_is_detected():
    envelope = seal(contract(), "contract", *ALL)
    for place in range(0, len(envelope.payload), 37):
        payload = bytearray(envelope.payload)
        payload[place] ^= 1
        changed = Envelope(
            payloadType=envelope.payloadType, payload=bytes(payload), signatures=envelope.signatures
        )
        with pytest.raises((Forged, Malformed, Untrusted)):
            open_contract(changed, directory(), where="contract")


@pytest.mark.parametrize(
    "change",
    [
        {"korean": digest(b"another text")},
        {"english": digest(b"another text")},
        {"ends": NOW + timedelta(days=3)},
        {"drawn": LATER},
        {"ends": NOW},
    ],
)
def test_texts_that_are_not_those_of_the_terms_are_refused_though_all_signed(change):
    envelope = seal(replace(contract(), **change), "contract", *ALL)
    with pytest.raises(BadTerms):
        open_contract(envelope, directory(), where="contract")


def test_a_quote_can_be_drawn_up_until_its_date_and_not_after():
    assert isinstance(draw(quote(), now=LATER - timedelta(seconds=1), ends=YEAR), Contract)
    for now in (NOW - timedelta(seconds=1), LATER):
        with pytest.raises(BadTerms, match="The quote held until"):
            draw(quote(), now=now, ends=YEAR)
    with pytest.raises(BadTerms, match="one line for each"):
        draw(quote(offers=()), now=NOW, ends=YEAR)


def test_a_party_without_a_key_cannot_be_bound():
    made = contract(quote(buyer="aram-institute"))
    book = directory()
    nobody = replace(book.members[-1], id="aram-institute", asker_key=None)
    with pytest.raises(Forged, match="no key that signs contracts"):
        open_contract(seal(made, "contract", *ALL), replace(book, members=(*book.members, nobody)), where="c")
