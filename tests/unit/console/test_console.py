"""The board's desk lets in who was given its address, and nobody else; and does what the commands do."""

import pytest

from dure.console.app import COOKIE, create
from dure.node.journal import Journal
from dure.wire.envelope import peek
from dure.wire.messages import Permit

HERE = "http://127.0.0.1"


def decision(desk):
    journal = Journal(desk.folder)
    found = journal.decision(desk.study)
    letters = journal.to_send()
    journal.close()
    return found, letters


def test_without_the_key_nothing_is_shown(desk):
    desk.browser.cookies.clear()
    for method, path in (
        ("GET", "/"),
        ("GET", "/?key=wrong"),
        ("GET", f"/requests/{desk.study}"),
        ("POST", f"/requests/{desk.study}/sign"),
        ("POST", f"/requests/{desk.study}/decline"),
    ):
        answer = desk.browser.ask(method, path, origin=HERE)
        assert answer.status_code == 403
        assert "Ages" not in answer.text
    assert decision(desk) == (None, [])


def test_the_key_becomes_a_cookie_that_other_sites_cannot_send(desk):
    answer = desk.browser.ask("GET", "/?key=right")
    assert answer.status_code == 303
    assert f"{COOKIE}=right" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert "httponly" in answer.headers["set-cookie"].lower()
    page = desk.browser.ask("GET", "/")
    assert page.status_code == 200
    assert "Nothing has left this hospital." in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_another_host_name_is_refused(desk):
    assert desk.browser.ask("GET", "/?key=right", host="evil.example").status_code == 400


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9999", "https://evil.example", "null", ""])
def test_a_form_of_another_page_decides_nothing_even_with_the_cookie(desk, origin):
    """Every port of a machine is the same site to a cookie, so the origin has to be looked at."""
    headers = {"origin": origin} if origin else {}
    answer = desk.browser.ask("POST", f"/requests/{desk.study}/sign", data={}, **headers)
    assert answer.status_code == 403
    assert decision(desk) == (None, [])


def test_a_request_is_shown_in_plain_words_and_its_text_is_text(desk):
    page = desk.browser.ask("GET", f"/requests/{desk.study}").text
    for words in ("celecoxib", "safety: A test.", "What would leave", "only the whole network"):
        assert words in page
    assert "Ages of &lt;script&gt;" in page
    assert "&lt;b&gt;Maker&lt;/b&gt;" in page
    assert "<script>" not in page.replace('<script src="', "")


def test_signing_puts_the_permit_into_the_outbox_once(desk):
    answer = desk.browser.ask("POST", f"/requests/{desk.study}/sign", data={}, origin=HERE)
    assert answer.status_code == 303
    found, letters = decision(desk)
    assert peek(Permit, found.envelope, where="").study == desk.study
    assert (found.yes, found.who, len(letters)) == (True, "board", 1)
    again = desk.browser.ask("POST", f"/requests/{desk.study}/sign", data={}, origin=HERE)
    assert again.status_code == 404
    assert "decided before" in again.text
    assert len(decision(desk)[1]) == 1
    assert "signed" in desk.browser.ask("GET", f"/requests/{desk.study}").text


def test_declining_needs_a_reason(desk):
    path = f"/requests/{desk.study}/decline"
    assert desk.browser.ask("POST", path, data={}, origin=HERE).status_code == 422
    assert decision(desk) == (None, [])
    assert desk.browser.ask("POST", path, data={"reason": "Not our field."}, origin=HERE).status_code == 303
    assert decision(desk)[0].yes is False


@pytest.mark.parametrize(
    ("form", "status", "says"),
    [
        ({"passphrase": "field"}, 409, "explicit yes"),
        ({"consent": "yes"}, 422, "needs its passphrase"),
        ({"consent": "yes", "passphrase": "meadow"}, 422, "open"),
    ],
)
def test_consent_and_passphrase_are_asked_for(locked_desk, form, status, says):
    answer = locked_desk.browser.ask("POST", f"/requests/{locked_desk.study}/sign", data=form, origin=HERE)
    assert answer.status_code == status
    assert says in answer.text
    assert decision(locked_desk) == (None, [])


def test_with_consent_and_passphrase_it_is_signed(locked_desk):
    page = locked_desk.browser.ask("GET", f"/requests/{locked_desk.study}").text
    assert 'name="consent"' in page
    assert 'type="password"' in page
    form = {"consent": "yes", "passphrase": "field"}
    answer = locked_desk.browser.ask("POST", f"/requests/{locked_desk.study}/sign", data=form, origin=HERE)
    assert answer.status_code == 303
    assert decision(locked_desk)[0].yes is True


def test_without_the_board_key_the_way_to_sign_elsewhere_is_told(desk):
    (desk.folder / "board.key").unlink()
    page = desk.browser.ask("GET", f"/requests/{desk.study}").text
    assert "dure node sign --prepare" in page
    assert "<form" not in page


def test_a_request_that_is_not_there_says_so(desk):
    answer = desk.browser.ask("GET", "/requests/abcd1234")
    assert answer.status_code == 404
    assert "abcd1234" in answer.text


def test_a_folder_that_is_no_node_serves_nothing(tmp_path):
    with pytest.raises(Exception, match=r"node\.yaml"):
        create(tmp_path, key="right")
