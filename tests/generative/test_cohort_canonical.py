"""The canonical form: one text and one plan for all that mean the same, for generated definitions and real ones."""

import zipfile
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dure import cohort
from dure.cohort import parse, plan
from dure.cohort.canonical import canonical
from dure.cohort.circe import nodes
from dure.cohort.circe.write import document, text
from dure.cohort.diff import diff
from tests.generative.test_cohort_engines import Cdm, Writer

QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck))


def laws(expression):
    form = canonical(expression)
    again = parse(form.text)
    assert canonical(again).text == form.text
    assert canonical(parse(form.named)).text == form.text
    assert form.digest == plan(again, cdm_version="5.4").digest == plan(expression, cdm_version="5.4").digest


def shuffled(group, random):
    mixed = lambda parts: tuple(random.sample(parts, len(parts)))  # noqa: E731
    groups = tuple(shuffled(each, random) for each in mixed(group.groups))
    return nodes.Group(
        type=group.type,
        count=group.count,
        criteria=mixed(group.criteria),
        demographics=mixed(group.demographics),
        groups=groups,
    )


@settings(QUICK, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_laws_of_generated_definitions(seed):
    random = Random(seed)
    expression = parse(Writer(random).expression())
    laws(expression)
    assert parse(text(document(expression))).primary == expression.primary
    rules = tuple(
        nodes.InclusionRule(name="x", description="", group=shuffled(rule.group, random))
        for rule in expression.inclusion_rules
    )
    other = nodes.CohortExpression(
        **{name: getattr(expression, name) for name in expression.__dataclass_fields__}
        | {"inclusion_rules": rules}
    )
    assert canonical(other).text == canonical(expression).text
    assert diff(expression, other).same


@settings(QUICK, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_normal_form_selects_the_same_people(seed):
    """The plan of the definition as it stands, against that of its normal form, on random people."""
    random = Random(seed)
    cdm, writer = Cdm(random), Writer(random)
    for _ in range(4):
        expression = parse(writer.expression())
        with pytest.MonkeyPatch.context() as patched:
            patched.setitem(plan.__globals__, "normalised", lambda each: each)
            literal = plan(expression, cdm_version="5.4")
        normal = plan(expression, cdm_version="5.4")
        assert cohort.evaluate(literal, cdm.tables) == cohort.evaluate(normal, cdm.tables)


@settings(QUICK, max_examples=40)
@given(seeds=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)))
def test_a_difference_is_always_told(seeds):
    one, other = (parse(Writer(Random(seed)).expression()) for seed in seeds)
    found = diff(one, other)
    assert found.same == (not found.changes)
    assert found.same == (canonical(one).digest == canonical(other).digest)


def test_laws_of_the_phenotype_library(shared):
    archive = shared / "data" / "cohort_conformance.zip"
    if not archive.is_file():
        pytest.skip("needs shared/data/cohort_conformance.zip")
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if "/phenotypes/" in name and name.endswith(".json")]
        assert len(names) == 548
        for name in names[::10]:
            laws(parse(file.read(name)))
