"""Problems: every error that a user can meet, as one family.

Responsible for: what an error carries (what, where, mend), its HTTP problem type (RFC 9457) and its exit code, and that
no two kinds share either. Not responsible for: how a program prints or sends one.
"""

from typing import Any, ClassVar

PROBLEM_BASE = "https://dure.invalid/problems/"


class Problem(Exception):
    """Something that a user can mend. Subclasses set `slug`, `title`, `status` (HTTP) and `exit_code` (process).

    Args:
        what: one sentence: what is wrong, naming the thing.
        where: the place: a file and line, a JSON path, an address, a field.
        mend: what to do about it.
    """

    slug: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int]
    exit_code: ClassVar[int]
    register: ClassVar[dict[str, type["Problem"]]] = {}

    def __init__(self, what: str, *, where: str, mend: str) -> None:
        self.what = what
        self.where = where
        self.mend = mend
        super().__init__(f"{what} ({where}). {mend}")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for other in Problem.register.values():
            clash = other.slug == cls.slug or other.exit_code == cls.exit_code
            same = (other.__module__, other.__qualname__) == (cls.__module__, cls.__qualname__)
            if clash and not same:
                raise TypeError(f"{cls.__qualname__} and {other.__qualname__} share a slug or an exit code")
        Problem.register[cls.slug] = cls

    def document(self) -> dict[str, Any]:
        """The RFC 9457 problem document; `where` and `mend` are extension members."""
        return {
            "type": PROBLEM_BASE + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.what,
            "where": self.where,
            "mend": self.mend,
        }


def from_document(document: dict[str, Any]) -> "Problem | None":
    """The problem that a peer sent, as the class it was raised as; None where the type is unknown here."""
    kind = Problem.register.get(str(document.get("type", "")).removeprefix(PROBLEM_BASE))
    if kind is None:
        return None
    return kind(
        str(document.get("detail", kind.title)),
        where=str(document.get("where", "")),
        mend=str(document.get("mend", "")),
    )
