"""Every problem of every module has its own name and exit code, and crosses the wire as itself."""

import importlib
import pkgutil

import pytest

import dure
from dure.wire.problems import PROBLEM_BASE, Problem, from_document

for module in pkgutil.walk_packages(dure.__path__, "dure."):
    if "migrations" not in module.name and "alembic" not in module.name:
        importlib.import_module(module.name)

REGISTER = Problem.register


def test_no_two_share_a_name_or_an_exit_code():
    kinds = list(REGISTER.values())
    assert len({kind.exit_code for kind in kinds}) == len(kinds)
    assert all(kind.slug == slug for slug, kind in REGISTER.items())
    assert all(10 <= kind.exit_code < 126 for kind in kinds), "126 and more are the shell's own"
    assert all(400 <= kind.status < 600 for kind in kinds)


def test_a_clash_is_noticed_when_it_is_written():
    with pytest.raises(TypeError, match="share"):
        type("Clash", (Problem,), {"slug": "malformed", "title": "t", "status": 400, "exit_code": 1})
    with pytest.raises(TypeError, match="share"):
        type("Clash", (Problem,), {"slug": "clash", "title": "t", "status": 400, "exit_code": 50})
    namesake = {"slug": "malformed", "title": "t", "status": 400, "exit_code": 1, "__module__": "elsewhere"}
    with pytest.raises(TypeError, match="share"):
        type(REGISTER["malformed"].__name__, (Problem,), namesake)
    assert "clash" not in REGISTER


@pytest.mark.parametrize("slug", sorted(REGISTER))
def test_a_problem_crosses_as_itself(slug):
    problem = REGISTER[slug]("What is wrong.", where="here", mend="Mend it.")
    document = problem.document()
    assert document["type"] == PROBLEM_BASE + slug
    told = from_document(document)
    assert type(told) is REGISTER[slug]
    assert (told.what, told.where, told.mend) == ("What is wrong.", "here", "Mend it.")


@pytest.mark.parametrize(
    "document", [{}, {"type": "about:blank"}, {"type": None}, {"type": PROBLEM_BASE + "no-such"}]
)
def test_an_unknown_problem_is_none(document):
    assert from_document(document) is None
