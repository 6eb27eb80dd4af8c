"""The contract's text, in Korean and English, from its terms: the same text for everybody, so that its digest can be signed.

Responsible for: what is written. Not responsible for: whether it is good law, which a lawyer confirms before real money moves; the numbers
(`quote`).
"""

from datetime import datetime, timedelta, timezone
from typing import Literal

from dure.market.bill import TAX
from dure.market.prices import BLOCK, Way
from dure.market.quote import Offer, Quote
from dure.market.shares import ORDERS, Rule

Language = Literal["ko", "en"]
KOREA = timezone(timedelta(hours=9), "KST")

TITLES = {"en": "Contract on statistics from hospital records", "ko": "의료기록 통계 제공 계약서"}
WAYS = {
    "en": {
        Way.PER_STUDY: "one report of the study {study}",
        Way.SUBSCRIPTION: "{deliveries} reports of studies that the buyer submits",
        Way.STANDING: "{deliveries} reports of the study {study}, asked again every {months} months",
        Way.SELF_SERVE: "one report of the study {study}, at fixed prices",
    },
    "ko": {
        Way.PER_STUDY: "연구 {study}의 보고서 1건",
        Way.SUBSCRIPTION: "구매자가 제출하는 연구의 보고서 {deliveries}건",
        Way.STANDING: "{months}개월마다 다시 요청하는 연구 {study}의 보고서 {deliveries}건",
        Way.SELF_SERVE: "고정 가격에 의한 연구 {study}의 보고서 1건",
    },
}
SPLITS = {
    "en": {
        Rule.LISTED: "each hospital what its own price gives",
        Rule.EQUAL: "all answering hospitals the same",
        Rule.BANDS: "by the weights above, which follow from the number of people that each hospital published, rounded",
        Rule.INFORMATION: "by the information (one over the squared standard error) of each hospital's released intervals in the table {table} ({low}, {high})",
        Rule.SHAPLEY: "by each hospital's Shapley value for the precision of the released intervals in the table {table} ({low}, {high}); beyond 16 hospitals over about {orders:,} orders drawn from this contract's digest",
    },
    "ko": {
        Rule.LISTED: "병원마다 자신의 가격에 따른 금액",
        Rule.EQUAL: "응답한 모든 병원에 같은 금액",
        Rule.BANDS: "병원이 반올림하여 공개한 사람 수에 따른 위의 가중치에 비례",
        Rule.INFORMATION: "표 {table}의 반출된 구간({low}, {high})에서 구한 병원별 정보량(표준오차 제곱의 역수)에 비례",
        Rule.SHAPLEY: "표 {table}의 반출된 구간({low}, {high})의 정밀도에 대한 병원별 섀플리 값에 비례. 병원이 16곳을 넘으면 이 계약의 다이제스트에서 뽑은 약 {orders:,}개의 순서로 계산",
    },
}
OFFERS = {
    "en": "- {hospital}: {won:,} won for up to {covers} shown numbers{blocks}; weight {weight}; price list {price_list}",
    "ko": "- {hospital}: 보이는 숫자 {covers}개까지 {won:,}원{blocks}; 가중치 {weight}; 가격표 {price_list}",
}
BLOCKS = {
    "en": ", then {block_won:,} won for each started {block}, at most {blocks} times",
    "ko": ", 이후 시작된 {block}개마다 {block_won:,}원, 최대 {blocks}회",
}
FEES = {
    "en": "- {intermediary}, intermediary: {percent} % of the hospitals' prices, at least {least:,} won; list {fee}",
    "ko": "- 중개자 {intermediary}: 병원 가격의 {percent}%, 최소 {least:,}원; 수수료표 {fee}",
}
ROYALTIES = {
    "en": "- {to}, author of {work}: {percent} % of the hospitals' prices",
    "ko": "- {work}의 저작자 {to}: 병원 가격의 {percent}%",
}
VOUCHERS = {
    "en": "The programme {programme} pays {percent} % before tax from the award {award}; the buyer pays the rest and all tax.",
    "ko": "사업 {programme}은(는) 지원 {award}에서 세전 금액의 {percent}%를 부담하고, 구매자는 나머지와 부가가치세 전액을 부담한다.",
}
NO_VOUCHER = {"en": "The buyer pays all.", "ko": "구매자가 전액을 부담한다."}
BODY = {
    "en": """{title}

Parties: {buyer} (buyer); {hospitals} (hospitals); {intermediary} (intermediary).

1. Subject. {subject}, released as {mode}. The hospitals' boards decide on each study by a permit of their own; this contract is none, and doesn't take its place.

2. Prices for one delivery, before tax.
{prices}
Value-added tax: {tax} %. At most {most:,} won for one delivery and {whole:,} won in all, tax included.

3. Who pays. {voucher} The whole is set aside before the first run; nothing runs before.

4. What is counted. A delivery is a report with at least one shown number. Only shown numbers of the report are counted, as they were released: rounded where rounding is the rule. Hidden numbers count for nothing and nothing is paid by them. A hospital that declined, was refused by its gate or fell out earns nothing.

5. Shares. What the hospitals earn together is divided: {split}. Whole won, by largest remainder.

6. Return. What a delivery costs less than quoted, and deliveries that didn't take place, go back to whoever paid.

7. Use. The buyer doesn't try to learn who a person in the data is, doesn't link the results to persons, and uses them for the declared purpose only. Rows of data are never delivered.

8. Suspension and end. A hospital or the regulator may revoke a permit at any time; from then on nothing runs, and article 6 applies. The contract ends {ends} or when all deliveries are settled.

9. Law. The law of the Republic of Korea. Where texts differ, the Korean one holds.

Quote {quote}, issued {issued}. Signed in electronic form over the digest of both texts and the terms.
""",
    "ko": """{title}

당사자: {buyer}(구매자), {hospitals}(병원), {intermediary}(중개자).

제1조(목적) {subject}, 반출 방식 {mode}. 각 연구에 대해서는 병원의 심의위원회가 별도의 허가로 결정한다. 이 계약은 허가가 아니며 허가를 대신하지 않는다.

제2조(제공 1건의 가격, 부가가치세 별도)
{prices}
부가가치세 {tax}%. 부가가치세를 포함하여 1건당 최대 {most:,}원, 전체 최대 {whole:,}원.

제3조(부담) {voucher} 전액을 첫 실행 전에 예치하며, 그 전에는 아무것도 실행하지 않는다.

제4조(계량) 보이는 숫자가 하나 이상 있는 보고서를 제공 1건으로 본다. 보고서에 보이는 숫자만을 반출된 그대로 센다. 반올림이 규칙인 경우 반올림된 값이다. 가려진 숫자는 세지 않으며 대가의 기준이 되지 않는다. 거절하였거나 반출 관문에서 거부되었거나 탈락한 병원은 대가를 받지 않는다.

제5조(배분) 병원이 함께 얻은 금액은 다음과 같이 나눈다: {split}. 원 단위로, 최대 잔여 방식에 따른다.

제6조(반환) 견적보다 적게 든 금액과 제공되지 않은 건의 금액은 부담한 자에게 반환한다.

제7조(이용) 구매자는 자료 속의 개인을 알아내려 하지 않고, 결과를 개인과 연결하지 않으며, 신고한 목적에만 이용한다. 개별 기록은 결코 제공되지 않는다.

제8조(정지와 종료) 병원 또는 감독기관은 언제든지 허가를 철회할 수 있고, 그때부터 아무것도 실행되지 않으며 제6조를 적용한다. 계약은 {ends} 또는 모든 제공의 정산이 끝난 때에 종료한다.

제9조(준거법) 대한민국 법을 따른다. 두 글이 다르면 국문이 우선한다.

견적 {quote}, 발행일 {issued}. 두 글과 조건의 다이제스트에 전자서명한다.
""",
}


