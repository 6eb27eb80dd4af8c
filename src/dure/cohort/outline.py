"""A plan as a list that a person can read.

Responsible for: showing the nodes and what each reads. Not responsible for: what they mean (`relations`).
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from dure.cohort.plan import CohortPlan
from dure.cohort.relations import Relation, walk


def outline(plan: CohortPlan) -> str:
    """The plan's nodes, inputs first, each numbered and told by its own parts."""
    graph = [node for node, _ in walk(plan.attrition, plan.rows).values()]
    numbers = {node.digest: at for at, node in enumerate(graph, start=1)}

    def shown(value: Any) -> str:
        if isinstance(value, Relation):
            return f"#{numbers[value.digest]}"
        if isinstance(value, tuple):
            return f"[{', '.join(shown(each) for each in value)}]"
        if hasattr(value, "__dataclass_fields__"):
            return f"{type(value).__name__}({', '.join(named(value))})"
        return str(value)

    def named(value: Any) -> Iterator[str]:
        for each in fields(value):
            held = getattr(value, each.name)
            if held is not None and held is not False and held != ():
                yield f"{each.name}={shown(held)}"

    return "\n".join(
        f"#{numbers[node.digest]} {type(node).__name__}: {', '.join(named(node))}" for node in graph
    )
