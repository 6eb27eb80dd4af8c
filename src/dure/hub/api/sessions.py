"""Doors for signing in and out."""

from fastapi import APIRouter, Request, Response

from dure.hub.actions import accounts
from dure.hub.actions.accounts import Credentials
from dure.hub.api.door import answer, body_of, done, hub_of, takes, token_of
from dure.hub.hub import Hub
from dure.wire.answers import Session

router = APIRouter()


async def sign_in(hub: Hub, credentials: Credentials, *, address: str) -> Session:
    """A token for right credentials; a page calls this too.

    Raises:
        NotSignedIn: wrong. TooManyAttempts: too often wrong.
    """
    here = {"email": credentials.email, "address": address}
    await hub.read(accounts.may_try, **here, now=hub.clock())
    person = await hub.read(accounts.check_password, credentials)
    if person is None:
        await hub.note(accounts.note_failure, **here, now=hub.clock())
        raise accounts.wrong_password()
    hours = hub.settings.token_hours
    return await hub.write(accounts.open_session, person, address=address, hours=hours, now=hub.clock())


@router.post("/sessions", openapi_extra=takes("e-mail address and password"))
async def post_session(request: Request) -> Response:
    """Sign in."""
    credentials = await body_of(request, Credentials, limit=10_000)
    address = request.client.host if request.client is not None else ""
    return answer(await sign_in(hub_of(request), credentials, address=address))


@router.delete("/sessions")
async def delete_session(request: Request) -> Response:
    """Sign out: the token ends."""
    hub = hub_of(request)
    await hub.write(accounts.close_session, token_of(request), now=hub.clock())
    return done()
