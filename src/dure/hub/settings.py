"""The hub's settings: `hub.toml` in its folder, and two environment variables that win over it.

Responsible for: names, defaults, clear errors. Not responsible for: what they do.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from dure.hub.problems import BadSettings
from dure.wire.envelope import public_key

FILE = "hub.toml"
DATABASE = "DURE_HUB_DATABASE"
ROOT_KEY = "DURE_HUB_ROOT_KEY"
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator sets.

    Attributes:
        database: URL; where it is missing, `hub.sqlite` in the folder.
        root_key: the public key whose directories are accepted.
        patience_seconds: how long an exchange of a run waits for a hospital.
        sweep_seconds: how often closed offers and passed deadlines are looked for.
        token_hours: how long a sign-in lasts.
        largest_message: bytes of a node's answer; every other body may have `MEBIBYTE` times four.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    database: str
    root_key: str | None = None
    patience_seconds: int = 600
    sweep_seconds: float = 1.0
    token_hours: int = 12
    largest_message: int = 64 * MEBIBYTE

    def __post_init__(self) -> None:
        """Raise BadSettings for a value without meaning, BadKey for a root key that is none."""
        for name in ("patience_seconds", "sweep_seconds", "token_hours", "largest_message"):
            if getattr(self, name) <= 0:
                raise BadSettings(
                    f"{name} is {getattr(self, name)}.", where=name, mend="Give a number above zero."
                )
        if self.root_key is not None:
            public_key(self.root_key)


def load(folder: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the hub in a folder.

    Raises:
        BadSettings: no such folder or file, not TOML, an unknown name, a wrong type.
    """
    path = folder / FILE
    try:
        told: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadSettings(
            "There is no hub here.", where=str(path), mend=f"Run: dure hub init --folder {folder}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadSettings(str(error), where=str(path), mend="Mend the file: it is TOML, in UTF-8.") from None
    told.setdefault("database", default_database(folder))
    try:
        settings = TypeAdapter(Settings).validate_json(json.dumps(told, default=str))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadSettings(
            first["msg"],
            where=f"{path}, {'.'.join(str(part) for part in first['loc'])}",
            mend="docs/hub.md lists the settings and their types.",
        ) from None
    if DATABASE in environment:
        settings = replace(settings, database=environment[DATABASE])
    if ROOT_KEY in environment:
        settings = replace(settings, root_key=environment[ROOT_KEY])
    return settings


def default_database(folder: Path) -> str:
    """The SQLite file in a hub's folder, as a URL."""
    return f"sqlite:///{(folder / 'hub.sqlite').resolve()}"


def prepare(folder: Path) -> None:
    """Make the folder of a new hub, for its owner only.

    Raises:
        BadSettings: there is a hub already, or the folder can't be made.
    """
    path = folder / FILE
    if path.exists():
        raise BadSettings(
            "A hub is here already.", where=str(path), mend="Choose another folder, or edit this file."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadSettings(
            f"The folder cannot be made: {error.strerror}.", where=str(folder), mend="Choose another."
        ) from None


def write(folder: Path, *, database: str | None, root_key: str | None) -> Path:
    """Write a new hub's `hub.toml`, readable by its owner only."""
    path = folder / FILE
    told = {"database": database, "root_key": root_key}
    lines = [f"{name} = {_quoted(value)}\n" for name, value in told.items() if value is not None]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(["# The hub's settings: docs/hub.md lists them all.\n", *lines])
    return path


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
