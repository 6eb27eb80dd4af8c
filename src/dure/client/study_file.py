"""A study as a person writes it: a YAML file that names its cohorts by file. `read` gives what can be signed.

Responsible for: friendly fields and durations, cohorts by reference, and errors that name file, line and field. Not
responsible for: what a kind of study may say (`dure.study.kinds`), signing.
"""

import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from dure import cohort
from dure.client import covariate_list, yaml_document
from dure.client.problems import BadStudyFile, Unreadable
from dure.client.yaml_document import Document
from dure.study.kinds import KINDS, kind_of
from dure.study.spec import Purpose, Study
from dure.wire.problems import Problem
from dure.wire.rules import Mode

E = TypeVar("E", bound=StrEnum)
MOST_COHORT_BYTES = 32 * 2**20
FIELDS = {
    "title": "what the study is called",
    "purpose": "what the answer is for: " + ", ".join(Purpose),
    "purpose_text": "the purpose in a sentence, which boards and the public register read",
    "mode": "total or by_hospital",
    "hospitals": "the ids of the hospitals to ask; all if not given",
    "closes_in": "how long boards have to decide, such as 7 days",
    "expires_in": "how long permits hold, such as 30 days",
    "question": "the kind of study and its settings",
}
NEEDED = ("title", "purpose", "purpose_text", "question")
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
LONGEST = timedelta(days=366)


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """A study file, read and checked.

    Attributes:
        hospitals: empty for all.
    """

    path: Path
    title: str
    purpose: Purpose
    purpose_text: str
    mode: Mode
    hospitals: tuple[str, ...]
    closes_in: timedelta
    expires_in: timedelta
    question: Any

    def study(self, *, asker: str, lasting: timedelta | None = None, now: datetime | None = None) -> Study:
        """The study, ready to be signed.

        Args:
            asker: the id of the asking member in the directory.
            lasting: for a run at hand: ends after this long, and boards have half of it.

        Raises:
            BadStudy: dates out of order; or the kind's own Problem.
        """
        created = (now or datetime.now(UTC)).replace(microsecond=0)
        study = Study(
            title=self.title,
            asker=asker,
            purpose=self.purpose,
            purpose_text=self.purpose_text,
            mode=self.mode,
            question=self.question,
            hospitals=self.hospitals,
            created=created,
            closes=created + (self.closes_in if lasting is None else lasting / 2),
            expires=created + (self.expires_in if lasting is None else lasting),
            nonce=secrets.token_hex(16),
        )
        study.check()
        return study


def read(path: Path | str) -> StudyFile:
    """The study in a file.

    Raises:
        Unreadable: it, or a cohort that it names, can't be read.
        BadStudyFile: a field is wrong, missing or unknown.
        Problem: a cohort definition can't be answered, or the question contradicts itself.
    """
    place = Path(path)
    document = yaml_document.parse(_bytes(place, yaml_document.MOST_BYTES + 1), name=str(place))
    fields = document.fields
    for name in fields:
        if name not in FIELDS:
            _wrong(document, (name,), f"There is no field {name!r}.", f"The fields are {', '.join(FIELDS)}.")
    for name in NEEDED:
        if name not in fields:
            _wrong(document, (), f"The field {name!r} is missing.", f"Add {name}: {FIELDS[name]}.")
    study = StudyFile(
        path=place,
        title=_text(document, "title", 200),
        purpose=_choice(document, "purpose", Purpose),
        purpose_text=_text(document, "purpose_text", 2000),
        mode=_choice(document, "mode", Mode) if "mode" in fields else Mode.TOTAL,
        hospitals=_hospitals(document),
        closes_in=_duration(document, "closes_in", timedelta(days=7)),
        expires_in=_duration(document, "expires_in", timedelta(days=30)),
        question=_question(document),
    )
    if study.closes_in >= study.expires_in:
        _wrong(
            document, ("closes_in",), "Boards would decide after the permits end.", "Make expires_in longer."
        )
    study.study(asker="check")
    return study


