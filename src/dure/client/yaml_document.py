"""A strict YAML document: plain values that know their line.

Responsible for: refusing what a settings file doesn't need and an attacker does (duplicate keys, aliases, tags, several
documents, great size and depth). Not responsible for: what the fields mean (`study_file`).
"""

from dataclasses import dataclass
from typing import Any

import yaml

from dure.client.problems import BadStudyFile

MOST_BYTES = 1_000_000
MOST_DEPTH = 40
PLAIN = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
OPENING = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """A mapping, and the line on which each of its fields stands.

    Attributes:
        lines: by path, from 1.
    """

    name: str
    fields: dict[str, Any]
    lines: dict[Path, int]

    def place(self, path: Path) -> str:
        """A place as people look it up: file, line, field. A field that isn't there is placed in what should hold it."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return f"{self.name}, line {self.lines.get(known, 1)}" + (f", field {field}" if field else "")


def parse(text: bytes, *, name: str) -> Document:
    """A document from untrusted bytes.

    Raises:
        BadStudyFile: with the line.
    """
    if len(text) > MOST_BYTES:
        raise BadStudyFile(
            "It is larger than 1 MB.", where=name, mend="Keep cohorts in files of their own (`file: x.json`)."
        )
    try:
        decoded = text.decode("utf-8-sig")
        _scanned(decoded, name)
        node = yaml.compose(decoded, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise BadStudyFile(
            f"Byte {error.start} isn't UTF-8.", where=f"{name}, line {line}", mend="Save the file as UTF-8."
        ) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadStudyFile(
            f"It is not YAML: {error.problem}.",
            where=f"{name}, line {line}",
            mend="Check the indentation, colons and quotes there.",
        ) from None
    except yaml.YAMLError as error:
        raise BadStudyFile(f"It is not YAML: {error}.", where=name, mend="Save it as plain text.") from None
    if not isinstance(node, yaml.MappingNode):
        raise BadStudyFile("It holds no fields.", where=name, mend="Write `title: ...` and the other fields.")
    lines: dict[Path, int] = {}
    fields = _plain(node, (), lines, name)
    return Document(name=name, fields=fields, lines=lines)


def _scanned(text: str, name: str) -> None:
    """Refuse aliases and depth token by token, before anything is built of them."""
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        place = f"{name}, line {token.start_mark.line + 1}"
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            raise BadStudyFile(
                f"Anchors and aliases (&{token.value}) are not read.",
                where=place,
                mend="Write the value out.",
            )
        depth += isinstance(token, OPENING) - isinstance(token, CLOSING)
        if depth > MOST_DEPTH:
            raise _too_deep(place)


def _plain(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN:
        raise BadStudyFile(
            f"The tag {node.tag} is not read.",
            where=f"{name}, line {node.start_mark.line + 1}",
            mend="Write a plain mapping or list.",
        )
    if isinstance(node, yaml.MappingNode):
        fields: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in fields:
                raise BadStudyFile(
                    f"The field {key!r} stands twice.", where=f"{name}, line {line}", mend="Keep one of them."
                )
            fields[key] = _plain(value_node, (*path, key), lines, name)
            lines[(*path, key)] = line
        return fields
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), lines, name) for index, item in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError) as error:
        reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise BadStudyFile(
            f"The value is not read: {reason}.",
            where=f"{name}, line {node.start_mark.line + 1}",
            mend="Write a plain text, number or list.",
        ) from None


def _too_deep(where: str) -> BadStudyFile:
    return BadStudyFile(f"Nested deeper than {MOST_DEPTH}.", where=where, mend="Flatten it.")
