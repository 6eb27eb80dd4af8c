"""Invoices: what each supplier of a delivery bills the buyer, and the whole bill with who paid what, in Korean and English.

Both are functions of the contract and the settlement, so they tell nothing that the report doesn't.

Responsible for: the invoices and their text. Not responsible for: a tax office's electronic form (an accountant's program makes it from these
amounts), drawing pages.
"""

from datetime import datetime

from dure.market.contract import Contract
from dure.market.contract_text import KOREA, Language
from dure.market.settlement import Settlement
from dure.wire.codec import Moment, message

TEXTS = {
    "en": """Invoice {number}

From: {supplier}
To: {buyer}
Date of supply: {day}
For: part in the report {report} under the contract {contract}

Before tax: {supply:,} won
Value-added tax: {vat:,} won
Total: {total:,} won
""",
    "ko": """청구서 {number}

공급자: {supplier}
공급받는 자: {buyer}
공급일: {day}
품목: 계약 {contract}에 따른 보고서 {report} 제공분

공급가액: {supply:,}원
부가가치세: {vat:,}원
합계: {total:,}원
""",
}
BILLS = {
    "en": """Bill of the delivery {report}
Contract {contract}, buyer {buyer}

{lines}
Before tax: {supply:,} won
Value-added tax: {vat:,} won
Total: {total:,} won
Paid by a programme: {credit:,} won
Paid by the buyer: {own:,} won
Less than set aside, and given back: {back:,} won
""",
    "ko": """제공 명세서 {report}
계약 {contract}, 구매자 {buyer}

{lines}
공급가액: {supply:,}원
부가가치세: {vat:,}원
합계: {total:,}원
지원 사업 부담: {credit:,}원
구매자 부담: {own:,}원
예치액보다 적게 들어 반환: {back:,}원
""",
}
HOSPITALS = {
    "en": "- {hospital}: {numbers} shown numbers, {won:,} won",
    "ko": "- {hospital}: 보이는 숫자 {numbers}개, {won:,}원",
}
FEES = {"en": "- {to}, intermediary: {won:,} won", "ko": "- 중개자 {to}: {won:,}원"}
ROYALTIES = {"en": "- {to}, author: {won:,} won", "ko": "- 저작자 {to}: {won:,}원"}


@message
class Invoice:
    """What one supplier bills for one delivery.

    Attributes:
        number: unique among a supplier's invoices, since a report is settled once.
        supply: before tax.
    """

    number: str
    supplier: str
    buyer: str
    contract: str
    report: str
    supply: int
    vat: int
    supplied: Moment

    @property
    def total(self) -> int:
        """What is owed to the supplier, tax included."""
        return self.supply + self.vat


def invoices(contract: Contract, made: Settlement, *, supplied: datetime) -> tuple[Invoice, ...]:
    """One from each supplier that is paid. Together they are the bill."""
    return tuple(
        Invoice(
            number=f"{supplier}-{made.report.removeprefix('sha256:')[:16]}",
            supplier=supplier,
            buyer=contract.quote.buyer,
            contract=made.contract,
            report=made.report,
            supply=won,
            vat=made.vat[supplier],
            supplied=supplied,
        )
        for supplier, won in sorted(made.paid.items())
        if won
    )


def text(invoice: Invoice, language: Language) -> str:
    """An invoice as people read it. The day is Korea's."""
    return TEXTS[language].format(
        number=invoice.number,
        supplier=invoice.supplier,
        buyer=invoice.buyer,
        day=f"{invoice.supplied.astimezone(KOREA):%Y-%m-%d}",
        report=invoice.report,
        contract=invoice.contract,
        supply=invoice.supply,
        vat=invoice.vat,
        total=invoice.total,
    )


def bill_text(contract: Contract, made: Settlement, language: Language) -> str:
    """The whole bill of a delivery: the same for buyer, hospitals and intermediary, fee included."""
    numbers = {delivery.hospital: delivery.numbers for delivery in made.metered}
    lines = [
        HOSPITALS[language].format(hospital=name, numbers=numbers[name], won=won)
        for name, won in made.hospitals.items()
    ]
    lines.append(FEES[language].format(to=contract.quote.intermediary, won=made.bill.fee))
    lines += [ROYALTIES[language].format(to=name, won=won) for name, won in made.bill.royalties.items()]
    return BILLS[language].format(
        report=made.report,
        contract=made.contract,
        buyer=contract.quote.buyer,
        lines="\n".join(lines),
        supply=made.bill.supply,
        vat=made.bill.vat,
        total=made.bill.total,
        credit=made.credit,
        own=made.own,
        back=contract.quote.most.total - made.bill.total,
    )
