"""Every failure of the network or the hub is one clear problem; what may be sent again is."""

import httpx
import pytest

from dure.client.problems import BadAddress, NoSignIn, Unexpected, Unreachable
from dure.client.transport import Transport
from dure.study.spec import BadStudy


def _transport(handler, **more):
    slept = []
    made = Transport(
        "https://hub.example",
        "secret",
        transport=httpx.MockTransport(handler),
        pause=slept.append,
        patience=5,
        **more,
    )
    return made, slept


def test_a_lost_connection_is_tried_again():
    tries = []

    def handler(request):
        tries.append(request.headers["Authorization"])
        if len(tries) < 3:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, content=b"{}")

    transport, slept = _transport(handler)
    assert transport.get("/v1/health") == b"{}"
    assert tries == ["Bearer secret"] * 3
    assert slept == [0.5, 1.0]


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 503])
def test_a_hub_that_stays_down_is_one_clear_line(failure):
    def handler(request):
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(failure)

    transport, _ = _transport(handler)
    with pytest.raises(Unreachable) as caught:
        transport.get("/v1/health")
    assert caught.value.where == "https://hub.example"


def test_the_hubs_problem_is_raised_as_it_was():
    document = BadStudy("The dates are out of order.", where="closes", mend="Close later.").document()
    transport, _ = _transport(lambda request: httpx.Response(422, json=document))
    with pytest.raises(BadStudy) as caught:
        transport.post("/v1/studies", b"{}")
    assert (caught.value.what, caught.value.where) == ("The dates are out of order.", "closes")


def test_a_problem_of_an_unknown_type_keeps_its_words():
    document = {"type": "x:y", "title": "Odd", "detail": "Very odd.", "where": "here", "mend": "Wait."}
    transport, _ = _transport(lambda request: httpx.Response(409, json=document))
    with pytest.raises(Unexpected) as caught:
        transport.get("/v1/studies")
    assert str(caught.value) == "Odd: Very odd. (here). Wait."


def test_a_wrong_token_says_to_sign_in():
    document = {"type": "x:y", "title": "Token", "detail": "The token has expired."}
    transport, _ = _transport(lambda request: httpx.Response(401, json=document))
    with pytest.raises(NoSignIn) as caught:
        transport.get("/v1/studies")
    assert "login" in caught.value.mend


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"a":1,"a":2}'])
def test_another_server_is_recognised(body):
    transport, _ = _transport(lambda request: httpx.Response(404, content=body))
    with pytest.raises(Unexpected):
        transport.get("/v1/studies")


def test_a_redirect_is_not_followed_with_the_token():
    transport, _ = _transport(
        lambda request: httpx.Response(302, headers={"Location": "https://evil.example"})
    )
    with pytest.raises(Unexpected):
        transport.get("/v1/studies")


def test_an_endless_answer_is_cut():
    transport, _ = _transport(lambda request: httpx.Response(200, content=b"x" * (64 * 2**20 + 1)))
    with pytest.raises(Unexpected):
        transport.get("/v1/studies")


@pytest.mark.parametrize("url", ["http://hub.example", "ftp://hub.example", "hub", "", "https://"])
def test_an_address_without_tls_or_sense_is_refused(url):
    with pytest.raises(BadAddress):
        Transport(url, "secret")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:1"])
def test_this_machine_needs_no_tls(url):
    Transport(url, None).close()
