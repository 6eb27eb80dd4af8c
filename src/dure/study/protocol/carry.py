"""What a step is told of earlier ones: their results, from the run that has them to the hospitals that need them.

Responsible for: collecting and reading what is carried, on either side of the wall. Not responsible for: whether it is a
lawful question (`Kind.judge`), who checks that (`dure.govern.permit`, `dure.node.seat`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dure.stats.base import BadState
from dure.study.kinds.base import Step
from dure.study.protocol.run import Outcome
from dure.wire.codec import decode


def collect(step: Step, outcomes: Iterable[Outcome], name: str) -> tuple[bytes, ...] | str:
    """The encoded results that a step needs, in its order; or the name of a step that has none.

    Args:
        outcomes: of the steps before.
        name: whose results: NETWORK, or a hospital's id.
    """
    results = {outcome.step: outcome.result for outcome in outcomes if outcome.name == name}
    found = []
    for need in step.needs:
        result = results.get(need)
        if result is None:
            return need
        found.append(result)
    return tuple(found)


def read(steps: Sequence[Step], step: Step, carried: Sequence[bytes], *, where: str) -> Mapping[str, Any]:
    """What is carried to a step, by the names of the steps that it comes from.

    Raises:
        BadState: another number of results than the step needs.
        Malformed: a result that isn't one of its statistic.
    """
    if len(carried) != len(step.needs):
        raise BadState(
            f"{len(carried)} results are carried to {step.name}, which needs {len(step.needs)}.",
            where=where,
            mend="Nothing to do here.",
        )
    kinds = {each.name: each.statistic.result for each in steps}
    return {
        need: decode(kinds[need], told, where=f"{where}, result of {need}")
        for need, told in zip(step.needs, carried, strict=True)
    }
