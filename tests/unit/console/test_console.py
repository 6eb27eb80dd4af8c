"""The board's desk lets in who was given its address, and nobody else."""

import asyncio

import httpx
import pytest

from dure.console.app import COOKIE, create


class Browser:
    """Asks the application in this process, and keeps its cookies."""

    def __init__(self, app):
        self.app, self.cookies = app, httpx.Cookies()

    def ask(self, method, path, **headers):
        async def once():
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, headers=headers)
                self.cookies.update(client.cookies)
                return answer

        return asyncio.run(once())


@pytest.fixture
def console(tmp_path):
    """The pages of a node that hasn't been listed yet."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dure.node import config, keys
    from dure.node.config import NodeConfig
    from dure.node.journal import Journal
    from dure.wire.envelope import public_text
    from dure.wire.messages import Provenance

    board = keys.make(tmp_path / "board.key")
    keys.make(tmp_path / "node.key")
    root = public_text(Ed25519PrivateKey.generate())
    told = NodeConfig(
        hub="https://hub.example",
        hospital="hanbit",
        name="Hanbit",
        affiliation="hanbit",
        root_key=root,
        board_key=public_text(board),
        cdm="x.duckdb",
        provenance=Provenance.SYNTHETIC,
    )
    config.write(tmp_path, told)
    Journal(tmp_path, make=True).close()
    return Browser(create(tmp_path, key="right"))


def test_without_the_key_nothing_is_shown(console):
    assert console.ask("GET", "/").status_code == 403
    assert console.ask("GET", "/?key=wrong").status_code == 403
    assert console.ask("POST", "/requests/sha256:00/sign").status_code == 403


def test_the_key_becomes_a_cookie_that_other_sites_cannot_send(console):
    answer = console.ask("GET", "/?key=right")
    assert answer.status_code == 303
    assert f"{COOKIE}=right" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    page = console.ask("GET", "/")
    assert page.status_code == 200
    assert "Nothing has left this hospital." in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_another_host_name_is_refused(console):
    assert console.ask("GET", "/?key=right", host="evil.example").status_code == 400


def test_a_request_that_is_not_there_says_so(console):
    console.ask("GET", "/?key=right")
    answer = console.ask("GET", "/requests/abcd1234")
    assert answer.status_code == 404
    assert "abcd1234" in answer.text
