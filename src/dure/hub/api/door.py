"""What all doors share: bodies as raw bytes within a limit, messages out, whose token it is.

Not responsible for: errors as documents (`errors`), any door.
"""

import re
from typing import Any

from fastapi import Request, Response

from dure.hub.actions import accounts
from dure.hub.actions.accounts import Person
from dure.hub.hub import Hub
from dure.hub.problems import NotSignedIn, TooLarge
from dure.hub.settings import MEBIBYTE
from dure.wire.codec import decode, encode

USUAL_LIMIT = 4 * MEBIBYTE
LONGEST_WAIT = 30
_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9._~+/=-]{1,200})")


def hub_of(request: Request) -> Hub:
    """The hub that serves this request."""
    hub: Hub = request.app.state.hub
    return hub


async def body_of(request: Request, kind: Any, *, limit: int = USUAL_LIMIT) -> Any:
    """The message in a request's body, read strictly.

    Raises:
        TooLarge: more bytes than the limit; reading stops there. Malformed: not a `kind`.
    """
    where = f"body of {request.method} {request.url.path}"
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limit:
            raise TooLarge(f"It is longer than {limit} bytes.", where=where, mend="Send less at once.")
    return decode(kind, bytes(data), where=where)


def answer(value: Any, kind: Any = None, *, status: int = 200) -> Response:
    """A message as the answer."""
    return raw(encode(value, kind), status=status)


def raw(body: bytes, *, status: int = 200) -> Response:
    """Encoded JSON as the answer."""
    return Response(
        body, status_code=status, media_type="application/json", headers={"cache-control": "no-store"}
    )


def done() -> Response:
    """An answer without a body."""
    return Response(status_code=204)


def token_of(request: Request) -> str:
    """The bearer token of a request. Raises NotSignedIn where there is none."""
    told = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if told is None:
        raise NotSignedIn(
            "The request carries no token.", where="Authorization", mend="Send: Authorization: Bearer TOKEN"
        )
    return told.group(1)


async def person_of(request: Request) -> Person:
    """The signed-in user. Raises NotSignedIn."""
    hub = hub_of(request)
    return await hub.read(accounts.who, token_of(request), now=hub.clock())


def takes(kind: str) -> dict[str, Any]:
    """How the OpenAPI document describes a body that is read strictly by the codec."""
    schema = {"type": "object", "description": f"{kind}: see docs/protocol.md."}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
