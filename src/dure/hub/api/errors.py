"""Every error as a problem document (RFC 9457), and nothing of the inside in it."""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from dure.hub.problems import Unavailable, Unknown
from dure.wire.codec import Malformed
from dure.wire.problems import PROBLEM_BASE, Problem

log = logging.getLogger("dure.hub")
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = "2"


def document_of(problem: Problem) -> Response:
    """A problem as an answer."""
    headers = {"cache-control": "no-store"}
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if problem.status == 503:
        headers["retry-after"] = RETRY_SECONDS
    return JSONResponse(problem.document(), problem.status, media_type=MEDIA_TYPE, headers=headers)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return document_of(error)


async def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return document_of(
        Malformed(first["msg"], where=where, mend="docs/protocol.md lists what each door takes.")
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    here = f"{request.method} {request.url.path}"[:200]
    if error.status_code == 404:
        return document_of(Unknown("There is no such door.", where=here, mend="docs/protocol.md lists them."))
    document = {"type": "about:blank", "title": str(error.detail), "status": error.status_code, "where": here}
    return JSONResponse(document, error.status_code, media_type=MEDIA_TYPE, headers=error.headers)


async def _bad_text(request: Request, error: Exception) -> Response:
    """PostgreSQL keeps no NUL in a text, and none belongs there."""
    here = f"{request.method} {request.url.path}"[:200]
    return document_of(
        Malformed(
            "A text holds a character that cannot be kept.", where=here, mend="Leave out control characters."
        )
    )


async def _database(request: Request, error: Exception) -> Response:
    log.error("the database: %s at %s", type(getattr(error, "orig", error)).__name__, request.url.path)
    return document_of(
        Unavailable(
            "The hub's database does not answer or its disk is full.",
            where="database",
            mend="Try again; nothing was half done. The operator finds the cause in the hub's log.",
        )
    )


async def _unforeseen(request: Request, error: Exception) -> Response:
    document = {
        "type": PROBLEM_BASE + "unforeseen",
        "title": "The hub met an error that nobody foresaw",
        "status": 500,
        "detail": "Nothing was half done.",
        "where": f"{request.method} {request.url.path}"[:200],
        "mend": "Try again; tell the hub's operator if it stays.",
    }
    return JSONResponse(document, 500, media_type=MEDIA_TYPE)


def handle(app: FastAPI) -> None:
    """Let every error of the app become a problem document."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DataError, _bad_text)
    for kind in (DBAPIError, PoolTimeout):
        app.add_exception_handler(kind, _database)
    app.add_exception_handler(Exception, _unforeseen)
