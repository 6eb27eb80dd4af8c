"""The one codec for all that is stored, sent or signed: strict JSON to and from frozen dataclasses.

Responsible for: refusing unknown fields, wrong types, duplicate keys, NaN and deep nesting, and naming the place.
Not responsible for: signatures (`envelope`), content ids (`digest`) of things that aren't bytes.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, dataclass_transform

from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError

from dure.wire.problems import Problem

T = TypeVar("T")
MAX_DEPTH = 64
Moment = AwareDatetime
"""A time with its offset from UTC. One without would be another moment on every machine, and can't be compared."""
STRICT = ConfigDict(
    extra="forbid",
    strict=True,
    arbitrary_types_allowed=True,
    allow_inf_nan=False,
    ser_json_bytes="base64",
    val_json_bytes="base64",
)


class Malformed(Problem):
    """Bytes that aren't what they should be."""

    slug, title, status, exit_code = "malformed", "This is not a message that Dure understands", 422, 50


@dataclass_transform(frozen_default=True, kw_only_default=True)
def message(cls: type[T]) -> type[T]:
    """A frozen keyword-only dataclass that the codec reads strictly."""
    cls.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
    return dataclass(frozen=True, kw_only=True)(cls)


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def encode(value: Any, kind: Any = None) -> bytes:
    """Compact UTF-8 JSON of a message. `kind` is needed only where the value's class doesn't say it (unions)."""
    return _adapter(kind if kind is not None else type(value)).dump_json(value)


def decode(kind: type[T] | Any, data: bytes, *, where: str) -> T:
    """A message from untrusted bytes.

    Args:
        where: what the bytes are, for the error ("the body of POST /v1/studies").

    Raises:
        Malformed: not JSON, duplicate keys, NaN, nested deeper than 64, or not exactly `kind`.
    """
    load(data, where=where)
    try:
        return _adapter(kind).validate_json(data)  # type: ignore[no-any-return]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"])
        raise Malformed(
            first["msg"], where=f"{where}, {path}", mend="Send exactly the fields that the manual lists."
        ) from None


def load(data: bytes, *, where: str) -> Any:
    """Plain JSON from untrusted bytes, with duplicate keys, NaN and deep nesting refused.

    Raises:
        Malformed: as `decode`.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) != len(pairs):
            names = [key for key, _ in pairs]
            again = next(key for key in names if names.count(key) > 1)
            raise Malformed(f"The key {again!r} stands twice.", where=where, mend="Keep one of them.")
        return keys

    def refuse(token: str) -> NoReturn:
        raise Malformed(
            f"{token} is not a number in JSON.", where=where, mend="Send a finite number or null."
        )

    def finite(text: str) -> float:
        number = float(text)
        return number if math.isfinite(number) else refuse(text)

    try:
        value = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse, parse_float=finite)
    except RecursionError:
        raise _too_deep(where) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise Malformed(f"Not JSON: {error}.", where=where, mend="Send UTF-8 JSON.") from None
    if _depth(value) > MAX_DEPTH:
        raise _too_deep(where)
    return value


def _too_deep(where: str) -> Malformed:
    return Malformed(f"Nested deeper than {MAX_DEPTH} levels.", where=where, mend="Flatten it.")


def _depth(value: Any) -> int:
    """How many levels there are, looked at level by level; one more than MAX_DEPTH where there are more."""
    depth, level = 1, [value]
    while depth <= MAX_DEPTH:
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            break
        depth += 1
    return depth


def digest(data: bytes) -> str:
    """The content id of bytes: `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
