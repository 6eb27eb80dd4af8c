"""The ledger's rules as a table: what it takes, what it refuses and why; and that every changed byte is seen."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from dure.market.ledger import (
    BANKS,
    ROUTES,
    Account,
    Books,
    Cause,
    Heading,
    Movement,
    Posting,
    move,
    statement,
    verify,
)
from dure.market.problems import BrokenBooks, NotPosted

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SAEBOM = Account(heading=Heading.PURSE, owner="saebom")
HANBIT = Account(heading=Heading.PURSE, owner="hanbit")
HELD = Account(heading=Heading.HELD, owner="saebom", matter="contract")
VAT = Account(heading=Heading.VAT, owner="hanbit")
FUND = Account(heading=Heading.FUND, owner="nation")
PROGRAMME = Account(heading=Heading.PROGRAMME, owner="start-ups", matter="nation")
CREDIT = Account(heading=Heading.CREDIT, owner="award", matter="start-ups")
HELD_CREDIT = Account(heading=Heading.HELD_CREDIT, owner="award", matter="contract")

STORY = (
    # cause, reference, changes
    (Cause.DEPOSIT, "bank-1", ((BANKS, -5_000_000), (SAEBOM, 5_000_000))),
    (Cause.DEPOSIT, "bank-2", ((BANKS, -38_500_000_000), (FUND, 38_500_000_000))),
    (Cause.ALLOCATE, "start-ups", ((FUND, -2_000_000_000), (PROGRAMME, 2_000_000_000))),
    (Cause.AWARD, "award", ((PROGRAMME, -8_000_000), (CREDIT, 8_000_000))),
    (Cause.HOLD, "contract", ((SAEBOM, -1_300_000), (HELD, 1_300_000))),
    (Cause.HOLD_CREDIT, "contract", ((CREDIT, -4_000_000), (HELD_CREDIT, 4_000_000))),
    (Cause.SETTLE, "report", ((HELD, -1_100_000), (HELD_CREDIT, -3_200_000), (HANBIT, 3_900_000), (VAT, 400_000))),
    (Cause.RETURN, "contract", ((HELD, -200_000), (SAEBOM, 200_000))),
    (Cause.RETURN_CREDIT, "contract", ((HELD_CREDIT, -800_000), (CREDIT, 800_000))),
    (Cause.LAPSE, "award", ((CREDIT, -4_800_000), (PROGRAMME, 4_800_000))),
    (Cause.CLOSE, "start-ups", ((PROGRAMME, -1_996_800_000), (FUND, 1_996_800_000))),
    (Cause.PAYOUT, "bank-3", ((HANBIT, -3_900_000), (BANKS, 3_900_000))),
    (Cause.PAYOUT, "bank-4", ((VAT, -400_000), (BANKS, 400_000))),
)  # fmt: skip


def books_after(count):
    books, bodies = Books(), []
    for hour, (cause, reference, changes) in enumerate(STORY[:count]):
        bodies += books.post(move(cause, reference, *changes), at=NOW + timedelta(hours=hour), who="hub")
    return books, bodies


def test_the_story_holds_every_cause():
    assert {cause for cause, _, _ in STORY} == set(Cause) == set(ROUTES)


@pytest.mark.parametrize("count", range(len(STORY) + 1))
def test_balances_sum_to_zero_after_every_transaction_and_banks_alone_are_below_it(count):
    books, _ = books_after(count)
    assert sum(won for _, won in books.accounts) == 0
    assert [account for account, won in books.accounts if won < 0] in ([], [BANKS])


def test_in_the_end_everybody_has_what_is_theirs():
    books, _ = books_after(len(STORY))
    assert {account: won for account, won in books.accounts if won} == {
        BANKS: -(5_000_000 + 38_500_000_000 - 3_900_000 - 400_000),
        SAEBOM: 3_900_000,
        FUND: 38_496_800_000,
    }


OTHER = Account(heading=Heading.PURSE, owner="other")
REFUSED = (
    # what is tried after six transactions, and what the ledger says
    ("won from nothing", Cause.SETTLE, ((HELD, -10), (HANBIT, 11)), "sum to zero"),
    ("one side only", Cause.DEPOSIT, ((SAEBOM, 5),), "sum to zero"),
    ("nothing", Cause.SETTLE, (), "sum to zero"),
    ("more than there is", Cause.HOLD, ((SAEBOM, -3_700_001), (HELD, 3_700_001)), "lacks 1 won"),
    ("from one purse to another", Cause.HOLD, ((SAEBOM, -10), (OTHER, 10)), "put into purse"),
    ("from a bank to a contract", Cause.DEPOSIT, ((BANKS, -10), (HELD, 10)), "put into held"),
    ("a programme's credit paid out", Cause.PAYOUT, ((CREDIT, -10), (BANKS, 10)), "taken from credit"),
    ("a programme's credit to a purse", Cause.RETURN, ((CREDIT, -10), (SAEBOM, 10)), "taken from credit"),
    ("a fund's won to a purse", Cause.ALLOCATE, ((FUND, -10), (SAEBOM, 10)), "put into purse"),
    ("another's won held", Cause.HOLD, ((SAEBOM, -10), (Account(heading=Heading.HELD, owner="other", matter="c"), 10)), "belong together"),
    ("held won returned to another", Cause.RETURN, ((HELD, -10), (OTHER, 10)), "belong together"),
    ("credit back to another award", Cause.RETURN_CREDIT, ((HELD_CREDIT, -10), (Account(heading=Heading.CREDIT, owner="b", matter="start-ups"), 10)), "belong together"),
    ("a credit of another programme", Cause.AWARD, ((PROGRAMME, -10), (Account(heading=Heading.CREDIT, owner="b", matter="others"), 10)), "belong together"),
    ("a second bank", Cause.DEPOSIT, ((Account(heading=Heading.BANK, owner="mint"), -10), (SAEBOM, 10)), "one account of banks"),
)  # fmt: skip


@pytest.mark.parametrize(("cause", "changes", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])  # fmt: skip
def test_what_the_ledger_refuses(cause, changes, said):
    books, _ = books_after(6)
    before = books.checkpoint, books.accounts
    with pytest.raises(NotPosted, match=said):
        books.post(move(cause, "new", *changes), at=NOW, who="hub")
    assert (books.checkpoint, books.accounts) == before


def test_one_settlement_takes_from_one_contract():
    books, _ = books_after(6)
    other = Account(heading=Heading.HELD, owner="saebom", matter="another")
    books.post(move(Cause.HOLD, "another", (SAEBOM, -10), (other, 10)), at=NOW, who="hub")
    with pytest.raises(NotPosted, match="belong together"):
        books.post(move(Cause.SETTLE, "r", (HELD, -10), (other, -10), (HANBIT, 20)), at=NOW, who="hub")


def test_a_posting_of_no_won_or_an_account_twice_is_refused():
    books, _ = books_after(1)
    for postings, said in (
        ((Posting(account=SAEBOM, won=-5), Posting(account=SAEBOM, won=5)), "twice"),
        ((Posting(account=SAEBOM, won=0), Posting(account=HELD, won=0)), "no won"),
    ):
        with pytest.raises(NotPosted, match=said):
            books.post(Movement(cause=Cause.HOLD, reference="r", postings=postings), at=NOW, who="hub")


def test_a_cause_and_a_reference_are_posted_once():
    books, _ = books_after(1)
    again = move(Cause.DEPOSIT, "bank-1", (BANKS, -1), (SAEBOM, 1))
    with pytest.raises(NotPosted, match="posted before"):
        books.post(again, at=NOW, who="hub")
    new = move(Cause.DEPOSIT, "bank-9", (BANKS, -1), (SAEBOM, 1))
    with pytest.raises(NotPosted, match="posted before"):
        books.post(new, new, at=NOW, who="hub")


def test_movements_are_posted_all_or_none():
    books, _ = books_after(6)
    before = books.checkpoint, books.accounts
    good = move(Cause.SETTLE, "r", (HELD, -10), (HANBIT, 10))
    bad = move(Cause.RETURN, "r", (HELD, -1_300_000), (SAEBOM, 1_300_000))
    with pytest.raises(NotPosted, match="lacks 10 won"):
        books.post(good, bad, at=NOW, who="hub")
    assert (books.checkpoint, books.accounts) == before
    assert len(books.post(good, at=NOW, who="hub")) == 1


def test_every_pair_of_headings_that_is_on_no_route_is_refused():
    """Here every account has won, so that the route alone can be what refuses."""
    rich = {heading: Account(heading=heading, owner="one", matter="one") for heading in Heading}
    rich[Heading.BANK] = BANKS
    tried = 0
    for cause, taken, given in product(Cause, Heading, Heading):
        if taken in ROUTES[cause].takes and given in ROUTES[cause].gives:
            continue
        other = Account(heading=given, owner="one", matter="two" if given is taken else "one")
        gaining = BANKS if given is Heading.BANK else other
        if rich[taken] == gaining:
            continue
        books = Books()
        books._balances.update(dict.fromkeys(rich.values(), 1000))
        with pytest.raises(NotPosted, match="No won may be"):
            books.post(move(cause, "new", (rich[taken], -1), (gaining, 1)), at=NOW, who="hub")
        tried += 1
    assert tried > 600


def test_the_whole_ledger_is_verified_and_continues_every_older_one():
    books, bodies = books_after(len(STORY))
    for count in range(len(STORY) + 1):
        older = books_after(count)[0].checkpoint
        assert verify(bodies, head=books.checkpoint, known=older).accounts == books.accounts


def test_a_lost_added_moved_or_rewritten_transaction_is_detected():
    books, bodies = books_after(len(STORY))
    kept = books_after(3)[0].checkpoint
    for broken in (bodies[:-1], bodies[1:], [*bodies, bodies[-1]], [bodies[1], bodies[0], *bodies[2:]], []):
        with pytest.raises(BrokenBooks):
            verify(broken, head=books.checkpoint)
    other = Books()
    rewritten = other.post(
        move(Cause.DEPOSIT, "bank-1", (BANKS, -6_000_000), (SAEBOM, 6_000_000)), at=NOW, who="hub"
    )
    assert verify(rewritten, head=other.checkpoint)
    with pytest.raises(BrokenBooks, match="does not continue"):
        verify(rewritten, head=other.checkpoint, known=kept)


def test_a_statement_is_an_account_as_its_owner_sees_it():
    _, bodies = books_after(len(STORY))
    lines = statement(bodies, SAEBOM)
    assert [(line.number, line.cause, line.won, line.balance) for line in lines] == [
        (0, Cause.DEPOSIT, 5_000_000, 5_000_000),
        (4, Cause.HOLD, -1_300_000, 3_700_000),
        (7, Cause.RETURN, 200_000, 3_900_000),
    ]