def _bytes(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise Unreadable(
            f"{error.strerror}.", where=str(path), mend="Check the path; it is taken from the study's folder."
        ) from None


def _wrong(document: Document, path: yaml_document.Path, what: str, mend: str) -> NoReturn:
    raise BadStudyFile(what, where=document.place(path), mend=mend)


def _text(document: Document, name: str, most: int) -> str:
    value = document.fields[name]
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= most:
        _wrong(
            document, (name,), "It is no text, or too long.", f"Write 1 to {most} characters: {FIELDS[name]}."
        )
    return value.strip()


def _choice(document: Document, name: str, kind: type[E]) -> E:
    value = document.fields[name]
    if value not in list(kind):
        _wrong(document, (name,), f"{value!r} is not one of them.", f"Choose from {', '.join(kind)}.")
    return kind(value)


def _hospitals(document: Document) -> tuple[str, ...]:
    value = document.fields.get("hospitals", [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        _wrong(document, ("hospitals",), "It is no list of names.", "Write [first-id, second-id].")
    return tuple(value)


def _duration(document: Document, name: str, default: timedelta) -> timedelta:
    if name not in document.fields:
        return default
    value = document.fields[name]
    match = re.fullmatch(r"(\d{1,6}) ?(second|minute|hour|day|week)s?", str(value).strip())
    length = timedelta(seconds=int(match[1]) * UNITS[match[2]]) if match else timedelta()
    if not timedelta() < length <= LONGEST:
        _wrong(
            document,
            (name,),
            f"{value!r} is no length of time up to a year.",
            "Write 90 minutes, 7 days or 2 weeks.",
        )
    return length


def _question(document: Document) -> Any:
    value = document.fields["question"]
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str) or value["kind"] not in KINDS:
        _wrong(
            document, ("question", "kind"), "It names no kind of study.", f"Choose from {', '.join(KINDS)}."
        )
    kind = KINDS[value["kind"]]
    filled = {name: _with_cohorts(document, ("question", name), part) for name, part in value.items()}
    try:
        question: Any = TypeAdapter(kind.spec).validate_json(json.dumps(filled, default=str))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        known = ", ".join(kind.spec.__dataclass_fields__)  # type: ignore[attr-defined]
        _wrong(
            document,
            ("question", *first["loc"]),
            f"{first['msg']}.",
            f"The fields of {kind.name} are {known}.",
        )
    try:
        kind_of(question).check(question)
    except Problem as problem:
        raise _placed(problem, document.place(("question",))) from None
    return question


def _with_cohorts(document: Document, path: yaml_document.Path, part: Any) -> Any:
    """The value, with each cohort that names a file holding that file's definition instead; a list of covariates likewise."""
    if isinstance(part, list):
        return [_with_cohorts(document, (*path, index), item) for index, item in enumerate(part)]
    if not isinstance(part, dict) or "file" not in part:
        return part
    for name in part:
        if name not in {"name", "file"}:
            _wrong(document, (*path, name), f"A cohort has no field {name!r}.", "Give name and file.")
    if not isinstance(part["file"], str):
        _wrong(document, (*path, "file"), "It is no path.", "Write the name of an ATLAS JSON file.")
    place = Path(document.name).parent / part["file"]
    if place.suffix == ".csv":
        return [{"id": each.id, "name": each.name} for each in covariate_list.read(place)]
    return {"name": part.get("name", place.stem), "circe": _circe(place)}


def _circe(place: Path) -> dict[str, Any]:
    text = _bytes(place, MOST_COHORT_BYTES + 1)
    try:
        cohort.plan(cohort.parse(text), cdm_version="5.4")
    except Problem as problem:
        raise _placed(problem, str(place)) from None
    definition: dict[str, Any] = json.loads(text.decode("utf-8-sig"))
    return definition


def _placed(problem: Problem, file: str) -> Problem:
    return type(problem)(problem.what, where=f"{file}, {problem.where}", mend=problem.mend)


def fields_of(question: Any) -> tuple[tuple[str, Any], ...]:
    """A question's settings, each with its title, cohorts by name: what a person checks before signing."""
    told = []
    for name, hint in get_type_hints(type(question), include_extras=True).items():
        value = getattr(question, name)
        title = next((field.title for field in getattr(hint, "__metadata__", ()) if field.title), name)
        if name != "kind":
            told.append((title, getattr(value, "name", value)))
    return tuple(told)
