"""What a regression releases, as docs/statistics.md prints it: read off the layouts. Run this file to see the tables anew."""

from pathlib import Path

import pytest

from dure.stats.design import binary, continuous
from dure.stats.families import Family
from dure.stats.glm import Glm
from dure.stats.glm_model import GlmParams
from dure.stats.lasso import Lasso, LassoParams

PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"
TEN = (*(binary(f"x{j}") for j in range(8)), continuous("age", 18, 100), continuous("dose", 0, 9))
MODELS = {
    "glm": (
        Glm(),
        GlmParams(family=Family.BINOMIAL, covariates=TEN, robust=True, clustered=True),
    ),
    "glm, hospital_intercepts": (
        Glm(),
        GlmParams(family=Family.BINOMIAL, covariates=TEN, hospital_intercepts=True),
    ),
    "lasso": (Lasso(), LassoParams(family=Family.BINOMIAL, covariates=TEN[:8], penalties=(0.1,))),
    "lasso, folds": (
        Lasso(),
        LassoParams(family=Family.BINOMIAL, covariates=TEN[:8], penalties=(0.1,), folds=5),
    ),
}


def table(name):
    """One model's fields as a Markdown table."""
    statistic, params = MODELS[name]
    layout = statistic.layout(params)
    lines = [
        f"`{name}`: {len(layout.cells)} cells, {len(layout.relations)} relations, {layout.size} numbers a round.",
        "",
        "| field | kind | a sum over | numbers | cells it rests on |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {field.name} | {field.kind} | {field.unit} | {field.size} | {len(set(field.rests_on.ravel().tolist()))} |"
        for field in layout.fields
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", MODELS)
def test_the_page_says_what_is_released(name):
    assert table(name) in PAGE.read_text(encoding="utf-8")


if __name__ == "__main__":
    print("\n".join(table(name) for name in MODELS))
