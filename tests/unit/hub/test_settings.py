"""The hub's settings: defaults, what wins over what, and errors that name the place."""

import stat

import pytest

from dure.hub import server, settings
from dure.hub.problems import BadSettings
from dure.hub.store.database import open_store
from dure.wire.envelope import BadKey


def test_defaults_are_an_sqlite_file_in_the_folder(tmp_path):
    settings.write(tmp_path, database=None, root_key=None)
    told = settings.load(tmp_path, {})
    assert told.database == f"sqlite:///{tmp_path / 'hub.sqlite'}"
    assert told.root_key is None


def test_the_environment_wins(tmp_path):
    settings.write(tmp_path, database="sqlite:////elsewhere", root_key=None)
    told = settings.load(tmp_path, {settings.DATABASE: "postgresql://x@y/z"})
    assert told.database == "postgresql://x@y/z"


def test_only_the_owner_reads_them(tmp_path):
    path = settings.write(tmp_path, database=None, root_key=None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patience = 3", "hub.toml, patience"),
        ("patience_seconds = 'long'", "hub.toml, patience_seconds"),
        ("patience_seconds = 0", "patience_seconds"),
        ("patience_seconds =", "hub.toml"),
        ("token_hours = 1.5", "hub.toml, token_hours"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, says):
    (tmp_path / settings.FILE).write_text(text)
    with pytest.raises(BadSettings) as caught:
        settings.load(tmp_path, {})
    assert says in caught.value.where


def test_a_root_key_that_is_none_is_refused(tmp_path):
    (tmp_path / settings.FILE).write_text('root_key = "hello"')
    with pytest.raises(BadKey):
        settings.load(tmp_path, {})


def test_a_folder_without_a_hub_says_how_to_make_one(tmp_path):
    with pytest.raises(BadSettings, match="dure hub init"):
        settings.load(tmp_path, {})


@pytest.mark.parametrize("address", ["", "hub.sqlite", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_other_addresses_are_no_database(address):
    with pytest.raises(BadSettings, match="SQLite"):
        open_store(address)


def test_a_hub_that_cannot_be_made_leaves_no_settings_behind(tmp_path):
    folder = tmp_path / "hub"
    with pytest.raises(BadSettings, match="does not open"):
        server.make(folder, database=f"sqlite:///{tmp_path}/missing/hub.sqlite", root_key=None)
    assert not (folder / settings.FILE).exists()
    server.make(folder, database=None, root_key=None)
    with pytest.raises(BadSettings, match="already"):
        server.make(folder, database=None, root_key=None)
