"""A tree as PostgreSQL's text: the few things that PostgreSQL means differently, said so that it means them alike.

Responsible for: tables by their schema, and the primitives that need other words there. Not responsible for: judging a tree
(`allowed`), or which tables there are (`postgres_catalogue`).
"""

from collections.abc import Callable

from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from dure.engines.allowed import refusal

DIALECT = "postgres"
Source = Callable[[str], exp.Table | exp.Subquery]


def rewritten(tree: exp.Query, source: Source) -> exp.Query:
    """A copy of a judged tree that PostgreSQL means as DuckDB means the tree.

    Args:
        source: what to read for a table's name.
    """
    tree = tree.copy()
    named = {cte.alias for cte in tree.find_all(exp.CTE)}
    for node in reversed(list(tree.bfs())):
        if isinstance(node, exp.Table):
            if node.name not in named:
                node.replace(_aliased(source(node.name), node))
        elif (other := _said(node)) is not None:
            node.replace(other)
    return tree


def text(tree: exp.Query) -> str:
    """The SQL of a rewritten tree."""
    try:
        return tree.sql(dialect=DIALECT, identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError:
        raise refusal("PostgreSQL has no words for it", "Say it with the primitives of cohorts.") from None


def _aliased(source: exp.Table | exp.Subquery, table: exp.Table) -> exp.Expr:
    alias = table.args.get("alias")
    source.set("alias", alias.copy() if alias else exp.TableAlias(this=exp.to_identifier(table.name)))
    source.set("joins", table.args.get("joins"))
    return source


def _said(node: exp.Expr) -> exp.Expr | None:
    """What to say in place of a node, made of its parts; None where PostgreSQL means it as it stands."""
    match node:
        case exp.Like() if not isinstance(node.parent, exp.Escape):
            # PostgreSQL takes a backslash for an escape unless told that nothing is one.
            like = exp.Like(this=node.this, expression=node.expression)
            return exp.Paren(this=exp.Escape(this=like, expression=exp.Literal.string("")))
        case exp.Literal() if not node.is_string and not str(node.this).isdigit():
            # A number with a point is a decimal there; the model's numbers are doubles.
            return _as(node.copy(), exp.DType.DOUBLE)
        case exp.DateDiff():
            # Two dates' difference is whole days; sqlglot's own way goes through seconds and fractions.
            days = exp.Sub(
                this=_as(node.this, exp.DType.DATE), expression=_as(node.expression, exp.DType.DATE)
            )
            return exp.Paren(this=days)
        case exp.Extract():
            return _as(exp.Extract(this=node.this, expression=node.expression), exp.DType.INT)
        case exp.Avg():
            return _as(exp.Avg(this=node.this), exp.DType.DOUBLE)
    return None


def _as(value: exp.Expr, type_: exp.DType) -> exp.Expr:
    return exp.Cast(this=value, to=exp.DataType(this=type_))
