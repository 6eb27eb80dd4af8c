"""A tree as Spark's text: the few things that Spark means differently, said so that it means them alike.

Responsible for: the primitives that need other words there. Not responsible for: judging a tree (`allowed`), or where tables are (`spark`).
"""

from collections.abc import Callable

from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from dure.engines.allowed import refusal

DIALECT = "spark"


def said(tree: exp.Query, written: Callable[[str], str]) -> str:
    """A judged tree as text that Spark means as DuckDB means the tree.

    Args:
        written: the name in Spark of a table's name.
    """
    tree = tree.copy()
    named = {cte.alias for cte in tree.find_all(exp.CTE)}
    for node in reversed(list(tree.bfs())):
        if isinstance(node, exp.Table):
            if node.name not in named:
                if not node.alias:
                    node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name)))
                node.set("this", exp.to_identifier(written(node.name)))
        elif isinstance(node, exp.Like):
            _without_escapes(node)
        elif isinstance(node, exp.Literal) and not node.is_string and not str(node.this).isdigit():
            # A number with a point is a decimal there; the model's numbers are doubles.
            node.replace(exp.Cast(this=node.copy(), to=exp.DataType(this=exp.DType.DOUBLE)))
    try:
        return tree.sql(dialect=DIALECT, identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError:
        raise refusal("Spark has no words for it", "Say it with the primitives of cohorts.") from None


def _without_escapes(like: exp.Like) -> None:
    """Spark takes a backslash for an escape, so one that means itself is written twice."""
    pattern = like.expression
    if not isinstance(pattern, exp.Literal) or not pattern.is_string:
        raise refusal("a pattern isn't written out", "Compare with a literal.")
    like.set("expression", exp.Literal.string(str(pattern.this).replace("\\", "\\\\")))
