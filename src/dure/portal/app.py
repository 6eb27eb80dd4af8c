"""The hub with its pages: one application, one set of actions.

Responsible for: putting both together, problems as pages where a page was asked for. Not responsible for: either.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request, Response

from dure.hub.app import PREFIX, create_app
from dure.hub.hub import utc_now
from dure.hub.settings import Settings
from dure.portal.page import show_problem
from dure.portal.pages import assets, hospitals, log, rules, signin, studies, study

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


def _as_page(handler: Handler) -> Handler:
    """The same problem document, shown as a page outside of the API."""

    async def handle(request: Request, error: Exception) -> Response:
        answer = await handler(request, error)
        if request.url.path.startswith(f"{PREFIX}/"):
            return answer
        return show_problem(request, json.loads(bytes(answer.body)), answer.status_code)

    return handle
