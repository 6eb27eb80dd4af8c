"""One study: live progress by hospital, then the answer; its charts and files."""

import json
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from dure.client import presentation, study_file
from dure.client.html import html_report
from dure.client.result import csv_of
from dure.hub.actions import studies
from dure.hub.actions.accounts import Person, UserRole
from dure.hub.api.door import hub_of
from dure.hub.problems import Unknown
from dure.look import charts
from dure.look.drawing import Theme
from dure.look.words import Words
from dure.portal.page import HEADERS, reader, show, words_of
from dure.portal.standing import parts_of, state_of
from dure.study.report import Report
from dure.study.spec import Study
from dure.wire.answers import StudyNow, StudyState
from dure.wire.codec import decode
from dure.wire.envelope import peek

router = APIRouter(prefix="/studies/{digest}")
FILE_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


@router.get("")
async def look_at(request: Request, digest: str) -> Response:
    """The study's page. Asked again by htmx, a study that is over tells the browser to load the whole page."""
    user = await reader(request)
    now = await hub_of(request).read(studies.view, digest, user)
    words = words_of(request)
    shown: dict[str, Any] = {
        "study": _head(now, words),
        "over": now.over,
        "parts": parts_of(now, words),
        "facts": _facts(now, words),
        "report": None,
    }
    if now.state is StudyState.REPORTED and user.role is UserRole.ASKER:
        shown |= _answer(await _report(request, digest, user), _names(now), words)
    answer = show(request, "study.html", user=user, **shown)
    if now.over and "hx-request" in request.headers:
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.get("/charts/{number:int}.svg")
async def picture(request: Request, digest: str, number: int) -> Response:
    """A chart as a picture."""
    spec = await _chart(request, digest, number)
    drawn = await run_in_threadpool(_svg, json.dumps(spec, sort_keys=True))
    return Response(drawn, media_type="image/svg+xml", headers=FILE_HEADERS)


@router.get("/charts/{number:int}.json")
async def specification(request: Request, digest: str, number: int) -> Response:
    """A chart as a Vega-Lite specification, for the page's script."""
    return Response(
        json.dumps(await _chart(request, digest, number)), media_type="application/json", headers=HEADERS
    )


@router.get("/tables/{name}.csv")
async def csv_file(request: Request, digest: str, name: str) -> Response:
    """A table as a file."""
    report = await _report(request, digest, await reader(request))
    for table in report.tables:
        if table.name == name:
            body = csv_of(table).encode("utf-8-sig")
            return _file(body, "text/csv; charset=utf-8", f"{_stem(report)} {name}.csv")
    raise _nothing(request, "table")


@router.get("/report.html")
async def report_file(request: Request, digest: str) -> Response:
    """The report as one file."""
    user = await reader(request)
    report = await _report(request, digest, user)
    names = _names(await hub_of(request).read(studies.view, digest, user))
    text = await run_in_threadpool(html_report, report, language=words_of(request).language, names=names)
    return _file(text.encode(), "text/html; charset=utf-8", f"{_stem(report)}.html")


async def _report(request: Request, digest: str, user: Person) -> Report:
    body = await hub_of(request).read(studies.report_body, digest, user)
    report: Report = decode(Report, body, where=f"stored report of {digest}")
    return report


async def _chart(request: Request, digest: str, number: int) -> dict[str, Any]:
    user = await reader(request)
    report = await _report(request, digest, user)
    names = _names(await hub_of(request).read(studies.view, digest, user))
    words = words_of(request)
    theme: Theme = "dark" if request.query_params.get("theme") == "dark" else "light"
    for figure in presentation.figures(report, words, names):
        if figure.number == number and figure.drawable:
            spec = await run_in_threadpool(figure.specification, words, theme)
            assert spec is not None
            return spec
    raise _nothing(request, "chart")


@lru_cache(maxsize=256)
def _svg(specification: str) -> str:
    return charts.svg(json.loads(specification))


def _names(now: StudyNow) -> dict[str, str]:
    return {part.hospital: part.name for part in now.parts}


def _head(now: StudyNow, words: Words) -> dict[str, Any]:
    study = peek(Study, now.envelope, where="stored study")
    return {
        "title": study.title,
        "purpose_text": study.purpose_text,
        "state": state_of(now.state, words),
        "kind": study.question.kind,
        "mode": study.mode.value,
        "asker": study.asker,
        "asked": words.moment(study.created),
        "reason": words.text(now.reason),
    }


def _facts(now: StudyNow, words: Words) -> list[tuple[str, str]]:
    study = peek(Study, now.envelope, where="stored study")
    settings = []
    for title, value in study_file.fields_of(study.question):
        parts = value if isinstance(value, tuple) else (value,)
        settings.append((words.text(title), ", ".join(words.text(str(part)) for part in parts)))
    return [
        (words("Purpose"), words(study.purpose.value)),
        *settings,
        (words("Boards decide until"), words.moment(study.closes)),
        (words("Permits end"), words.moment(study.expires)),
        (words("Study"), now.study),
    ]


def _answer(report: Report, names: dict[str, str], words: Words) -> dict[str, Any]:
    return {
        "report": report,
        "sections": presentation.sections(report, words, names),
        "parts": presentation.parts(report, words, names),
        "answered": presentation.answered(report),
        "provenance": presentation.provenance(report, words),
    }


def _stem(report: Report) -> str:
    """A file name that every system takes."""
    kept = "".join(letter if letter.isalnum() else " " for letter in report.title)
    return " ".join(kept.split())[:80] or "report"


def _file(body: bytes, media_type: str, name: str) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Response(body, media_type=media_type, headers={**FILE_HEADERS, "Content-Disposition": disposition})


def _nothing(request: Request, what: str) -> Unknown:
    return Unknown(
        f"The report has no such {what}.", where=request.url.path[-200:], mend="Go back to the study's page."
    )
