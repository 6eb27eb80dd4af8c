"""What a tree may say: a closed list, so that what nobody thought of is refused.

Responsible for: judging a sqlglot tree before it becomes text. Not responsible for: what a database would do with it;
each engine locks its connection as well, so that a hole here opens nothing.

The list grows by a line when a plan needs it: add the class below, and its line to the differential test of engines
(`tests/integration/engines/test_primitives.py`), which fails for a class that it doesn't show to be equal on all of them.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from sqlglot import exp

from dure.engines.problems import PlanRefused

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
UNITS = frozenset({"DAY", "YEAR"})
WINDOW_WORDS = frozenset({"ROWS", "RANGE", "UNBOUNDED", "CURRENT ROW", "PRECEDING", "FOLLOWING"})

SHAPES: tuple[type[exp.Expr], ...] = (
    exp.Select, exp.Union, exp.With, exp.CTE, exp.Subquery, exp.Table, exp.TableAlias, exp.Alias, exp.Column,
    exp.Identifier, exp.Star, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Distinct,
    exp.Window, exp.WindowSpec, exp.Values, exp.Tuple, exp.Paren, exp.Exists, exp.Literal, exp.Null, exp.DataType, exp.Var,
)  # fmt: skip
OPERATORS: tuple[type[exp.Expr], ...] = (
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In, exp.Like, exp.Neg,
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Case, exp.If, exp.Cast,
)  # fmt: skip
FUNCTIONS: tuple[type[exp.Expr], ...] = (
    exp.Count, exp.Sum, exp.Min, exp.Max, exp.Coalesce, exp.Nullif, exp.Length, exp.RowNumber, exp.Lead, exp.Extract, exp.DateDiff,
)  # fmt: skip
ALLOWED = frozenset(SHAPES + OPERATORS + FUNCTIONS)
TYPES = frozenset({exp.DType.BIGINT, exp.DType.INT, exp.DType.DOUBLE, exp.DType.DATE})


def judge(tree: object, known: Callable[[str], bool]) -> None:
    """Let a tree pass or raise.

    Args:
        tree: what is to be run.
        known: whether a table of this name may be read.

    Raises:
        PlanRefused: naming the first thing in the tree that isn't on the list.
    """
    if not isinstance(tree, (exp.Select, exp.SetOperation)):
        raise refusal(f"a {type(tree).__name__} isn't a query", "Ask with SELECT, UNION or WITH.")
    nodes = _all_nodes(tree)
    named = {node.alias for node in nodes if type(node) is exp.CTE}
    for node in nodes:
        if type(node) not in ALLOWED:
            raise refusal(
                f"{_spoken(node)} isn't on the list of what an engine runs",
                "Say it with what `dure.engines.allowed` lists, or add it there with a test.",
            )
        reason = _fault(node, lambda name: name in named or known(name))
        if reason:
            raise refusal(reason, "Use plain lower-case names of tables in the database, and plain literals.")


def _all_nodes(tree: exp.Expr) -> list[exp.Expr]:
    """Every node, each once a place: all that any argument holds, in lists of any depth. sqlglot's own walk takes thrice
    as long, and a set of cohorts has half a million nodes."""
    found, waiting = list[exp.Expr](), list[object]([tree])
    while waiting:
        each = waiting.pop()
        if isinstance(each, exp.Expr):
            found.append(each)
            waiting += each.args.values()
        elif isinstance(each, (list, tuple)):
            waiting += each
    return found


def refusal(what: str, mend: str) -> PlanRefused:
    """The problem that says why a tree isn't run."""
    return PlanRefused(f"The query is refused: {what}", where="query tree", mend=mend)


def _fault(node: exp.Expr, known: Callable[[str], bool]) -> str | None:
    if node.comments:
        return "it carries a comment"
    if isinstance(node, exp.Identifier):
        return None if _is_name(str(node.this)) else "a name isn't plain"
    if isinstance(node, exp.Table):
        return _table_fault(node, known)
    if isinstance(node, exp.Literal):
        return None if node.is_string or NUMBER.fullmatch(str(node.this)) else "a number isn't one"
    if isinstance(node, exp.Var):
        return None if str(node.this).upper() in UNITS | WINDOW_WORDS else "a bare word isn't a unit of time"
    if isinstance(node, exp.DataType):
        plain = node.this in TYPES and not node.expressions and not node.args.get("kind")
        return None if plain else "a type isn't one of the model's"
    for name, value in node.args.items():
        if isinstance(value, str) and not _plain(value):
            return f"the part '{name}' of {_spoken(node)} isn't plain"
    return None


def _table_fault(node: exp.Table, known: Callable[[str], bool]) -> str | None:
    if not isinstance(node.this, exp.Identifier) or node.args.get("db") or node.args.get("catalog"):
        return "a table is named by a function, a file or another schema"
    extra = [key for key, value in node.args.items() if value and key not in {"this", "alias", "joins"}]
    if extra:
        return f"a table carries '{extra[0]}'"
    return (
        None
        if known(node.name)
        else f"there is no table '{node.name}'"
        if _plain(node.name)
        else "no such table"
    )


@lru_cache(maxsize=4096)
def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _plain(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z_ ]{0,40}", text) is not None or NAME.fullmatch(text) is not None


def _spoken(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return "an unknown function"
    return type(node).__name__
