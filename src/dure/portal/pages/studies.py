"""The studies that the reader may see."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from dure.hub.actions import studies
from dure.hub.api.door import hub_of
from dure.portal.page import HEADERS, reader, show, words_of
from dure.portal.standing import state_of

router = APIRouter()


@router.get("/")
async def first(request: Request) -> Response:
    """The first page is the list."""
    return RedirectResponse("/studies", status_code=303, headers=HEADERS)


@router.get("/studies")
async def list_studies(request: Request) -> Response:
    """Newest first."""
    user = await reader(request)
    found = await hub_of(request).read(studies.list_studies, user)
    words = words_of(request)
    lines = [
        {
            "digest": summary.study,
            "title": summary.title,
            "kind": summary.kind,
            "mode": summary.mode,
            "state": state_of(summary.state, words),
            "asked": words.moment(summary.created),
        }
        for summary in found
    ]
    return show(request, "studies.html", user=user, studies=lines)
