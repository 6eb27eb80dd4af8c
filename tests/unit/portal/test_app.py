"""Pages without a browser: headers, cookies, foreign forms, problems as pages, and doors that stay doors."""

from datetime import UTC, datetime
from functools import partial

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from dure.hub.actions import accounts
from dure.hub.actions.accounts import UserRole
from dure.hub.settings import Settings
from dure.look.assets import CONTENT_SECURITY_POLICY
from dure.portal.app import create
from dure.portal.page import inner_path

PASSWORD = "correct horse battery"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = {"Origin": "https://hub.example"}


@pytest.fixture
def app(tmp_path):
    """A hub with pages and one user, and no directory yet."""
    made = create(Settings(database=f"sqlite:///{tmp_path}/hub.sqlite"))
    hub = made.state.hub
    hub.writes(accounts.add_organisation, name="aram", title="Aram", now=NOW)
    hub.writes(
        accounts.add_user,
        email="a@example.org",
        organisation="aram",
        role=UserRole.ASKER,
        password_hash=accounts.hash_password(PASSWORD),
        now=NOW,
    )
    yield made
    hub.store.close()


class Door:
    """A reader over TLS, in this process: keeps cookies, follows nothing. Its loop has a thread of its own."""

    def __init__(self, app, portal):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="https://hub.example")
        self._portal = portal
        self.cookies = self._client.cookies

    def get(self, path, **more):
        return self._portal.call(partial(self._client.get, path, **more))

    def post(self, path, **more):
        return self._portal.call(partial(self._client.post, path, **more))

    def close(self):
        self._portal.call(self._client.aclose)


@pytest.fixture
def door(app):
    with start_blocking_portal() as portal:
        opened = Door(app, portal)
        yield opened
        opened.close()


def _sign_in(door, **more):
    fields = {"email": "a@example.org", "password": PASSWORD, **more}
    return door.post("/signin", data=fields, headers=HERE)


@pytest.mark.parametrize("path", ["/signin", "/rules", "/nothing", "/studies/x/charts/none.svg"])
def test_every_page_has_its_headers(door, path):
    headers = door.get(path).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "unsafe" not in headers["content-security-policy"]


def test_over_tls_the_cookie_is_for_this_host_and_no_script(door):
    answer = _sign_in(door)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-dure=")
    for part in ("HttpOnly", "SameSite=strict", "Secure", "Path=/"):
        assert part in cookie
    assert door.get("/studies").status_code == 200


def test_signing_out_ends_the_token_itself(door):
    _sign_in(door)
    token = door.cookies["__Host-dure"]
    assert door.post("/signout", headers=HERE).headers["location"] == "/signin"
    assert door.get("/v1/studies", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("path", ["/studies", "/studies/x", "/hospitals", "/log", "/studies/x/report.html"])
def test_who_is_not_signed_in_is_asked_to(door, path):
    answer = door.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/signin?next={path}"


def test_a_cookie_is_no_key_to_the_api(door):
    _sign_in(door)
    assert door.get("/v1/studies").status_code == 401


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
@pytest.mark.parametrize("path", ["/signin", "/signout"])
def test_a_form_from_another_site_is_refused(door, path, headers):
    assert (
        door.post(path, data={"email": "a@example.org", "password": PASSWORD}, headers=headers).status_code
        == 403
    )


def test_a_wrong_password_says_not_which_half(door):
    texts = {
        door.post("/signin", data={"email": email, "password": "x"}, headers=HERE).text.replace(email, "")
        for email in ("a@example.org", "nobody@example.org")
    }
    assert len(texts) == 1
    assert "The e-mail address or the password is wrong." in texts.pop()


def test_guessing_is_stopped(door):
    codes = [_sign_in(door, password="x").status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]


def test_a_long_form_is_refused(door):
    assert _sign_in(door, email="x" * 20_000).status_code == 413


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ("/studies/x", "/studies/x"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
    ],
)
def test_one_only_goes_on_to_this_site(wish, path):
    assert inner_path(wish) == path


def test_what_a_reader_sends_is_escaped(door):
    answer = door.post("/signin", data={"email": '"><script>', "password": "x"}, headers=HERE)
    assert "<script>" not in answer.text


def test_a_problem_is_a_page_for_readers_and_a_document_for_programs(door):
    _sign_in(door)
    page = door.get("/hospitals")
    assert page.status_code == 503
    assert "The root has not signed a key directory yet." in page.text
    assert page.headers["content-type"].startswith("text/html")
    document = door.get("/v1/directory")
    assert document.status_code == 503
    assert document.headers["content-type"] == "application/problem+json"
    assert door.get("/v1/nothing").headers["content-type"] == "application/problem+json"


def test_an_error_nobody_foresaw_is_a_page_without_its_inside(app, door):
    @app.get("/broken")
    def broken():
        raise ZeroDivisionError("secret")

    answer = door.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "Nothing was half done." in answer.text
    assert "secret" not in answer.text


def test_an_asker_may_not_read_the_log(door):
    _sign_in(door)
    assert door.get("/log").status_code == 403


def test_assets_are_kept_by_their_content(door):
    first = door.get("/look/base.css")
    assert "immutable" in first.headers["cache-control"]
    again = door.get("/look/base.css", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert door.get("/look/..%2Fwords.py").status_code == 404
    assert door.get("/look/words.py").status_code == 404


def test_the_language_asked_for_is_kept(door):
    assert 'lang="ko"' in door.get("/signin?lang=ko").text
    assert 'lang="ko"' in door.get("/signin").text
    assert 'lang="en"' in door.get("/signin?lang=en").text
