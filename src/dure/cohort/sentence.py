"""A sentence about a definition: a message with {values}, so that every language can say it.

Responsible for: holding message and values apart. Not responsible for: translations, which stand upstairs in `look`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Sentence:
    message: str
    values: Mapping[str, object] = field(default_factory=dict)

    def said(self, words: "Callable[..., str] | None" = None) -> str:
        """The sentence, by `words(message, **values)` or in English."""
        return words(self.message, **self.values) if words else self.message.format(**self.values)


def sentence(message: str, **values: object) -> Sentence:
    return Sentence(message=message, values=values)
