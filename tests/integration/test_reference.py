"""Every row of shared/reference/reference.csv: R's pooled fit, computed here over hospitals that give away only sums.

Models live in `reference/*.py`, each of which has a dictionary `MODELS` from (id, model) to a function of a `Network`. The function
asks every statistic through `network.ask`, which is what a run does: answers through the gate, added in the ring, a step at the hub.
It returns a value for each (term, quantity) that it accounts for.

With rules off sums go under masks, and every returned value must be the reference's within its tolerance, and every row must be returned or have a
reason. With rules on, a model gives the same values, some of them, or none: never others, except where it says that it is
coarsened by the gate (a wider grid), which is listed in `COARSENED`.

What becomes of each model's rows stands in `docs/reference.md`. Run this file to write the page anew:

python -m tests.integration.test_reference > docs/reference.md
"""

import csv
import importlib.util
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, reduce
from pathlib import Path

import numpy as np
import pytest

from dure.guard.gate import Withheld, judge_total, judge_values, release_support, release_values
from dure.stats.base import Done, Frame, Released
from dure.wire import ring
from dure.wire.codec import decode, encode
from dure.wire.rules import RULES_OFF, Rules
from dure.wire.sums import Sums
from tests.masked import masked_sum

FOLDER = Path(__file__).parent / "reference"
PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"


class Refused(Exception):
    """The gate let nothing through, or a statistic found its cells hidden."""


@dataclass
class Network:
    """Hospitals that answer only through the gate.

    Attributes:
        masked: whether sums go under masks, as a run's do.
        rounds: how many were asked, over all statistics.
    """

    inputs: Path
    rules: Rules
    masked: bool = False
    rounds: int = 0
    sums: int = 0
    asked: list[str] = field(default_factory=list)

    def table(self, name):
        """A file of inputs, as columns; numbers where all of them are, NaN where empty."""
        return _table(self.inputs / f"{name}.csv")

    def ask(self, statistic, params, frames):
        """A statistic's result over the hospitals' frames.

        Raises:
            Refused: the gate withheld the total.
        """
        self.asked.append(statistic.name)
        layout = statistic.layout(params)
        state = statistic.begin(params)
        for _ in range(statistic.rounds(params)):
            self.rounds += 1
            statistic.judge(params, state)
            answers = [statistic.local(frame, params, state) for frame in frames]
            people = self._added(
                [passed(release_support(layout, a)).numbers for a in answers], len(layout.cells)
            )
            support = ring.integers(people)
            is_open = passed(judge_total(layout, support, self.rules, hospitals=len(frames)))
            lanes = self._added(
                [passed(release_values(layout, a, is_open)).numbers for a in answers], layout.size
            )
            sums = Sums.from_ring(layout, lanes)
            passed(judge_values(sums, support))
            outcome = statistic.step(params, state, Released(layout=layout, open=is_open, values=sums.values))
            if isinstance(outcome, Done):
                return decode(statistic.result, encode(outcome.result), where="result")
            state = decode(statistic.state, encode(outcome.state), where="state")
        raise AssertionError(f"{statistic.name} did not finish within its rounds")

    def _added(self, parts, size):
        """The sum of what hospitals sent, under masks or, where the rules are at stake and not the sums, without."""
        vectors = [ring.from_bytes(part, size) for part in parts]
        if not self.masked:
            return reduce(ring.add, vectors)
        self.sums += 1
        return masked_sum(vectors, place=f"{self.sums}")

    def frames(self, columns, site, person=None):
        """One frame for each value of `site`, in order; a row a person unless `person` says otherwise."""
        site = np.asarray(site)
        made = []
        for place in np.unique(site):
            here = site == place
            people = (
                np.arange(here.sum()) if person is None else np.unique(person[here], return_inverse=True)[1]
            )
            made.append(
                Frame(
                    person=people.astype(np.int64),
                    columns={name: np.asarray(column)[here] for name, column in columns.items()},
                )
            )
        return made


def passed(judged):
    if isinstance(judged, Withheld):
        raise Refused(f"{judged.rule.id}: {judged.reason}")
    return judged


