"""The closed set of SQL primitives that plans are written in, as sqlglot trees.

Responsible for: saying each thing in the one way that DuckDB, PostgreSQL and Spark all mean alike. Not responsible for: what
to ask. Kept out because translations of them are silently wrong somewhere: differences in months or years, casts of
fractions to integers, negative division, raw SEMI and ANTI joins, GROUP BY ALL, ASOF, intervals added to dates.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from sqlglot import exp

MOST_DAYS = 1_000_000

Source = exp.Table | exp.Subquery | exp.Values


def name_of(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=False)


def column(name: str, table: str) -> exp.Column:
    return exp.Column(this=name_of(name), table=name_of(table))


def columns(names: Iterable[str], table: str) -> list[exp.Expr]:
    return [column(name, table) for name in names]


def named(value: exp.Expr, name: str) -> exp.Alias:
    return exp.Alias(this=value, alias=name_of(name))


def literal(value: int | Decimal | date | str) -> exp.Expr:
    match value:
        case date():
            return exp.Cast(this=exp.Literal.string(value.isoformat()), to=exp.DataType(this=exp.DType.DATE))
        case str():
            return exp.Literal.string(value)
        case _ if value < 0:
            return exp.Neg(
                this=exp.Literal.number(format(-value, "f") if isinstance(value, Decimal) else -value)
            )
        case _:
            return exp.Literal.number(format(value, "f") if isinstance(value, Decimal) else value)


def no(type_: exp.DType) -> exp.Expr:
    """The missing value of a type."""
    return exp.Cast(this=exp.Null(), to=exp.DataType(this=type_))


def later(day: exp.Expr, days: int) -> exp.Expr:
    """A date some days later (or earlier); a date plus an integer is a date in all three."""
    return day if days == 0 else exp.Add(this=day, expression=literal(days))


def later_number(day: exp.Expr, days: exp.Expr) -> exp.Expr:
    """The same by an expression of type integer that is known to be plausible."""
    if isinstance(days, exp.Literal) and days.this == "0":
        return day
    return exp.Add(this=day, expression=days)


def later_by(day: exp.Expr, days: exp.Expr) -> exp.Expr:
    """A date later by what a column says; missing where that is more than `MOST_DAYS`, beyond which calendars end."""
    plausible = exp.And(
        this=at_least(days, literal(-MOST_DAYS)), expression=at_most(days.copy(), literal(MOST_DAYS))
    )
    narrow = exp.Cast(this=days.copy(), to=exp.DataType(this=exp.DType.INT))
    return exp.Add(this=day, expression=exp.Paren(this=exp.Case(ifs=[exp.If(this=plausible, true=narrow)])))


def days_between(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return exp.DateDiff(this=end, expression=start, unit=exp.var("DAY"))


def calendar_year(day: exp.Expr) -> exp.Expr:
    return exp.Extract(this=exp.var("YEAR"), expression=day)


def big(value: exp.Expr) -> exp.Expr:
    return exp.Cast(this=value, to=exp.DataType(this=exp.DType.BIGINT))


def equal(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.EQ(this=left, expression=right)


def at_least(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.GTE(this=left, expression=right)


def at_most(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.LTE(this=left, expression=right)


def both(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """All of the conditions (at least one)."""
    first, *rest = conditions
    for each in rest:
        first = exp.And(this=first, expression=each)
    return first


def negation(condition: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.Paren(this=condition))


def table(name: str, alias: str) -> exp.Table:
    return exp.Table(this=name_of(name), alias=exp.TableAlias(this=name_of(alias)))


def nested(query: exp.Query, alias: str) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=name_of(alias)))


def values(rows: Sequence[Sequence[int]], names: Sequence[str], alias: str) -> exp.Values:
    """A table of numbers written out."""
    return exp.Values(
        expressions=[exp.Tuple(expressions=[literal(each) for each in row]) for row in rows],
        alias=exp.TableAlias(this=name_of(alias), columns=[name_of(name) for name in names]),
    )


def select(
    what: Sequence[exp.Expr],
    source: Source,
    *,
    joins: Sequence[tuple[Source, exp.Expr]] = (),
    left: Sequence[tuple[Source, exp.Expr]] = (),
    where: Sequence[exp.Expr] = (),
    distinct: bool = False,
    group: Sequence[exp.Expr] = (),
    having: exp.Expr | None = None,
) -> exp.Select:
    """One SELECT; `joins` are inner, `left` are left outer joins."""
    query = exp.Select().select(*what, copy=False).from_(source, copy=False)
    for other, on in joins:
        query.append("joins", exp.Join(this=other, kind="INNER", on=on))
    for other, on in left:
        query.append("joins", exp.Join(this=other, side="LEFT", on=on))
    if where:
        query = query.where(both(where), copy=False)
    if group:
        query = query.group_by(*group, copy=False)
    if having is not None:
        query = query.having(having, copy=False)
    return query.distinct(copy=False) if distinct else query


def union(queries: Sequence[exp.Query], *, distinct: bool = False) -> exp.Query:
    first, *rest = queries
    for each in rest:
        first = exp.Union(this=first, expression=each, distinct=distinct)
    return first


def member(value: exp.Expr, query: exp.Query) -> exp.Expr:
    return exp.In(this=value, query=exp.Subquery(this=query))


def one_of(value: exp.Expr, ids: Iterable[int]) -> exp.Expr:
    return exp.In(this=value, expressions=[literal(each) for each in ids])


def exists(query: exp.Select) -> exp.Expr:
    return exp.Exists(this=query)


def ordered(value: exp.Expr, *, descending: bool = False) -> exp.Ordered:
    return exp.Ordered(this=value, desc=descending, nulls_first=False)


def over(
    function: exp.Expr,
    *,
    partition: Sequence[exp.Expr],
    order: Sequence[exp.Ordered] = (),
    until: str | None = None,
) -> exp.Window:
    """A window function; `until` ("1 PRECEDING") names the last row of its frame, which begins at the first."""
    spec = None
    if until:
        last, side = until.split()
        spec = exp.WindowSpec(
            kind="ROWS",
            start="UNBOUNDED",
            start_side="PRECEDING",
            end=exp.Literal.number(last),
            end_side=side,
        )
    ordering = exp.Order(expressions=list(order)) if order else None
    return exp.Window(this=function, partition_by=list(partition), order=ordering, spec=spec)
