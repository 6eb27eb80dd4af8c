"""What pages link to is here, unchanged, and names nothing outside."""

import hashlib
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import dure
from dure.look import assets

VENDOR = files("dure.look") / "vendor"
TEMPLATES = sorted(Path(dure.__file__).parent.rglob("templates/*.html"))


def test_vendored_files_are_what_vendor_toml_says():
    listed = tomllib.loads((VENDOR / "VENDOR.toml").read_text())["file"]
    for entry in listed:
        assert hashlib.sha256((VENDOR / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
        assert (VENDOR / entry["licence_file"]).is_file()
        assert entry["licence"]
        assert entry["version"]
    known = {"VENDOR.toml"} | {entry[key] for entry in listed for key in ("path", "licence_file")}
    assert {path.name for path in VENDOR.iterdir()} == known


@pytest.mark.parametrize("name", assets.NAMES)
def test_an_asset_has_content_and_a_version(name):
    asset = assets.asset(name)
    assert asset.body
    assert assets.version(name)


def test_another_name_is_no_asset():
    for name in ("../words.py", "", "VENDOR.toml"):
        with pytest.raises(KeyError):
            assets.asset(name)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_outside_address_and_nothing_inline(template):
    text = template.read_text()
    assert not re.search(r"https?://|//[a-z]", text)
    assert not re.search(r"\son[a-z]+=", text)
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "|safe" not in text


@pytest.mark.parametrize("name", ["tokens.css", "base.css", "charts.js"])
def test_styles_and_scripts_have_no_outside_address(name):
    assert not re.search(rb"https?://|@import|url\(", assets.asset(name).body)


def test_charts_and_tokens_share_their_colours():
    from dure.look.drawing import COLOURS

    tokens = assets.asset("tokens.css").body.decode()
    light, dark = tokens.split("@media (prefers-color-scheme: dark)")
    for colours, text in ((COLOURS["light"], light), (COLOURS["dark"], dark)):
        for name in ("ink", "soft", "line", "accent"):
            assert f"--{name}: {getattr(colours, name)};" in text
