"""What every page shares: its reader, its language, its frame, its headers, forms, and problems as pages.

Responsible for: the session cookie, refusing posts from other sites, security headers. Not responsible for: any page
(`pages/`), what may be done (`dure.hub.actions`, which pages call as the API does).
"""

from functools import cache
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment

from dure.hub.actions import accounts
from dure.hub.actions.accounts import Person, UserRole
from dure.hub.api.door import hub_of
from dure.hub.problems import NotAllowed, NotSignedIn, TooLarge
from dure.look.assets import CONTENT_SECURITY_POLICY
from dure.look.environment import environment, speaking
from dure.look.words import COOKIE, Words, choose
from dure.wire.problems import Problem

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
A_YEAR = 365 * 24 * 3600
LARGEST_FORM = 10_000


@cache
def _environment(language: str) -> Environment:
    return speaking(environment("dure.portal", "dure.client"), Words(language))


def words_of(request: Request) -> Words:
    """The words in the reader's language."""
    asked, kept = request.query_params.get("lang"), request.cookies.get(COOKIE)
    return Words(choose(asked, kept, request.headers.get("accept-language", "")))


def is_secure(request: Request) -> bool:
    """Whether the page is read over TLS, of which a proxy in front tells uvicorn."""
    return request.url.scheme == "https"


def session_cookie(request: Request) -> str:
    """The cookie's name; over TLS the browser itself then keeps it to this host and to TLS."""
    return "__Host-dure" if is_secure(request) else "dure"


async def reader(request: Request) -> Person:
    """Who is signed in.

    Raises:
        NotSignedIn: nobody.
    """
    token = request.cookies.get(session_cookie(request))
    if token is None:
        raise NotSignedIn("Nobody is signed in.", where=request.url.path, mend="Sign in.")
    hub = hub_of(request)
    return await hub.read(accounts.who, token, now=hub.clock())


def show(
    request: Request, template: str, *, user: Person | None = None, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page in the reader's language. A language asked for in the address is kept for the pages that follow."""
    words = words_of(request)
    body = (
        _environment(words.language)
        .get_template(template)
        .render(
            user=user,
            regulates=user is not None and user.role is UserRole.REGULATOR,
            path=request.url.path,
            **values,
        )
    )
    answer = HTMLResponse(body, status_code=status, headers=HEADERS)
    if "lang" in request.query_params:
        answer.set_cookie(
            COOKIE, words.language, max_age=A_YEAR, httponly=True, samesite="lax", secure=is_secure(request)
        )
    return answer


def show_problem(request: Request, document: dict[str, Any], status: int, *, user: Person | None) -> Response:
    """A problem document as a page; who isn't signed in is asked to, and comes back here afterwards."""
    if status == NotSignedIn.status and request.method == "GET":
        return RedirectResponse(f"/signin?next={quote(request.url.path)}", status_code=303, headers=HEADERS)
    return show(
        request,
        "error.html",
        user=user,
        status=status,
        title=document["title"],
        what=document.get("detail", ""),
        where=document.get("where", request.url.path),
        mend=document.get("mend", ""),
    )


def inner_path(wish: str) -> str:
    """The address to go on to, if it is a path on this site; else the first page."""
    inside = wish.startswith("/") and not wish.startswith("//") and "\\" not in wish and wish.isprintable()
    return wish if inside else "/"


def refuse_foreign(request: Request) -> None:
    """Raise NotAllowed where a form comes from another site's page, whatever cookies it carries."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if site not in {None, "same-origin", "none"} or not ours:
        raise NotAllowed(
            "The form was sent from another site.", where="Origin", mend="Open this site and try again there."
        )


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a small form.

    Raises:
        TooLarge: it isn't small.
    """
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST_FORM:
            raise TooLarge("The form is too long.", where=request.url.path, mend="Write less.")
    fields = parse_qs(data.decode("utf-8", errors="replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}


def problem_text(problem: Problem, words: Words) -> str:
    """A problem in a line, for a form."""
    return f"{words.text(problem.what)} {words.text(problem.mend)}"
