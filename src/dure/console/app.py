"""The hospital's web pages: the board's desk in a browser on the node's own machine.

Responsible for: showing requests in plain words, signing and declining, what has left. Not responsible for: what may be signed
(`dure.node.signing`), the running node. It listens on the loopback interface only; whoever opens the printed address,
and nobody else on this machine, gets in: the address holds a key that becomes a cookie of this site.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from dure.guard.register import REGISTER
from dure.look.assets import CONTENT_SECURITY_POLICY, asset
from dure.look.environment import environment, speaking
from dure.look.words import Words, choose
from dure.node import keys, operate
from dure.node.board import Board
from dure.node.place import Place, opened
from dure.node.plain_words import leaving_lines, lines, state
from dure.wire.envelope import public_text
from dure.wire.problems import Problem

COOKIE = "dure-console"
HOSTS = ["127.0.0.1", "localhost"]
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Text = Annotated[str, Form()]
Following = Callable[[Request], Awaitable[Response]]


def serve(folder: Path, *, port: int) -> None:
    """Serve until a signal ends it; print the address that lets one in. Raises NoNode, BadSetup."""
    key = secrets.token_urlsafe(24)
    app = create(folder, key=key)
    print(f"http://127.0.0.1:{port}/?key={key}", flush=True)  # noqa: T201 - the address is the answer
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


def create(folder: Path, *, key: str) -> FastAPI:
    """The application over the node in a folder.

    Args:
        key: what the address must hold once; then a cookie does, which no other site's page can send.
    """
    with opened(folder):
        pass
    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, following: Following) -> Response:
        if request.url.path.startswith("/look/"):
            return await following(request)
        shown = request.query_params.get("key", "")
        if request.url.path == "/" and secrets.compare_digest(shown.encode(), key.encode()):
            answer = RedirectResponse("/", status_code=303, headers=HEADERS)
            answer.set_cookie(COOKIE, key, httponly=True, samesite="strict")
            return answer
        kept = request.cookies.get(COOKIE, "")
        if not secrets.compare_digest(kept.encode(), key.encode()):
            return PlainTextResponse("Open the address that dure node console printed.", 403, headers=HEADERS)
        # A cookie is shared by every port of this machine, so a form must also come from this very one.
        origin = request.headers.get("origin", "")
        if request.method != "GET" and origin != f"{request.url.scheme}://{request.url.netloc}":
            return PlainTextResponse("The form came from another page.", 403, headers=HEADERS)
        return await following(request)

    # Added after the guard, it stands before it: another host name learns nothing, not even that a key is wanted.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return _page(request, "problem.html", status=error.status, problem=error)

    @app.get("/look/{name}")
    def look(name: str) -> Response:
        try:
            found = asset(name)
        except KeyError:
            return PlainTextResponse("There is no such file.", 404, headers=HEADERS)
        return Response(found.body, media_type=found.media_type)

    @app.get("/")
    def requests(request: Request) -> Response:
        with opened(folder) as place:
            found = _board(place).requests(now=datetime.now(UTC), everything=True)
            left = place.journal.departures()
            status = operate.status(place, now=datetime.now(UTC))
        return _page(
            request,
            "requests.html",
            found=[(one, state(one)) for one in found],
            left=left,
            status=status,
            rules=REGISTER,
        )

    @app.get("/requests/{study}")
    def show(request: Request, study: str) -> Response:
        with opened(folder) as place:
            one = _board(place).request(study, now=datetime.now(UTC))
            locked = place.board_key.exists() and keys.is_locked(place.board_key)
            here = place.board_key.exists()
        told = [] if one.request is None else lines(one.request)
        leaving = [] if one.request is None else [leaving_lines(part) for part in one.request.leaving]
        return _page(
            request,
            "request.html",
            one=one,
            state=state(one),
            told=told,
            leaving=leaving,
            locked=locked,
            here=here,
        )

    @app.post("/requests/{study}/sign")
    def sign(study: str, passphrase: Text = "", consent: Text = "") -> Response:
        with opened(folder) as place:
            operate.sign(
                place,
                study,
                rules=None,
                consent_by_hospital=consent == "yes",
                key=lambda: keys.read(place.board_key, passphrase or None),
                prepare=None,
                signed=None,
                now=datetime.now(UTC),
                say=_quiet,
            )
        return RedirectResponse(f"/requests/{study}", status_code=303, headers=HEADERS)

    @app.post("/requests/{study}/decline")
    def decline(study: str, reason: Text, passphrase: Text = "") -> Response:
        with opened(folder) as place:
            key = keys.read(place.board_key, passphrase or None)
            operate.decline(place, study, key, reason=reason, now=datetime.now(UTC), say=_quiet)
        return RedirectResponse(f"/requests/{study}", status_code=303, headers=HEADERS)

    return app


def _board(place: Place) -> Board:
    return Board(place, node_key=public_text(keys.read(place.node_key)))


def _page(request: Request, template: str, *, status: int | list[Any] = 200, **values: Any) -> HTMLResponse:
    """A page in the reader's language; `status` is the HTTP status, or a page's own value of that name."""
    words = Words(choose(request.query_params.get("lang"), None, request.headers.get("accept-language", "")))
    code = status if isinstance(status, int) else 200
    body = (
        speaking(environment("dure.console"), words)
        .get_template(template)
        .render(path=request.url.path, status=status, **values)
    )
    return HTMLResponse(body, status_code=code, headers=HEADERS)


def _quiet(line: str) -> None:
    """The page that follows says it."""
