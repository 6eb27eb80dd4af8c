"""What the tests of the market share: members with keys, signed price lists, a quote, a contract, a report."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.market.contract import draw
from dure.market.ledger import BANKS, Account, Cause, Heading, move
from dure.market.prices import Fee, Price, PriceList, Way
from dure.market.quote import Quote, offer
from dure.market.shares import Rule, Split
from dure.study.report import Part, Participation, Report, Table
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import public_text, seal
from dure.wire.rules import Mode, Rules

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
YEAR = NOW + timedelta(days=365)
HOSPITALS = ("aram", "byeol", "chorok")
PEOPLE = {"aram": 1_200_000, "byeol": 150_000, "chorok": 42_000}
"""As boards published them, rounded to two digits."""


def key(name):
    return Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))


def directory():
    hospitals = [
        Member(
            id=name,
            name=f"{name} hospital",
            role=Role.HOLDER,
            affiliation=name,
            board_key=public_text(key(name)),
        )
        for name in HOSPITALS
    ]
    others = [
        Member(id=name, name=name, role=role, affiliation=name, asker_key=public_text(key(name)))
        for name, role in (("saebom", Role.USER), ("narae", Role.INTERMEDIARY), ("dasom", Role.INTERMEDIARY))
    ]
    return Directory(version=1, issued=NOW, expires=YEAR, members=(*hospitals, *others))


PRICES = (
    Price(way=Way.PER_STUDY, won=1_000_000, covers=50, block_won=20_000),
    Price(way=Way.SUBSCRIPTION, won=400_000, covers=200),
    Price(way=Way.STANDING, won=300_000, covers=50, block_won=10_000),
    Price(way=Way.SELF_SERVE, won=90_000, covers=100),
)


def price_list(hospital, prices=PRICES):
    return PriceList(hospital=hospital, version=1, prices=prices, since=NOW, until=YEAR)


FEE = Fee(intermediary="narae", version=1, basis_points=800, least_won=20_000, since=NOW, until=YEAR)


LISTED = Split(rule=Rule.LISTED)


def quote(way=Way.PER_STUDY, split=LISTED, prices=PRICES, hospitals=HOSPITALS, **changes):
    offers = tuple(
        offer(
            way,
            price_list(name, prices),
            digest=seal(price_list(name, prices), "price-list", key(name)).digest,
            blocks=5,
            split=split,
            people_about=PEOPLE.get(name),
        )
        for name in hospitals
    )
    plain = Quote(
        id="q-1",
        buyer="saebom",
        intermediary="narae",
        way=way,
        study=None if way is Way.SUBSCRIPTION else "sha256:study",
        mode=Mode.TOTAL,
        deliveries=1,
        every_months=3 if way is Way.STANDING else 0,
        offers=offers,
        fee=seal(FEE, "fee", key("narae")).digest,
        fee_basis_points=FEE.basis_points,
        fee_least_won=FEE.least_won,
        split=split,
        royalties=(),
        voucher=None,
        issued=NOW,
        until=LATER,
    )
    return replace(plain, **changes)


def contract(made=None, *, ends=YEAR):
    return draw(quote() if made is None else made, now=NOW, ends=ends)


def report(*tables, mode=Mode.TOTAL, answered=HOSPITALS, study="sha256:study", asker="saebom", out=()):
    parts = [Participation(hospital=name, part=Part.ANSWERED, reason="") for name in answered]
    parts += [Participation(hospital=name, part=part, reason="why") for name, part in out]
    return Report(
        title="A study",
        kind="feasibility",
        asker=asker,
        mode=mode,
        rules=Rules(),
        banners=(),
        tables=tables,
        charts=(),
        methods=(),
        participation=tuple(parts),
        study=study,
        manifest="sha256:manifest",
        software="dure",
        finished=NOW,
    )


def numbers(count, *, hidden=0, name="attrition"):
    """A table of the network with so many shown numbers, and some hidden."""
    rows = [("network", f"stage {place}", 100 + place) for place in range(count)]
    rows += [("network", f"hidden {place}", None) for place in range(hidden)]
    return Table(name=name, title="t", columns=("hospital", "stage", "people"), rows=tuple(rows))


def paid_in(books, *, saebom=0, award=0):
    """Books into which a buyer, and a fund whose programme made it an award, have paid."""
    purse = Account(heading=Heading.PURSE, owner="saebom")
    fund = Account(heading=Heading.FUND, owner="nation")
    programme = Account(heading=Heading.PROGRAMME, owner="start-ups", matter="nation")
    credit = Account(heading=Heading.CREDIT, owner="award-1", matter="start-ups")
    moves = [move(Cause.DEPOSIT, "bank-1", (BANKS, -saebom), (purse, saebom))]
    if award:
        moves += [
            move(Cause.DEPOSIT, "bank-2", (BANKS, -award), (fund, award)),
            move(Cause.ALLOCATE, "start-ups", (fund, -award), (programme, award)),
            move(Cause.AWARD, "award-1", (programme, -award), (credit, award)),
        ]
    books.post(*moves, at=NOW, who="narae")
    return books
