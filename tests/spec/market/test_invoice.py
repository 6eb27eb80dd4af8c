"""Invoices and bills: who bills what, in both languages, and that together they are the bill."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dure.market.invoice import bill_text, invoices, text
from dure.market.quote import Royalty, Voucher
from dure.market.settlement import settle
from dure.wire.codec import decode, encode
from tests.spec.market.deal import HOSPITALS, contract, numbers, quote, report

SUPPLIED = datetime(2026, 3, 31, 15, 30, tzinfo=UTC)
TEMPLATE = Royalty(to="dasom", work="sha256:template", basis_points=500)
CASES = {
    # name: the quote, shown numbers, who answered
    "plain": (quote(), 55, HOSPITALS),
    "royalty, two answer": (quote(royalties=(TEMPLATE,)), 5, HOSPITALS[:2]),
    "voucher": (quote(voucher=Voucher(award="award-1", programme="start-ups")), 55, HOSPITALS),
    "an author that is a hospital": (quote(royalties=(replace(TEMPLATE, to="aram"),)), 5, HOSPITALS),
    "no fee": (quote(fee_basis_points=0, fee_least_won=0), 5, HOSPITALS),
}


def made(name):
    quoted, shown, answered = CASES[name]
    deal = contract(quoted)
    return deal, settle(deal, report(numbers(shown, hidden=7), answered=answered))


@pytest.mark.parametrize("name", CASES)
def test_suppliers_invoices_add_up_to_the_bill(name):
    deal, settlement = made(name)
    found = invoices(deal, settlement, supplied=SUPPLIED)
    assert sum(one.supply for one in found) == settlement.bill.supply
    assert sum(one.vat for one in found) == settlement.bill.vat
    assert sum(one.total for one in found) == settlement.bill.total == settlement.own + settlement.credit
    assert {one.supplier for one in found} == {who for who, won in settlement.paid.items() if won}
    assert len({one.number for one in found}) == len(found)
    assert all(decode(type(one), encode(one), where="invoice") == one for one in found)


def test_an_invoice_as_people_read_it():
    deal, settlement = made("plain")
    one = next(one for one in invoices(deal, settlement, supplied=SUPPLIED) if one.supplier == "aram")
    korean = text(one, "ko")
    assert korean == (
        f"청구서 {one.number}\n\n공급자: aram\n공급받는 자: saebom\n공급일: 2026-04-01\n"
        f"품목: 계약 {deal.digest}에 따른 보고서 {settlement.report} 제공분\n\n"
        "공급가액: 1,020,000원\n부가가치세: 102,000원\n합계: 1,122,000원\n"
    )
    assert "Total: 1,122,000 won" in text(one, "en")


@pytest.mark.parametrize("name", CASES)
def test_the_bill_says_every_amount_in_both_languages(name):
    deal, settlement = made(name)
    english, korean = (bill_text(deal, settlement, language) for language in ("en", "ko"))
    bill = settlement.bill
    amounts = [bill.fee, bill.supply, bill.vat, bill.total, settlement.credit, settlement.own]
    amounts += [*settlement.hospitals.values(), *bill.royalties.values(), deal.quote.most.total - bill.total]
    for said in (english, korean):
        found = Counter(re.findall(r"([\d,]+) ?(?:won|원)", said))
        assert found == Counter(f"{won:,}" for won in amounts)
        assert all(name in said for name in (*settlement.hospitals, "narae", "saebom"))


def test_hidden_numbers_are_in_no_invoice_and_no_bill():
    deal = contract()
    said = set()
    for hidden in range(8):
        settlement = replace(settle(deal, report(numbers(30, hidden=hidden))), report="sha256:r")
        said.add(bill_text(deal, settlement, "ko"))
        said.add(tuple(text(one, "ko") for one in invoices(deal, settlement, supplied=SUPPLIED)))
    assert len(said) == 2
