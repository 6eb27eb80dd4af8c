"""The way to the hub: outbound HTTPS, through the hospital's proxy if it has one.

Responsible for: requests and answers at the hub's doors, and telling "not reached" from "said no". Not responsible for:
when to try again (`loop`), what is said (`worker`).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from dure.node.problems import BadSetup, HubRefused, HubUnreachable
from dure.wire.codec import Malformed, decode, encode, load
from dure.wire.envelope import Envelope
from dure.wire.messages import PollAnswer
from dure.wire.problems import PROBLEM_BASE

ANSWER_SECONDS = 30.0
MOST_BYTES = 256 * 2**20
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
"""Statuses that pass by themselves; every other refusal is final for what was sent."""


class HubLink:
    """A connection to one hub.

    Args:
        transport: replaces the network, for tests.
    """

    def __init__(
        self,
        hub: str,
        *,
        proxy: str | None = None,
        ca_file: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.hub = hub.rstrip("/")
        try:
            self._client = httpx.Client(
                base_url=self.hub,
                verify=_trust(ca_file) if self.hub.startswith("https:") else False,
                proxy=proxy,
                timeout=httpx.Timeout(ANSWER_SECONDS, connect=10.0),
                transport=transport,
                headers={"user-agent": "dure-node", "accept": "application/json"},
            )
        except ValueError as error:
            raise BadSetup(f"{error}", where="proxy", mend="Give one like http://proxy:3128") from None

    def close(self) -> None:
        self._client.close()

    def poll(self, sealed: Envelope, *, wait_seconds: int) -> PollAnswer:
        """What waits for this hospital. Raises HubUnreachable or HubRefused."""
        body = self._ask("POST", "/v1/node/poll", encode(sealed), within=wait_seconds + ANSWER_SECONDS)
        return decode(PollAnswer, body, where="the hub's answer to a poll")

    def directory(self) -> Envelope:
        """The sealed directory, unverified. Raises as `poll`."""
        return decode(Envelope, self._ask("GET", "/v1/directory"), where="the hub's directory")

    def post(self, door: str, body: bytes) -> None:
        """Hand something in. Raises as `poll`."""
        self._ask("POST", door, body)

    def clock_difference(self) -> timedelta:
        """This machine's clock less the hub's. Raises as `poll`."""
        told = load(self._ask("GET", "/v1/health"), where="the hub's health")
        try:
            hub = datetime.fromisoformat(told["now"])
            return datetime.now(UTC) - hub
        except (TypeError, KeyError, ValueError):
            raise HubRefused(
                "Something answers there that is no hub of Dure.", where=self.hub, mend="Check the address."
            ) from None

    def _ask(
        self, method: str, door: str, body: bytes | None = None, *, within: float = ANSWER_SECONDS
    ) -> bytes:
        here = f"{method} {self.hub}{door}"
        try:
            with self._client.stream(
                method,
                door,
                content=body,
                headers={"content-type": "application/json"} if body is not None else {},
                timeout=httpx.Timeout(within, connect=10.0),
            ) as answer:
                data = _read(answer, here)
        except (httpx.ProxyError, httpx.UnsupportedProtocol) as error:
            raise HubUnreachable(
                f"The proxy doesn't let it through: {type(error).__name__}.",
                where=here,
                mend="Check `proxy` in node.yaml, or HTTPS_PROXY, with whoever runs the proxy.",
            ) from error
        except httpx.HTTPError as error:
            certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
            raise HubUnreachable(
                "The hub's certificate isn't trusted."
                if certificate
                else f"No answer: {type(error).__name__}.",
                where=here,
                mend="Name the certificates to trust in node.yaml, ca_file."
                if certificate
                else "Check the address and the network; the node tries again by itself.",
            ) from error
        if answer.is_success:
            return data
        raise _refusal(answer.status_code, data, here)


def passes(problem: HubRefused | HubUnreachable) -> bool:
    """Whether a refusal passes by itself, so that the same is tried again."""
    return isinstance(problem, HubUnreachable) or problem.http_status in AGAIN


def _read(answer: httpx.Response, here: str) -> bytes:
    data = bytearray()
    for part in answer.iter_bytes():
        data += part
        if len(data) > MOST_BYTES:
            raise HubRefused(
                f"The answer is longer than {MOST_BYTES} bytes.", where=here, mend="Ask whoever runs the hub."
            )
    return bytes(data)


def _refusal(status: int, data: bytes, here: str) -> HubRefused:
    """What the hub said, from its problem document if it sent one."""
    try:
        document: Any = load(data, where=here)
    except Malformed:
        document = None
    if not isinstance(document, dict):
        document = {}
    return HubRefused(
        str(document.get("detail") or f"It answered {status}."),
        where=str(document.get("where") or here),
        mend=str(document.get("mend") or "Check the address; ask whoever runs the hub."),
        told=str(document.get("type", "")).removeprefix(PROBLEM_BASE),
        http_status=status,
    )


def _trust(ca_file: str | None) -> Any:
    import ssl

    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise BadSetup(
            f"{ca_file} holds no certificates.", where="ca_file", mend="Give a file of PEM certificates."
        ) from None
