"""What the tests of the market share: members with keys, signed price lists, a quote."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.market.prices import Fee, Price, PriceList, Way
from dure.market.quote import Quote, offer
from dure.market.shares import Rule, Split
from dure.wire.directory import Directory, Member, Role
from dure.wire.envelope import public_text, seal
from dure.wire.rules import Mode

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
            people_about=PEOPLE[name],
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
