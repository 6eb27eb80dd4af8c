"""A strict JSON document: values that know their place.

Responsible for: reading bytes, text or a dictionary without crashing, and refusing duplicate keys, NaN, numbers out of range
and deep nesting, each with its JSON path. Not responsible for: what the properties mean.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, NoReturn

from dure.cohort.circe.nodes import Warned
from dure.cohort.problems import NotCirce, NotJson, NotSupported

MAX_BYTES = 32 * 2**20
MAX_DEPTH = 60
MAX_INTEGER = 2**63 - 1
MAX_DECIMAL = Decimal(10) ** 14
PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9]*")
"""How the format names properties, in every version; what is named otherwise is somebody's own note."""


PLAIN = frozenset({str, bool, type(None)})
"""Types of values that need no check."""

Place = tuple["Place", str | int] | str
"""Where a value stands: what is around it and the name or number there; or the path of a whole document. Nearly all are never
asked for, so a path is written (`path_of`) only when it is."""


@dataclass(frozen=True)
class _Pairs:
    """An object that the text gives a property twice, until its place is known."""

    pairs: list[tuple[str, Any]]


@dataclass(frozen=True)
class _Digits:
    """A number as the text writes it that isn't one to keep, until its place is known."""

    text: str


def read(source: bytes | str | dict[str, Any]) -> "Part":
    """The whole document.

    Raises:
        NotJson: it isn't one JSON document, is larger than 32 MiB or nested deeper than 60.
        NotCirce: a duplicate key, NaN, or a number that no database holds.
    """
    raw = source if isinstance(source, dict) else _load(source, "$")
    return Part(_checked(raw, "$", 0), "$", [])


def _load(source: bytes | str, where: str) -> Any:
    if len(source) > MAX_BYTES:
        raise NotJson(
            "The definition is larger than 32 MiB.", where=where, mend="Export one cohort at a time."
        )
    try:
        text = source.decode("utf-8-sig") if isinstance(source, bytes) else source.removeprefix("\ufeff")
        return json.loads(text, object_pairs_hook=_object, parse_int=_digits, parse_float=_digits)
    except UnicodeDecodeError as error:
        raise NotJson(
            f"Byte {error.start} isn't UTF-8.", where=where, mend="Save the file as UTF-8."
        ) from None
    except json.JSONDecodeError as error:
        raise NotJson(
            f"{error.msg}.",
            where=f"{where}, line {error.lineno}, column {error.colno}",
            mend="Export the definition from ATLAS again (Export, JSON).",
        ) from None
    except RecursionError:
        raise _too_deep(where) from None


