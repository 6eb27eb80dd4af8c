"""What time alone brings about: offers close, deadlines pass, old nonces go. Any hub process may do it; one does.

Responsible for: looking, at intervals, and going on after a failure. Not responsible for: what happens then (`decisions`,
`runs`, which look again under the study's lock).
"""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from dure.hub.actions import decisions, polls, runs
from dure.hub.hub import Hub
from dure.wire.problems import Problem

log = logging.getLogger("dure.hub")
NONCES_EVERY = 300


def sweep(hub: Hub) -> int:
    """Do all that is due, each in its own transaction; how many things were."""
    now = hub.clock()
    offers = hub.reads(decisions.due_offers, now=now)
    late = hub.reads(runs.due_runs, now=now)
    for study in offers:
        try:
            hub.writes(decisions.close_due, study, patience=hub.patience, now=now)
        except Problem as problem:
            log.warning("the offer of %s cannot close yet: %s", study, problem)
    for run in late:
        try:
            hub.writes(runs.expire, run, now=now)
        except Problem as problem:
            log.warning("the deadline of run %s cannot count yet: %s", run, problem)
    return len(offers) + len(late)


async def keep_sweeping(hub: Hub) -> None:
    """Sweep until cancelled."""
    turns = 0
    while True:
        try:
            await asyncio.to_thread(sweep, hub)
            if turns % NONCES_EVERY == 0:
                await hub.note(polls.forget_nonces, now=hub.clock())
        except SQLAlchemyError as error:
            log.warning("the database does not answer; trying again: %s", type(error).__name__)
        turns += 1
        await asyncio.sleep(hub.settings.sweep_seconds)
