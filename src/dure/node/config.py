"""node.yaml: what a hospital sets, and what was fixed when its node was made.

Responsible for: reading and writing it strictly. Not responsible for: keys (`keys`), what has happened (`journal`).
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from dure.node.budget import Budget
from dure.node.problems import BadSetup, NoNode
from dure.wire.codec import decode, encode, message
from dure.wire.messages import Provenance
from dure.wire.rules import Mode, Rules

FILE = "node.yaml"
ID = re.compile(r"[a-z][a-z0-9-]{1,30}")
HEAD = """\
# This hospital's node. `rules` are the least it accepts. `auto_sign` is a standing yes, off where it is null:
#   auto_sign: {kinds: [feasibility], purposes: [research, safety], modes: [total], askers: [maker]}
# signs by itself what fits every one of the four lists, and nothing else; it needs the board key on this machine.
# Totals carry noise where `rules` say so, as in  noise: {epsilon: 1.0, delta: 1.0e-6, colluders: 0}  and `budget` is what noised
# answers may tell in all, as in  {epsilon: 10.0, delta: 1.0e-6}  (docs/noise.md).
"""


@message
class AutoSign:
    """A standing yes: studies that fit every list are signed without a person. A purpose is as in `Purpose`."""

    kinds: tuple[str, ...]
    purposes: tuple[str, ...]
    modes: tuple[Mode, ...]
    askers: tuple[str, ...]


@message
class NodeConfig:
    """A node's settings.

    Attributes:
        root_key: the pinned key of whoever signs the directory.
        cdm: where the database is, as `dure.engines.open_engine` takes it. The extractor reaches what it names and nothing else.
        provenance: as the board declared it.
        budget: what noised answers may tell in all; without one there are none.
        board_key: the board's public key; the private one may be elsewhere.
        proxy: an HTTP proxy's address; null: as HTTPS_PROXY and NO_PROXY say.
        ca_file: certificates to trust instead of the usual ones, such as those of the hospital's own proxy.
        wait_seconds: how long one poll may wait at the hub.
        idle_minutes: after how long without work the node gives its memory back, the extractor's and calculator's too.
        memory: the most memory for the database, and for the calculator.
        work_minutes: how long one answer may take.
    """

    hub: str
    hospital: str
    name: str
    affiliation: str
    root_key: str
    board_key: str
    cdm: str
    provenance: Provenance
    rules: Rules = Rules()
    auto_sign: AutoSign | None = None
    budget: Budget | None = None
    proxy: str | None = None
    ca_file: str | None = None
    insecure_http: bool = False
    wait_seconds: int = 25
    idle_minutes: int = 10
    memory: str = "2GB"
    work_minutes: int = 60


def read(folder: Path) -> NodeConfig:
    """The settings of the node in a folder.

    Raises:
        NoNode: there is none.
        BadSetup, Malformed: the file isn't YAML, or a field isn't what it should be.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise NoNode(
            f"{folder} holds no {FILE}.",
            where=str(path),
            mend="Name a node's folder, or make one: dure node init",
        ) from None
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f":{mark.line + 1}"
        raise BadSetup(
            f"{FILE} isn't YAML.", where=f"{path}{line}", mend="Mend that line; check its indentation."
        ) from None
    config: NodeConfig = decode(NodeConfig, json.dumps(plain, default=str).encode(), where=str(path))
    check(config, where=str(path))
    return config


def write(folder: Path, config: NodeConfig) -> None:
    """Write the settings, readable by their owner."""
    plain: Mapping[str, Any] = json.loads(encode(config))
    path = folder / FILE
    path.touch(mode=0o600)
    path.write_text(HEAD + yaml.safe_dump(dict(plain), sort_keys=False, allow_unicode=True), encoding="utf-8")


def check(config: NodeConfig, *, where: str) -> None:
    """Raise BadSetup where the settings can't be worked with."""
    if not ID.fullmatch(config.hospital):
        raise BadSetup(
            f"{config.hospital!r} can't name a hospital.",
            where=f"{where}, hospital",
            mend="Use 2 to 31 small letters, digits and hyphens, a letter first.",
        )
    if config.rules.off and config.provenance is Provenance.REAL:
        raise BadSetup(
            "The rules of disclosure are off for real data.",
            where=f"{where}, rules",
            mend="Give least_people of 2 or more (11 is usual), or declare the data public or synthetic.",
        )
    for name, least in (("wait_seconds", 0), ("idle_minutes", 0), ("work_minutes", 1)):
        if getattr(config, name) < least:
            raise BadSetup(f"{name} is too small.", where=f"{where}, {name}", mend=f"Give {least} or more.")
    if config.cdm.partition(":")[0].lower() in {"spark", "sc"}:
        raise BadSetup(
            "A node can't read through Spark, which starts programs and opens sockets while it works.",
            where=f"{where}, cdm",
            mend="Point it at a DuckDB file or at PostgreSQL (see docs/engines.md).",
        )
    check_address(config.hub, insecure_http=config.insecure_http, where=f"{where}, hub")


def check_address(hub: str, *, insecure_http: bool, where: str) -> None:
    """Raise BadSetup where the hub's address isn't https://, or http:// to this machine."""
    parts = urlsplit(hub)
    if parts.scheme == "https" and parts.hostname and not parts.query:
        return
    if parts.scheme != "http" or not parts.hostname:
        raise BadSetup(
            f"{hub!r} is no hub's address.", where=where, mend="Give one like https://hub.example.org"
        )
    if not insecure_http and not _is_this_machine(parts.hostname):
        raise BadSetup(
            "Over http:// anyone on the way can read what is sent.",
            where=where,
            mend="Use https://, or add --insecure-http where the way is safe otherwise.",
        )


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
