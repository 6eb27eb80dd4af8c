"""The catalogue: hospitals and what their boards declare."""

from fastapi import APIRouter, Request, Response

from dure.hub.actions import catalogue
from dure.hub.api.door import hub_of
from dure.portal.page import reader, show

router = APIRouter()


@router.get("/hospitals")
async def list_hospitals(request: Request) -> Response:
    """All of the directory."""
    user = await reader(request)
    hub = hub_of(request)
    found = await hub.read(catalogue.hospitals, now=hub.clock())
    return show(request, "hospitals.html", user=user, hospitals=found)
