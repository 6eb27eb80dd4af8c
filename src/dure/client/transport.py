"""HTTP to a hub: one connection, retries, and every failure as one clear Problem.

Responsible for: TLS only (but on this machine), bounded answers, trying again what may be tried again, problem documents.
Not responsible for: what the doors mean (`connection`).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from dure import __version__
from dure.client.problems import BadAddress, NoSignIn, Unexpected, Unreachable
from dure.wire.codec import Malformed, load
from dure.wire.problems import Problem, from_document

MOST_BYTES = 64 * 2**20
LOCAL = {"localhost", "127.0.0.1", "::1"}
AGAIN = {502, 503, 504}
TIMEOUT = httpx.Timeout(30, connect=10)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


class Transport:
    """A hub's address with a token. Every request through it may be sent twice without harm: the doors are idempotent."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        patience: float = 30,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raise BadAddress where the address isn't https, unless it is on this machine.

        Args:
            patience: for how many seconds to go on trying while the hub doesn't answer.
        """
        address = _address(url)
        headers = {"User-Agent": f"dure/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.url = url
        self._patience = patience
        self._pause = pause
        self._http = httpx.Client(
            base_url=address, headers=headers, timeout=TIMEOUT, transport=transport, follow_redirects=False
        )

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    def get(self, path: str, *, wait: float = 0, **query: str | int) -> bytes:
        """The body of an answer; `wait` is how long the hub itself may take its time."""
        return self._send("GET", path, params=query, wait=wait)

    def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer to a message."""
        return self._send("POST", path, content=body)

    def put(self, path: str, body: bytes) -> bytes:
        """The body of the answer to a message that replaces what is there."""
        return self._send("PUT", path, content=body)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        wait: float = 0,
    ) -> bytes:
        slept, pause = 0.0, FIRST_PAUSE
        while True:
            try:
                status, body = self._once(method, path, params, content, wait)
                why = f"It answers with status {status}."
            except httpx.HTTPError as error:
                status, body, why = 0, b"", f"{_reason(error)}."
            if status and status not in AGAIN:
                return self._judged(status, body, f"{method} {path}")
            if slept >= self._patience:
                if _document(body):
                    raise _problem(status, body, f"{method} {path}")
                raise Unreachable(
                    why,
                    where=self.url,
                    mend="Check the address and the network; if both are right, try again later.",
                )
            self._pause(pause)
            slept += pause
            pause = min(2 * pause, LONGEST_PAUSE)

    def _once(
        self, method: str, path: str, params: Mapping[str, Any] | None, content: bytes | None, wait: float
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if content is not None else {}
        timeout = httpx.Timeout(30 + wait, connect=10)
        with self._http.stream(
            method, path, params=params, content=content, headers=headers, timeout=timeout
        ) as answer:
            body = bytearray()
            for part in answer.iter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise Unexpected(
                        "The answer is larger than 64 MiB.",
                        where=f"{method} {path}",
                        mend="Ask the hub's operator.",
                    )
            return answer.status_code, bytes(body)

    def _judged(self, status: int, body: bytes, where: str) -> bytes:
        if 200 <= status < 300:
            return body
        raise _problem(status, body, where)


def _problem(status: int, body: bytes, where: str) -> Problem:
    document = _document(body)
    if document is None:
        return Unexpected(
            f"Status {status} without a reason.", where=where, mend="Check that the address is a Dure hub's."
        )
    detail = str(document.get("detail", document["title"]))
    place, mend = str(document.get("where", where)), str(document.get("mend", ""))
    if status == httpx.codes.UNAUTHORIZED:
        return NoSignIn(detail, where=place, mend=mend or "Run: dure study login")
    known = from_document(document)
    return known or Unexpected(
        f"{document['title']}: {detail}", where=place, mend=mend or "Ask the hub's operator."
    )


def _document(body: bytes) -> dict[str, Any] | None:
    """The problem document in a body, if there is one."""
    try:
        document = load(body, where="the hub's answer")
    except Malformed:
        return None
    return document if isinstance(document, dict) and "title" in document else None


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "Nothing there takes the connection"
    if isinstance(error, httpx.TimeoutException):
        return "It took too long"
    return str(error).rstrip(".") or "The connection was lost"


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        address = httpx.URL("")
    if address.scheme not in {"http", "https"} or not address.host:
        raise BadAddress("It is no web address.", where=str(url)[:200], mend="Write https://hub.example.")
    if address.scheme == "http" and address.host not in LOCAL:
        raise BadAddress(
            "Without TLS anyone on the way could read the token.",
            where=str(url)[:200],
            mend="Write https://; plain http is for this machine only.",
        )
    return address
