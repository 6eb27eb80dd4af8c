"""The asker's key is private, whole, and never overwritten."""

import stat

import pytest

from dure.client import keys, login
from dure.client.problems import BadKeyFile, NoSignIn, Unwritable


def test_a_key_is_kept_for_its_owner_only():
    made = keys.new()
    assert stat.S_IMODE(keys.key_path().stat().st_mode) == 0o600
    assert keys.read().private_bytes_raw() == made.private_bytes_raw()
    assert [path.name for path in keys.folder().iterdir()] == ["asker.key"]


def test_a_key_is_never_replaced():
    first = keys.new()
    with pytest.raises(Unwritable):
        keys.new()
    assert keys.read().private_bytes_raw() == first.private_bytes_raw()
    assert [path.name for path in keys.folder().iterdir()] == ["asker.key"]


def test_a_key_that_others_may_read_is_refused():
    keys.new()
    keys.key_path().chmod(0o644)
    with pytest.raises(BadKeyFile) as caught:
        keys.read()
    assert "chmod 600" in caught.value.mend


@pytest.mark.parametrize(
    "text", [b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_another_file_is_no_key(tmp_path, text):
    path = tmp_path / "k"
    keys.keep(path, text, replace=False)
    with pytest.raises(BadKeyFile):
        keys.read(path)


def test_a_missing_key_says_how_to_make_one():
    with pytest.raises(BadKeyFile) as caught:
        keys.read()
    assert "dure study key new" in caught.value.mend


def test_a_sign_in_is_kept_and_found():
    login.keep(login.Login(hub="https://a.example", token="t", root="r"))
    assert stat.S_IMODE(login.path().stat().st_mode) == 0o600
    assert login.found(hub=None, token=None, root=None) == login.Login(
        hub="https://a.example", token="t", root="r"
    )


def test_a_kept_token_goes_to_its_own_hub_only():
    login.keep(login.Login(hub="https://a.example", token="t", root="r"))
    with pytest.raises(NoSignIn):
        login.found(hub="https://b.example", token=None, root=None)


def test_what_is_given_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("DURE_HUB", "https://env.example")
    monkeypatch.setenv("DURE_TOKEN", "from-env")
    assert login.found(hub=None, token="given", root=None) == login.Login(
        hub="https://env.example", token="given"
    )


def test_a_broken_sign_in_is_said():
    keys.keep(login.path(), b"{", replace=True)
    with pytest.raises(NoSignIn):
        login.read()
