"""Whatever is sent to a door, the hub answers with a problem document and never with an error of its own."""

import secrets

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dure.hub.actions.accounts import UserRole
from dure.wire.codec import encode

DOORS = [
    ("PUT", "/v1/directory"),
    ("POST", "/v1/enrolments"),
    ("POST", "/v1/declarations"),
    ("POST", "/v1/node/poll"),
    ("POST", "/v1/node/decisions"),
    ("POST", "/v1/node/answers"),
    ("POST", "/v1/sessions"),
    ("POST", "/v1/studies"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def spoilt(seed: bytes) -> st.SearchStrategy[bytes]:
    """A true message with some bytes replaced, removed or put in."""
    edit = st.tuples(st.integers(0, len(seed)), st.integers(0, 8), st.binary(max_size=8))
    return st.lists(edit, min_size=1, max_size=3).map(lambda edits: _edited(seed, edits))


def _edited(seed: bytes, edits) -> bytes:
    for place, gone, put in edits:
        seed = seed[:place] + put + seed[place + gone :]
    return seed


def bodies(served) -> st.SearchStrategy[bytes]:
    import json

    network = served.network
    aram = network.hospitals["aram"]
    study = network.study()
    true = [aram.poll(), study, aram.permit(study, network.asker), aram.enrolment(), network.directory()]
    return (
        st.binary(max_size=200)
        | JSON.map(lambda value: json.dumps(value).encode())
        | st.sampled_from([encode(one) for one in true]).flatmap(spoilt)
    )


def attack(served, examples: int) -> None:
    headers = {"authorization": served.user("ada@example.org")}
    regulator = {
        "authorization": served.user("reg@ministry.example", organisation="ministry", role=UserRole.REGULATOR)
    }

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(door=st.sampled_from(DOORS), body=bodies(served))
    def message(door, body):
        reply = served.http.request(*door, content=body, headers=headers)
        assert reply.status_code < 500, (door, body, reply.text)
        if reply.status_code >= 400:
            assert reply.headers["content-type"] == "application/problem+json"

    numbers = st.integers(-5, 2**70).map(str) | st.text(st.characters(codec="ascii"), max_size=12)

    @settings(
        max_examples=examples // 2, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(
        door=st.sampled_from(
            ["/v1/log/entries", "/v1/log/proof", "/v1/studies/x/events", "/v1/studies/%00/report"]
        ),
        query=st.dictionaries(st.sampled_from(["after", "size", "entry", "old"]), numbers),
    )
    def question(door, query):
        for who in (headers, regulator):
            reply = served.http.get(door, params=query, headers=who)
            assert reply.status_code < 500, (door, query, reply.text)

    message()
    question()


def test_no_message_breaks_the_hub(served):
    attack(served, 150)


@pytest.mark.slow
def test_no_message_of_many_breaks_the_hub(served):
    attack(served, 5000)


def test_a_control_character_in_a_signed_text_is_refused_for_good(served):
    """A 5xx would make a node send it again for ever."""
    token = served.user("ada@example.org")
    study = served.network.study()
    served.submit(study, token)
    aram = served.network.hospitals["aram"]
    aram.declines = "No\x00"
    reply = served.http.post("/v1/node/decisions", content=encode(aram.decide(study, served.network.asker)))
    assert reply.status_code in (204, 422)
    assert served.http.get("/v1/studies/%00", headers={"authorization": token}).status_code in (404, 422)


def test_wild_methods_and_paths_are_problems_too(served):
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        for path in ("/v1", "/v1/nope", "/v1/studies/..%2f..", "/v1/health", f"/{secrets.token_hex(200)}"):
            reply = served.http.request(method, path)
            assert reply.status_code < 500
            if reply.status_code >= 400:
                assert reply.headers["content-type"] == "application/problem+json"
