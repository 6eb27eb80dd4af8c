"""The hub with its pages: one application, one set of actions.

Responsible for: putting both together, problems as pages where a page was asked for. Not responsible for: either.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from dure.hub.actions.accounts import Person
from dure.hub.app import PREFIX, create_app
from dure.hub.hub import utc_now
from dure.hub.settings import Settings
from dure.portal.page import reader, show_problem
from dure.portal.pages import assets, hospitals, log, rules, signin, studies, study
from dure.wire.problems import Problem

PAGES = (assets, signin, studies, study, hospitals, rules, log)
Handler = Callable[[Request, Exception], Awaitable[Response]]


def create(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """The hub's application with its pages.

    Raises:
        BadSettings: as `create_app`.
    """
    app = create_app(settings, clock=clock)
    for page in PAGES:
        app.include_router(page.router, include_in_schema=False)
    handlers: dict[Any, Any] = app.exception_handlers
    for kind, handler in tuple(handlers.items()):
        handlers[kind] = _as_page(handler)
    return app


async def _reader(request: Request) -> Person | None:
    """Who is signed in, where that can be found out."""
    try:
        return await reader(request)
    except (Problem, DBAPIError):
        return None


def _as_page(handler: Handler) -> Handler:
    """The same problem document, shown as a page outside of the API."""

    async def handle(request: Request, error: Exception) -> Response:
        answer = await handler(request, error)
        if request.url.path.startswith(f"{PREFIX}/"):
            return answer
        document = json.loads(bytes(answer.body))
        if isinstance(error, HTTPException) and answer.status_code == 404:
            document |= {"detail": "There is no such page.", "mend": "Check the address."}
        return show_problem(request, document, answer.status_code, user=await _reader(request))

    return handle
