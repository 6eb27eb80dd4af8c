"""Sign in and out. The cookie holds the hub's own token, which ends on the server too."""

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from dure.hub.actions import accounts
from dure.hub.actions.accounts import Credentials
from dure.hub.api.door import hub_of
from dure.hub.api.sessions import sign_in
from dure.hub.problems import NotSignedIn, TooManyAttempts
from dure.portal.page import (
    HEADERS,
    form_of,
    inner_path,
    is_secure,
    problem_text,
    refuse_foreign,
    session_cookie,
    show,
    words_of,
)

router = APIRouter()


@router.get("/signin")
async def ask(request: Request) -> Response:
    """The form."""
    following = inner_path(request.query_params.get("next", "/"))
    return show(request, "signin.html", next=following, email="", refused="")


@router.post("/signin", dependencies=[Depends(refuse_foreign)])
async def enter(request: Request) -> Response:
    """A session for right credentials; the form again, with the reason, for wrong ones."""
    fields = await form_of(request)
    email, following = fields.get("email", ""), inner_path(fields.get("next", "/"))
    address = request.client.host if request.client is not None else ""
    credentials = Credentials(email=email, password=fields.get("password", ""))
    try:
        session = await sign_in(hub_of(request), credentials, address=address)
    except (NotSignedIn, TooManyAttempts) as problem:
        refused = problem_text(problem, words_of(request))
        return show(
            request, "signin.html", status=problem.status, next=following, email=email, refused=refused
        )
    answer = RedirectResponse(following, status_code=303, headers=HEADERS)
    answer.set_cookie(
        session_cookie(request),
        session.token,
        expires=session.expires,
        httponly=True,
        samesite="strict",
        secure=is_secure(request),
    )
    return answer


@router.post("/signout", dependencies=[Depends(refuse_foreign)])
async def leave(request: Request) -> Response:
    """End the session, here and in the browser."""
    hub, name = hub_of(request), session_cookie(request)
    token = request.cookies.get(name)
    if token is not None:
        await hub.write(accounts.close_session, token, now=hub.clock())
    answer = RedirectResponse("/signin", status_code=303, headers=HEADERS)
    answer.delete_cookie(name, httponly=True, samesite="strict", secure=is_secure(request))
    return answer