def text(quote: Quote, ends: datetime, language: Language) -> str:
    """The contract's text. `ends`: when it ends at the latest."""
    split = quote.split
    prices = [_offer(offer, language) for offer in quote.offers]
    prices.append(
        FEES[language].format(
            intermediary=quote.intermediary,
            percent=_percent(quote.fee_basis_points),
            least=quote.fee_least_won,
            fee=quote.fee,
        )
    )
    prices += [
        ROYALTIES[language].format(to=royalty.to, work=royalty.work, percent=_percent(royalty.basis_points))
        for royalty in quote.royalties
    ]
    return BODY[language].format(
        title=TITLES[language],
        buyer=quote.buyer,
        hospitals=", ".join(offer.hospital for offer in quote.offers),
        intermediary=quote.intermediary,
        subject=WAYS[language][quote.way].format(
            study=quote.study, deliveries=quote.deliveries, months=quote.every_months
        ),
        mode=quote.mode,
        prices="\n".join(prices),
        tax=_percent(TAX),
        most=quote.most.total,
        whole=quote.most_won,
        voucher=_voucher(quote, language),
        split=SPLITS[language][split.rule].format(
            table=split.table, low=split.low, high=split.high, orders=ORDERS
        ),
        ends=_day(ends),
        quote=quote.id,
        issued=_day(quote.issued),
    )


def _offer(offer: Offer, language: Language) -> str:
    blocks = ""
    if offer.blocks:
        blocks = BLOCKS[language].format(block_won=offer.block_won, block=BLOCK, blocks=offer.blocks)
    return OFFERS[language].format(
        hospital=offer.hospital,
        won=offer.won,
        covers=offer.covers,
        blocks=blocks,
        weight=offer.weight,
        price_list=offer.price_list,
    )


def _voucher(quote: Quote, language: Language) -> str:
    voucher = quote.voucher
    if voucher is None:
        return NO_VOUCHER[language]
    return VOUCHERS[language].format(
        programme=voucher.programme, award=voucher.award, percent=_percent(voucher.basis_points)
    )


def _percent(basis_points: int) -> str:
    return f"{basis_points / 100:g}"


def _day(moment: datetime) -> str:
    """The day in Korea."""
    return f"{moment.astimezone(KOREA):%Y-%m-%d}"
