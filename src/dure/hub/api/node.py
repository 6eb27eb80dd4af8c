"""Doors for a hospital: poll, decisions, answers. Authenticated by signatures alone."""

import asyncio

from fastapi import APIRouter, Request, Response

from dure.hub.actions import decisions, polls, runs
from dure.hub.actions.progress import hospital_topic
from dure.hub.api.door import LONGEST_WAIT, answer, body_of, done, hub_of, takes
from dure.hub.hub import Hub
from dure.wire.codec import digest, encode
from dure.wire.envelope import Envelope
from dure.wire.messages import Poll, PollAnswer

router = APIRouter()
TASKS_AGAIN_SECONDS = 1.0
"""A task that a node was just told is told again after so long: a node that was killed meanwhile needs it soon, and one
that is still computing must not be answered in a tight circle."""


@router.post("/node/poll", openapi_extra=takes("a sealed Poll"))
async def poll(request: Request) -> Response:
    """What waits for a hospital: at once where something is new to it, else when something comes or time is up."""
    hub = hub_of(request)
    told: dict[str, str] = request.app.state.told
    envelope = await body_of(request, Envelope)
    asked = await hub.read(polls.verify_poll, envelope, now=hub.clock())
    await hub.note(polls.admit, asked, now=hub.clock())
    waited = await _wait(hub, asked, told.get(asked.hospital))
    told[asked.hospital] = _gist(waited)
    return answer(waited)


async def _wait(hub: Hub, asked: Poll, told: str | None) -> PollAnswer:
    """The answer to a poll, held back while it is what the hospital was told last."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    patience = float(min(max(asked.wait_seconds, 0), LONGEST_WAIT))
    with hub.bell.listen(hospital_topic(asked.hospital)) as ear:
        while True:
            found = await hub.read(
                polls.waiting_for, asked.hospital, directory_version=asked.directory_version, now=hub.clock()
            )
            if found.directory is not None or _gist(found) not in (told, _gist(_nothing(found))):
                return found
            longest = min(patience, TASKS_AGAIN_SECONDS) if found.tasks else patience
            left = start + longest - loop.time()
            if left <= 0 or not await ear.wait(left):
                return found


def _gist(found: PollAnswer) -> str:
    """What of an answer is news: not the time, not the directory, which is sent by its version."""
    told = (found.offers, found.tasks, found.closed)
    return digest(
        b"\n".join(encode(part) if not isinstance(part, str) else part.encode() for p in told for part in p)
    )


def _nothing(found: PollAnswer) -> PollAnswer:
    return PollAnswer(now=found.now, directory=None, offers=(), runs=(), tasks=(), closed=())


@router.post("/node/decisions", openapi_extra=takes("a sealed Permit or Decline"))
async def post_decision(request: Request) -> Response:
    """A board's yes or no."""
    hub = hub_of(request)
    envelope = await body_of(request, Envelope)
    decision = await hub.read(decisions.verify_decision, envelope, now=hub.clock())
    await hub.write(decisions.decide, envelope, decision, patience=hub.patience, now=hub.clock())
    return done()


@router.post("/node/answers", openapi_extra=takes("a sealed Acceptance, Contribution or Refusal"))
async def post_answer(request: Request) -> Response:
    """A node's answer to a task."""
    hub = hub_of(request)
    envelope = await body_of(request, Envelope, limit=hub.settings.largest_message)
    event = await hub.read(runs.verify_answer, envelope, now=hub.clock())
    await hub.write(runs.answer, envelope, event, now=hub.clock())
    return done()