@cache
def _table(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {}
    for name in rows[0]:
        texts = [row[name] for row in rows]
        try:
            columns[name] = np.array([float(text) if text not in ("", "NA") else np.nan for text in texts])
        except ValueError:
            columns[name] = np.array(texts)
    return columns


@cache
def _rows():
    found = defaultdict(dict)
    if REFERENCE.is_dir():
        with (REFERENCE / "reference.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                found[row["id"], row["model"]][row["term"], row["quantity"]] = (
                    np.nan if row["value"] == "NA" else float(row["value"]),
                    float(row["tol"]),
                )
    return dict(found)


@cache
def _modules():
    made = []
    for path in sorted(FOLDER.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        made.append(module)
    return made


MODELS = {key: model for module in _modules() for key, model in module.MODELS.items()}
COARSENED = {key for module in _modules() for key in getattr(module, "COARSENED", ())}
# Rows that no sum gives, by (id, model) and then (term, quantity): why, and what is given instead.
ON = Rules(least_hospitals=3)
REASONS = {key: why for module in _modules() for key, why in getattr(module, "REASONS", {}).items()}


@cache
def computed(key, rules):
    network = Network(inputs=REFERENCE / "inputs", rules=rules, masked=rules is RULES_OFF)
    try:
        return MODELS[key](network), network.rounds
    except Refused as refusal:
        return str(refusal), network.rounds


def differing(wanted, got):
    """Rows whose value is another than the reference's."""
    return [
        f"{term} {quantity}: {got[term, quantity]!r} is not {value!r} (off by {got[term, quantity] - value:.2e})"
        for (term, quantity), (value, tolerance) in wanted.items()
        if (term, quantity) in got
        and not np.isclose(got[term, quantity], value, rtol=tolerance, atol=tolerance, equal_nan=True)
    ]


@cache
def verdict(key):
    """What becomes of a model's rows with rules on: how many are exact, coarsened, refused, and none that sums give."""
    got, _ = computed(key, ON)
    wanted, never = _rows()[key], REASONS.get(key, {})
    rule = got.split(":")[0] if isinstance(got, str) else "least-people"
    shown = {} if isinstance(got, str) else got
    coarse = [row for row in shown if differing({row: wanted[row]}, shown)]
    refused = len(set(wanted) - set(shown) - set(never))
    cells = [
        len(wanted),
        len(shown) - len(coarse),
        f"{len(coarse)} ({_off(wanted, shown, coarse)})" if coarse else 0,
        f"{refused} (`{rule}`)" if refused else 0,
        len(set(never) - set(shown)),
    ]
    return f"| {key[0]} | {key[1].replace('|', '/')} | {' | '.join(str(cell) for cell in cells)} |"


def _off(wanted, got, coarse):
    """How far coarsened rows are off at most: in standard errors of the estimates that have one, otherwise in per cent."""
    errors = {key: abs(got[key] - wanted[key][0]) for key in coarse}
    spreads = {key: _spread(wanted, *key) for key in coarse}
    in_errors = [error / spreads[key] for key, error in errors.items() if spreads[key]]
    if in_errors:
        return f"{max(in_errors):.2g} SE"
    return f"{max(100 * error / abs(wanted[key][0]) for key, error in errors.items()):.2g} %"


def _spread(wanted, term, quantity):
    """R's standard error of an estimate, where it says one."""
    where = {
        "coef": [(term, "se"), (term, "se_robust")],
        "surv": [(term, "se_greenwood")],
        "meta": [("se", "meta")] if term == "mu" else [],
        "mh": [("se", "mh")] if term == "logOR" else [],
        "rmst": [(term.replace("rmst", "var"), "rmst")] if term.startswith("rmst") else [],
    }
    found = next((wanted[key][0] for key in where.get(quantity, ()) if key in wanted), None)
    return found**0.5 if found is not None and quantity == "rmst" else found


HEAD = """# R's numbers under the gate

Every row of a reference that R computed on pooled data (glm, survival, glmnet, metafor, survRM2 and others), asked of hospitals that give
away only sums. Made by `python -m tests.integration.test_reference > docs/reference.md`; a test holds each line to what it finds, and all rows
with the rules off, summed under masks, to R's value within the reference's tolerance.

With the rules on (k = 11, three hospitals at the least; in `by_hospital` also rounding to 10) a row is *exact*, the same within its tolerance;
*coarsened*, since the statistic is asked on what the gate leaves (a wider grid, an interval's middle, rounded cells), with the model's largest error: of
estimates in their standard errors (SE), where R gives any, otherwise in per cent; or *refused*, with the rule. *No sum*: no sum over people gives it at all (a rank, an
extreme), with rules or without. What can't be exact under a gate, and why, stands in [statistics.md](statistics.md#what-cant-be-exact-under-a-gate).

"""
COLUMNS = ("rows", "exact", "coarsened", "refused", "no sum")


def summary(lines):
    """The counts over all models."""
    numbers = [
        [int(re.match(r"\d+", cell)[0]) for cell in line.strip("| ").split(" | ")[2:]] for line in lines
    ]
    totals = [sum(column) for column in zip(*numbers, strict=True)]
    told = ", ".join(f"{total:,} {name}" for name, total in zip(COLUMNS[1:], totals[1:], strict=True))
    return f"Of {totals[0]:,} rows: {told}.\n"


def page():
    """The page as it must be."""
    lines = [verdict(key) for key in MODELS]
    table = "\n".join([f"| | model | {' | '.join(COLUMNS)} |", "|---" * (2 + len(COLUMNS)) + "|", *lines])
    return f"{HEAD}{summary(lines)}\n{table}\n"


@pytest.mark.parametrize("key", MODELS, ids=" ".join)
def test_federated_is_pooled(shared, key):
    got, rounds = computed(key, RULES_OFF)
    assert not isinstance(got, str), got
    wanted = _rows()[key]
    assert not differing(wanted, got)
    unknown = set(got) - set(wanted)
    assert not unknown, "values that the reference doesn't have"
    unaccounted = set(wanted) - set(got) - set(REASONS.get(key, {}))
    assert not unaccounted
    print(f"{' '.join(key)}: {len(got)} of {len(wanted)} rows in {rounds} rounds")


@pytest.mark.parametrize("key", MODELS, ids=" ".join)
def test_the_gate_changes_no_number_that_it_shows(shared, key):
    got, _ = computed(key, ON)
    if not isinstance(got, str):
        assert not differing(_rows()[key], got) or key in COARSENED
    assert verdict(key) in PAGE.read_text(encoding="utf-8").splitlines(), (
        "run: python -m tests.integration.test_reference > docs/reference.md"
    )


def test_the_page_adds_up():
    told = PAGE.read_text(encoding="utf-8")
    lines = [line for line in told.splitlines() if line.startswith("| A")]
    assert len(lines) == len(MODELS)
    assert summary(lines) in told


def test_every_row_is_accounted_for(shared):
    """Each (id, model) of the reference has a function or is listed as not built yet, and nothing is listed twice."""
    listed = {
        line.split("\t")[0]: line
        for line in (FOLDER / "not_yet.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    names = {"|".join(key) for key in _rows()}
    built = {"|".join(key) for key in MODELS}
    assert built <= names, "a function for a model that the reference doesn't have"
    assert set(listed) == names - built


if __name__ == "__main__":
    sys.stdout.write(page())