def _too_deep(where: str) -> NotJson:
    return NotJson(
        f"The definition is nested deeper than {MAX_DEPTH}.", where=where, mend="Flatten its groups."
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Pairs:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Pairs(pairs)


def _digits(text: str) -> int | Decimal | _Digits:
    number = _number(text)
    return _Digits(text) if number is None else number


def _checked(value: Any, place: Place, depth: int) -> Any:
    if type(value) in PLAIN:
        return value
    if depth > MAX_DEPTH:
        raise _too_deep(_shortened(path_of(place)))
    match value:
        case dict():
            found: dict[str, Any] = {}
            for key, item in value.items():
                if type(key) is not str:
                    raise _wrong(place, "property names that are text")
                found[key] = item if type(item) in PLAIN else _checked(item, (place, key), depth + 1)
            return found
        case list() | tuple():
            return [_checked(item, (place, at), depth + 1) for at, item in enumerate(value)]
        case int() | float() | Decimal():
            number = _number(repr(value) if isinstance(value, float) else str(value))
            if number is None:
                raise _wrong(place, _wanted(value))
            return number
        case _Digits(text=text):
            raise _wrong(place, _wanted(text))
        case _Pairs(pairs=pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for at, key in enumerate(keys) if key in keys[:at])
            raise NotCirce(
                f"The property {_quoted(twice)} is there twice.",
                where=path_of((place, twice)),
                mend="Keep one of them.",
            )
        case _:
            raise _wrong(place, "a JSON value")


def _number(text: str) -> int | Decimal | None:
    """None where no database holds it, found before it is made: turning a million digits into a number is an attack in itself."""
    digits = text.lstrip("-")
    if digits.isdigit():
        return int(text) if len(digits) <= 19 and abs(int(text)) <= MAX_INTEGER else None
    number = _decimal(text) if len(text) <= 400 else None
    return number if number is not None and number.is_finite() and number.copy_abs() <= MAX_DECIMAL else None


def _wanted(text: object) -> str:
    whole = str(text).lstrip("-").isdigit()
    return "an integer of at most 64 bits" if whole else "a number below 10 to the 14th"


def _decimal(text: str) -> Decimal | None:
    """None where the exponent is beyond what decimals hold."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def path_of(place: Place) -> str:
    """The JSON path."""
    steps = []
    while not isinstance(place, str):
        place, step = place
        if isinstance(step, int):
            steps.append(f"[{step}]")
        else:
            steps.append(f".{step}" if step.isidentifier() and len(step) <= 80 else f"[{_quoted(step)}]")
    return place + "".join(reversed(steps))


def _quoted(text: str) -> str:
    return json.dumps(text if len(text) <= 60 else text[:60] + "…", ensure_ascii=False)


def _shortened(path: str) -> str:
    return path if len(path) <= 300 else f"{path[:150]}…{path[-140:]}"


def _wrong(place: Place, wanted: str) -> NotCirce:
    return NotCirce(f"Here belongs {wanted}.", where=_shortened(path_of(place)), mend="Correct the value.")


@dataclass(slots=True, eq=False)
class Part:
    """A value and where it stands; every method raises `NotCirce` when the value isn't what was asked for.

    `heard` collects, for the whole document, what has no effect or another than it seems.
    """

    value: Any
    place: Place
    heard: list[Warned]

    @property
    def path(self) -> str:
        """The JSON path."""
        return path_of(self.place)

    @property
    def says_nothing(self) -> bool:
        """Whether the value is null, an empty list, an empty object or an empty text."""
        return self.value is None or (isinstance(self.value, (list, dict, str)) and not self.value)

    def warn(self, what: str, *, quirk: str = "", **values: str) -> None:
        """Note that the value has no effect, or another than it seems."""
        self.heard.append(
            Warned(where=_shortened(self.path), what=what, quirk=quirk, values=tuple(values.items()))
        )

    def wrong(self, wanted: str) -> NoReturn:
        raise _wrong(self.place, wanted)

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.wrong("text")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong("true or false")
        return self.value

    def integer(self, least: int, most: int) -> int:
        """A whole number; text that is one counts, as the format's own reader takes it."""
        value = self.value
        if isinstance(value, str) and len(value) <= 19 and value.lstrip("-").isdecimal() and value.isascii():
            try:
                value = int(value)
            except ValueError:
                self.wrong("a whole number")
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong("a whole number")
        if not least <= value <= most:
            self.wrong(f"a whole number from {least} to {most}")
        return value

    def number(self) -> Decimal:
        if isinstance(self.value, bool) or not isinstance(self.value, (int, Decimal)):
            self.wrong("a number")
        number = Decimal(self.value)
        if abs(number) > MAX_DECIMAL:
            self.wrong("a number below 10 to the 14th")
        return number

    def items(self) -> "list[Part]":
        if not isinstance(self.value, list):
            self.wrong("a list")
        return [Part(item, (self.place, at), self.heard) for at, item in enumerate(self.value)]

    def fields(self) -> "Fields":
        if not isinstance(self.value, dict):
            self.wrong("an object")
        return Fields(self)

    def embedded(self) -> "Part":
        """The document that a text holds, or the part itself: web services nest a definition as text."""
        if not isinstance(self.value, str):
            return self
        return Part(_checked(_load(self.value, self.path), self.place, 0), self.place, self.heard)


class Fields:
    """An object's properties, each of which must be asked for before `finish`."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._left: dict[str, Any] = dict(part.value)
        self._known: list[str] = []

    def take(self, key: str) -> Part | None:
        """The property, or None where it is absent or null."""
        self._known.append(key)
        value = self._left.pop(key, None)
        return None if value is None else Part(value, (self.part.place, key), self.part.heard)

    def need(self, key: str) -> Part:
        part = self.take(key)
        if part is None:
            raise NotCirce(
                f"The property {key} is missing.", where=self.part.path, mend=f"Add {key}, or export again."
            )
        return part

    def ignore(self, *keys: str) -> None:
        """Properties that can't change rows: labels, authors."""
        for key in keys:
            self._left.pop(key, None)

    def rest(self) -> Iterator[tuple[str, Part]]:
        """What hasn't been asked for and says something, by name."""
        for key, value in self._left.items():
            part = Part(value, (self.part.place, key), self.part.heard)
            if not part.says_nothing:
                yield key, part

    def finish(self, *, describes: bool = False) -> None:
        """Refuse what hasn't been asked for, since it could change rows; `describes`: in this object nothing could.

        A name that no version of the format could have is somebody's note wherever it stands. Notes are warned of.
        """
        for key, part in self.rest():
            if not describes and PROPERTY.fullmatch(key):
                raise unsupported(part, key, self._known)
            part.warn("It isn't part of the format, and nothing reads it.", quirk="without-effect")


def unsupported(part: Part, name: str, known: Iterable[str]) -> NotSupported:
    """The refusal of a property that could change who is in the cohort."""
    near = get_close_matches(name[:80], known, n=1)
    meant = f"If {near[0]} is meant, write that. Otherwise take" if near else "Take"
    return NotSupported(
        "Dure doesn't know this property, and it could change who is in the cohort.",
        where=_shortened(part.path),
        mend=f"{meant} it out of the definition, or say what it means with what the manual's table of the language lists.",
    )
