"""Every primitive that a plan may be written in gives the same rows, of the same types, on every engine.

One line per thing that is said; the last test holds the lines against `engines.allowed`, so that nothing is on the list that isn't
shown here to be equal. DuckDB is the reference; `tests/generative` holds it against the referee.
"""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from sqlglot import exp

from dure.cohort import primitives as p
from dure.engines.allowed import ALLOWED, TYPES, UNITS

from .conftest import DAYS, HUGE, MARKS

ID = p.column("measurement_id", "m")
DAY = p.column("measurement_date", "m")
NUMBER, HIGH = p.column("value_as_number", "m"), p.column("range_high", "m")
TEXT = p.column("value_source_value", "m")
PERSON, VISIT = p.column("person_id", "m"), p.column("visit_occurrence_id", "m")


def of_rows(value, **more):
    """A value of each row of measurement."""
    return p.select([ID, p.named(value, "value")], p.table("measurement", "m"), **more)


def whole(value, **more):
    """A value of all rows together."""
    return p.select([p.named(value, "value")], p.table("measurement", "m"), **more)


def holds(condition):
    """The rows for which a condition holds."""
    return p.select([ID], p.table("measurement", "m"), where=[condition])


def drugs(value):
    return p.select(
        [p.column("drug_exposure_id", "d"), p.named(value, "value")], p.table("drug_exposure", "d")
    )


def per_person(value, **more):
    return p.select(
        [PERSON, p.named(value, "value")], p.table("measurement", "m"), group=[PERSON.copy()], **more
    )


def numbered(order, **more):
    return of_rows(p.over(exp.RowNumber(), partition=[PERSON], order=order), **more)


def doubled(value):
    return exp.Cast(this=value, to=exp.DataType(this=exp.DType.DOUBLE))


def nullable(comparison, left, right):
    return of_rows(
        exp.Case(
            ifs=[exp.If(this=comparison(this=left, expression=right), true=p.literal(1))],
            default=p.literal(0),
        )
    )


