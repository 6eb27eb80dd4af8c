"""Doors for regulators: the audit log."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dure.hub.actions import log
from dure.hub.actions.accounts import UserRole, require
from dure.hub.actions.log import Logged
from dure.hub.api.door import answer, hub_of, person_of

router = APIRouter()
LARGEST = 2**62
Size = Annotated[int, Query(ge=1, le=LARGEST)]


async def _regulator(request: Request) -> None:
    require(await person_of(request), UserRole.REGULATOR, where="the audit log")


@router.get("/log/checkpoint")
async def get_checkpoint(request: Request) -> Response:
    """The tree's head."""
    await _regulator(request)
    return answer(await hub_of(request).read(log.checkpoint))


@router.get("/log/entries")
async def get_entries(request: Request, after: Annotated[int, Query(ge=-1, le=LARGEST)] = -1) -> Response:
    """Entries, in order, some hundreds at a time."""
    await _regulator(request)
    return answer(await hub_of(request).read(log.entries_after, after), tuple[Logged, ...])


@router.get("/log/proof")
async def get_proof(
    request: Request,
    size: Size,
    entry: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    old: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> Response:
    """That an entry is in the log of `size` entries or, with `old`, that this log continues the one of `old` entries."""
    await _regulator(request)
    hub = hub_of(request)
    if old is not None:
        return answer(await hub.read(log.prove_consistency, old, size))
    return answer(await hub.read(log.prove_inclusion, entry or 0, size))
