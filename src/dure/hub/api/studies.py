"""Doors for askers: submit, list, look, follow, read, withdraw."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dure.hub.actions import studies
from dure.hub.actions.accounts import Person
from dure.hub.actions.progress import study_topic
from dure.hub.api.door import LONGEST_WAIT, answer, body_of, done, hub_of, person_of, raw, takes
from dure.hub.hub import Hub
from dure.hub.problems import Forbidden
from dure.wire.answers import Events, Submitted, Summary
from dure.wire.envelope import Envelope

router = APIRouter()


async def submit(hub: Hub, envelope: Envelope, person: Person) -> bool:
    """Take a study; whether it is new. A page calls this too. Raises Forbidden, after the refusal was recorded."""
    new, fired = await hub.write(studies.submit, envelope, person, now=hub.clock())
    if fired is not None:
        raise Forbidden.by(fired)
    return new


async def follow(hub: Hub, digest: str, person: Person, *, after: int, wait_seconds: int) -> Events:
    """Events after a number, at once or when the next comes. A page calls this too. Raises Unknown."""
    loop = asyncio.get_running_loop()
    end = loop.time() + min(wait_seconds, LONGEST_WAIT)
    with hub.bell.listen(study_topic(digest)) as ear:
        while True:
            found = await hub.read(studies.events, digest, person, after=after)
            left = end - loop.time()
            if found.events or found.over or left <= 0 or not await ear.wait(left):
                return found


@router.post("/studies", openapi_extra=takes("a sealed Study"))
async def post_study(request: Request) -> Response:
    """Ask a question."""
    person = await person_of(request)
    envelope = await body_of(request, Envelope)
    new = await submit(hub_of(request), envelope, person)
    return answer(Submitted(study=envelope.digest), status=201 if new else 200)


@router.get("/studies")
async def get_studies(request: Request) -> Response:
    """The studies that the user may see, newest first."""
    person = await person_of(request)
    return answer(await hub_of(request).read(studies.list_studies, person), tuple[Summary, ...])


@router.get("/studies/{digest}")
async def get_study(request: Request, digest: str) -> Response:
    """A study as it is."""
    person = await person_of(request)
    return answer(await hub_of(request).read(studies.view, digest, person))


@router.get("/studies/{digest}/events")
async def get_events(
    request: Request,
    digest: str,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    wait_seconds: Annotated[int, Query(ge=0, le=3600)] = 0,
) -> Response:
    """What happened, after an event."""
    person = await person_of(request)
    return answer(await follow(hub_of(request), digest, person, after=after, wait_seconds=wait_seconds))


@router.get("/studies/{digest}/report")
async def get_report(request: Request, digest: str) -> Response:
    """The report, in the bytes that the log commits to."""
    person = await person_of(request)
    return raw(await hub_of(request).read(studies.report_body, digest, person))


@router.post("/studies/{digest}/withdraw")
async def post_withdrawal(request: Request, digest: str) -> Response:
    """Take a study back."""
    hub = hub_of(request)
    person = await person_of(request)
    await hub.write(studies.withdraw, digest, person, now=hub.clock())
    return done()