BY_DAY = [p.ordered(DAY), p.ordered(ID.copy())]
SOME = p.values([(1, 5), (2, -5), (2, HUGE)], ["person_id", "number"], "v")
COMPARISONS = {"=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}
PATTERNS = [
    "",
    "%",
    "_",
    "a%",
    "%b",
    "a_b",
    "a\\b",
    "a\\%",
    "\\",
    "한_",
    "é",
    "__",
    '%"c"%',
    "A",
    " % ",
    "'",
    "%%",
]

CASES = {
    "dates later by a literal": lambda: of_rows(p.later(DAY, 1)),
    "dates earlier by a literal": lambda: of_rows(p.later(DAY, -400)),
    "dates later by a column, within a million days": lambda: drugs(
        p.later_by(p.column("drug_exposure_start_date", "d"), p.column("days_supply", "d"))
    ),
    "days between dates": lambda: of_rows(p.days_between(p.literal(date(2000, 2, 29)), DAY)),
    "days between dates, as a condition": lambda: holds(
        p.at_least(p.days_between(DAY, p.literal(date(2020, 3, 1))), p.literal(1))
    ),
    "the calendar year": lambda: of_rows(exp.Sub(this=p.calendar_year(DAY), expression=p.literal(1981))),
    "a date among dates": lambda: holds(p.equal(DAY, p.literal(date(2000, 2, 29)))),
    "the missing value": lambda: of_rows(p.no(exp.DType.BIGINT)),
    "the missing date": lambda: of_rows(p.no(exp.DType.DATE)),
    "a wide whole number": lambda: of_rows(p.big(p.literal(1 << 61))),
    "a negative number": lambda: of_rows(p.big(p.literal(-(1 << 61)))),
    "a narrow whole number": lambda: of_rows(exp.Cast(this=ID, to=exp.DataType(this=exp.DType.INT))),
    "one column over another": lambda: of_rows(
        exp.Div(this=NUMBER, expression=exp.Nullif(this=HIGH, expression=p.literal(0)), typed=False, safe=False)
    ),
    "one whole column over another": lambda: of_rows(
        exp.Div(this=ID, expression=exp.Nullif(this=VISIT, expression=p.literal(0)), typed=False, safe=False)
    ),
    "sums of numbers": lambda: of_rows(exp.Add(this=NUMBER, expression=HIGH)),
    "products of numbers": lambda: of_rows(exp.Mul(this=NUMBER, expression=doubled(p.literal(Decimal("0.1"))))),
    "products of whole numbers": lambda: of_rows(exp.Mul(this=p.big(ID), expression=p.literal(1 << 40))),
    "the total of whole numbers": lambda: per_person(p.big(exp.Sum(this=ID))),
    "the total of whole numbers, narrow without being told": lambda: per_person(exp.Sum(this=ID)),
    "the total of nothing": lambda: whole(p.big(exp.Sum(this=ID)), where=[p.equal(ID, p.literal(-1))]),
    "the total of numbers whose order doesn't matter": lambda: per_person(
        exp.Sum(this=doubled(exp.Case(ifs=[exp.If(this=p.at_least(NUMBER, p.literal(2)), true=NUMBER.copy())])))
    ),
    "least and most": lambda: p.select(
        [PERSON, *(p.named(exp.Min(this=each), f"least{at}") for at, each in enumerate((DAY, NUMBER, ID))),
         *(p.named(exp.Max(this=each.copy()), f"most{at}") for at, each in enumerate((DAY, NUMBER, VISIT)))],
        p.table("measurement", "m"), group=[PERSON.copy()],
    ),
    "counts": lambda: per_person(exp.Count(this=exp.Star())),
    "counts of what there is": lambda: per_person(exp.Count(this=VISIT)),
    "counts of distinct values": lambda: per_person(exp.Count(this=exp.Distinct(expressions=[NUMBER]))),
    "counts of nothing": lambda: whole(exp.Count(this=exp.Star()), where=[p.equal(ID, p.literal(-1))]),
    "groups that have enough": lambda: per_person(
        exp.Count(this=VISIT), having=p.at_least(exp.Count(this=VISIT.copy()), p.literal(3))
    ),
    "distinct rows": lambda: p.select([PERSON, VISIT], p.table("measurement", "m"), distinct=True),
    "the first that there is": lambda: of_rows(exp.Coalesce(this=VISIT, expressions=[p.literal(0)])),
    "length of text": lambda: of_rows(exp.Length(this=TEXT)),
    "text as it is": lambda: of_rows(TEXT),
    "text equal to text": lambda: holds(exp.Or(this=p.equal(TEXT, p.literal("é")), expression=p.equal(TEXT.copy(), p.literal("a\\b")))),
    "numbers as they are": lambda: of_rows(NUMBER),
    "dates as they are": lambda: of_rows(DAY),
    "members of a list": lambda: holds(p.one_of(PERSON, [1, HUGE])),
    "no members of a list, one missing": lambda: holds(p.negation(p.one_of(VISIT, [0, 3]))),
    "members of a query": lambda: holds(p.member(PERSON, p.select([p.column("person_id", "v")], SOME.copy()))),
    "no members of an empty query": lambda: holds(
        p.negation(p.member(VISIT, p.select([p.column("number", "v")], SOME.copy(), where=[p.equal(p.literal(0), p.literal(1))])))
    ),
    "no members of a query with a missing value": lambda: holds(
        p.negation(p.member(p.big(ID), p.select([VISIT.copy()], p.table("measurement", "m"))))
    ),
    "whether there is a row": lambda: holds(
        p.exists(p.select([p.literal(1)], SOME.copy(), where=[p.equal(p.column("person_id", "v"), PERSON)]))
    ),
    "whether there is no row": lambda: holds(
        exp.Not(this=p.exists(p.select([p.literal(1)], SOME.copy(), where=[p.equal(p.column("person_id", "v"), PERSON)])))
    ),
    "a value that is missing": lambda: holds(exp.Is(this=NUMBER, expression=exp.Null())),
    "the negation of the unknown": lambda: holds(p.negation(p.both([p.at_least(NUMBER, p.literal(0)), p.at_most(HIGH, p.literal(2))]))),
    "one or the other or unknown": lambda: holds(
        exp.Paren(this=exp.Or(this=exp.LT(this=NUMBER, expression=HIGH), expression=p.one_of(VISIT, [0, 3])))
    ),
    "rows in order": lambda: of_rows(DAY).order_by(p.name_of("measurement_id")),
    "each person's rows numbered": lambda: numbered(BY_DAY),
    "numbered from the last": lambda: numbered([p.ordered(DAY, descending=True), p.ordered(ID.copy())]),
    "missing values last": lambda: numbered([p.ordered(VISIT), p.ordered(ID.copy())]),
    "missing values last, descending": lambda: numbered([p.ordered(NUMBER, descending=True), p.ordered(ID.copy())]),
    "the reach of the rows before": lambda: of_rows(
        p.over(exp.Max(this=DAY), partition=[PERSON], order=[p.ordered(ID.copy())], until="1 PRECEDING")
    ),
    "the reach of all rows": lambda: of_rows(p.over(exp.Max(this=DAY), partition=[PERSON])),
    "the value of the next row": lambda: of_rows(p.over(exp.Lead(this=DAY), partition=[PERSON], order=[p.ordered(ID.copy())])),
    "rows of several queries": lambda: p.union([of_rows(p.big(PERSON)), of_rows(VISIT), of_rows(p.no(exp.DType.BIGINT))]),
    "distinct rows of several queries": lambda: p.union(
        [p.select([PERSON], p.table("measurement", "m")), p.select([p.column("number", "v")], SOME.copy())], distinct=True
    ),
    "narrow and wide numbers in one column": lambda: p.union([of_rows(p.literal(1)), of_rows(p.big(p.literal(1 << 40)))]),
    "inner joins": lambda: of_rows(
        p.column("number", "v"), joins=[(SOME.copy(), p.equal(p.column("person_id", "v"), PERSON))]
    ),
    "left joins": lambda: of_rows(
        p.column("number", "v"), left=[(SOME.copy(), p.equal(p.column("person_id", "v"), PERSON))]
    ),
    "joins to what is missing": lambda: of_rows(
        p.column("number", "v"), joins=[(SOME.copy(), p.equal(p.column("number", "v"), VISIT))]
    ),
    "a query in a query": lambda: p.select([p.column("value", "n")], p.nested(of_rows(DAY), "n")),
    "a query before a query": lambda: exp.select("value").from_("first").with_("first", as_=of_rows(VISIT)),
    **{f"a number {sign} a number": lambda is_=is_: nullable(is_, NUMBER, HIGH) for sign, is_ in COMPARISONS.items()},
    **{
        f"a number {sign} {said}": lambda is_=is_, said=said: nullable(is_, NUMBER, p.literal(Decimal(said)))
        for sign, is_ in COMPARISONS.items()
        for said in ("0.1", "-0.5", "0.3", "7.1234", "0", "0.0000")
    },
    **{f"a date {sign} a date": lambda is_=is_: nullable(is_, DAY, p.literal(DAYS[5])) for sign, is_ in COMPARISONS.items()},
    **{f"a ratio {sign} a number": lambda is_=is_: nullable(
        is_, exp.Div(this=NUMBER, expression=exp.Nullif(this=HIGH, expression=p.literal(0)), typed=False, safe=False),
        p.literal(Decimal("0.3333")),
    ) for sign, is_ in COMPARISONS.items()},
    **{f"text like {said!r}": lambda said=said: holds(exp.Like(this=TEXT, expression=p.literal(said))) for said in PATTERNS},
    **{
        f"text unlike {said!r}": lambda said=said: holds(p.negation(exp.Like(this=TEXT, expression=p.literal(said))))
        for said in ("a%", "a\\b", "")
    },
}  # fmt: skip
EMPTY = {"no members of a query with a missing value", "joins to what is missing"}
"""Cases whose point is that nothing comes of them."""


HANDFUL = (
    "dates later by a column, within a million days", "the calendar year", "the missing date", "one whole column over another",
    "the total of whole numbers, narrow without being told", "least and most",
    "no members of a query with a missing value", "one or the other or unknown",
    "numbered from the last", "missing values last, descending", "the reach of the rows before",
    "narrow and wide numbers in one column", "a number = 0.1", "text like 'a\\\\b'", "text unlike ''",
)  # fmt: skip
"""What Spark is held to in the default run; it takes a quarter of a second for each. The slow run holds it to all."""


def rows(table: pa.Table, *, in_order: bool) -> list[tuple]:
    """Rows as they can be compared to the last bit; in any order unless they were asked for in one."""
    found = [tuple(map(repr, row)) for row in zip(*table.to_pydict().values(), strict=True)]
    return found if in_order else sorted(found)


def pairings():
    for case in CASES:
        yield pytest.param(case, "postgresql")
        yield pytest.param(case, "spark", marks=[] if case in HANDFUL else [pytest.mark.slow])
        yield pytest.param(case, "spark connect", marks=MARKS["spark connect"])


@pytest.mark.parametrize(("case", "other"), list(pairings()), indirect=["other"])
def test_it_means_the_same_everywhere(case, reference, other):
    expected, found = reference.query(CASES[case]()), other.query(CASES[case]())
    in_order = CASES[case]().args.get("order") is not None
    assert rows(found, in_order=in_order) == rows(expected, in_order=in_order)
    assert found.column_names == expected.column_names
    assert found.schema.types == expected.schema.types


def test_kept_rows_are_the_same_rows(reference, other):
    for case in HANDFUL[::3] if other.name == "spark" else list(CASES)[::3]:
        tree, kept = CASES[case], p.select([exp.Star()], p.table("kept", "k"))
        other.temporary("kept", tree())
        found = other.query(kept)
        assert rows(found, in_order=False) == rows(reference.query(tree()), in_order=False), case
        assert set(other.columns("kept")) == set(found.column_names)
        other.drop("kept")


def test_nearly_every_case_has_rows_to_tell_right_from_wrong_by(reference):
    empty = {case for case, tree in CASES.items() if reference.query(tree()).num_rows == 0}
    assert empty == EMPTY
    assert set(HANDFUL) <= CASES.keys()


def test_all_that_a_tree_may_say_is_held_against_every_engine():
    nodes = [node for tree in CASES.values() for node in tree().walk()]
    assert {type(node) for node in nodes} == ALLOWED
    assert {node.this for node in nodes if isinstance(node, exp.DataType)} == TYPES
    assert {str(node.this).upper() for node in nodes if isinstance(node, exp.Var)} == UNITS
