"""Where a study and its hospitals stand, as words and colours. Not responsible for: reports, HTML."""

from collections.abc import Mapping
from dataclasses import dataclass

from dure.client.presentation import PartView
from dure.hub.actions.studies import PartState
from dure.look.words import Words
from dure.wire.answers import PartNow, StudyNow, StudyState, What

STUDIES: Mapping[StudyState, tuple[str, str]] = {
    StudyState.OFFERED: ("waiting for the boards", "live"),
    StudyState.RUNNING: ("running", "good live"),
    StudyState.REPORTED: ("reported", "good"),
    StudyState.FORBIDDEN: ("forbidden by a rule", "bad"),
    StudyState.UNPERMITTED: ("not permitted", "warn"),
    StudyState.WITHDRAWN: ("withdrawn", ""),
}
PARTS: Mapping[str, tuple[str, str]] = {
    PartState.OFFERED: ("the board is deciding", "live"),
    PartState.SIGNED: ("permit signed", "good"),
    PartState.DECLINED: ("declined", "warn"),
    PartState.SILENT: ("silent", ""),
    PartState.VOID: ("permit no longer holds", "warn"),
    What.ACCEPTED: ("ready", "good"),
    What.ANSWERING: ("answering", "good live"),
    What.ANSWERED: ("answered", "good"),
    What.DROPPED: ("dropped", "bad"),
}


@dataclass(frozen=True, kw_only=True)
class StateView:
    """A study's state as a chip."""

    text: str
    kind: str


def state_of(state: StudyState, words: Words) -> StateView:
    """A study's state."""
    text, kind = STUDIES[state]
    return StateView(text=words(text), kind=kind)


def parts_of(now: StudyNow, words: Words) -> tuple[PartView, ...]:
    """Each hospital's line while there is no report."""
    return tuple(_part(part, words) for part in now.parts)


def _part(part: PartNow, words: Words) -> PartView:
    text, kind = PARTS[part.state]
    return PartView(name=part.name, status=words(text), kind=kind, why=words.text(part.reason))
