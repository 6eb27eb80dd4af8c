"""The audit log as a regulator reads it: its checkpoint and its entries."""

import re

from fastapi import APIRouter, Request, Response

from dure.govern.log import Entry
from dure.hub.actions import log
from dure.hub.actions.accounts import UserRole, require
from dure.hub.actions.log import Logged
from dure.hub.api.door import hub_of
from dure.look.words import Words
from dure.portal.page import reader, show, words_of
from dure.wire.codec import decode

router = APIRouter()
LINES = 100
DIGEST = re.compile(r"(sha256:)?[0-9a-f]{32,64}")


@router.get("/log")
async def list_entries(request: Request) -> Response:
    """Newest first, a hundred at a time; `before` goes back."""
    user = await reader(request)
    require(user, UserRole.REGULATOR, where="the audit log")
    hub, words = hub_of(request), words_of(request)
    head = await hub.read(log.checkpoint)
    told = request.query_params.get("before", "")
    before = min(int(told), head.size) if told.isascii() and told.isdigit() and len(told) < 19 else head.size
    start = max(before - LINES, 0)
    found = await hub.read(log.entries_after, start - 1)
    lines = [_line(logged, words) for logged in found if logged.number < before]
    return show(
        request,
        "log.html",
        user=user,
        checkpoint=((words("Entries"), words.number(head.size)), (words("Root"), head.root)),
        entries=lines[::-1],
        earlier=start if start > 0 else None,
        later=min(before + LINES, head.size) if before < head.size else None,
    )


def _line(logged: Logged, words: Words) -> dict[str, object]:
    entry: Entry = decode(Entry, logged.body, where=f"entry {logged.number}")
    return {
        "number": logged.number,
        "at": words.moment(entry.at),
        "what": words.text(entry.what),
        "who": entry.who,
        "about": tuple((name, _shortened(value)) for name, value in entry.about.items()),
    }


def _shortened(value: str) -> dict[str, str]:
    """A digest by its first digits; the whole stands in the element's title, and in GET /v1/log/entries."""
    return {"full": value, "short": f"{value[:19]}…" if DIGEST.fullmatch(value) else ""}
