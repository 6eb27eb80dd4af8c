"""The register of the gate's rules and of forbidden purposes: open to everyone, signed in or not."""

from fastapi import APIRouter, Request, Response

from dure.govern.policy import FORBIDDEN_PURPOSES
from dure.guard.register import REGISTER
from dure.hub.problems import NotSignedIn
from dure.portal.page import reader, show, words_of
from dure.wire.rules import Rules

router = APIRouter()


@router.get("/rules")
async def list_rules(request: Request) -> Response:
    """What each rule stops, and where it holds."""
    try:
        user = await reader(request)
    except NotSignedIn:
        user = None
    defaults = Rules()
    values = {rule.parameter: getattr(defaults, rule.parameter) for rule in REGISTER if rule.parameter}
    values["noise"] = words_of(request)("off")
    return show(
        request,
        "rules.html",
        user=user,
        rules=REGISTER,
        defaults=values,
        purposes=tuple(FORBIDDEN_PURPOSES.values()),
    )
