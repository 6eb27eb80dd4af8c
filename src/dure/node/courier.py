"""The courier: carries the outbox's letters to the hub, oldest first, until each is taken or returned.

Not responsible for: what they say (`worker`), when to try again after a failure (`loop`).
"""

import logging
from collections.abc import Callable
from datetime import datetime

from dure.node.hub_link import HubLink, passes
from dure.node.journal import Journal
from dure.node.problems import HubRefused

CLOCK_SKEW = "clock-skew"
BY_HAND = "by-hand"
"""The door of letters that no courier takes: they leave in a file (`by_hand`)."""
log = logging.getLogger("dure.node")


def deliver(journal: Journal, link: HubLink, *, clock: Callable[[], datetime]) -> int:
    """Send all letters; how many were taken. A letter that the hub refuses for good is kept, marked returned.

    Raises:
        HubUnreachable, HubRefused: it passes by itself: the letter and those after it wait.
    """
    taken = 0
    for letter, door, body, about in journal.to_send():
        if door == BY_HAND:
            continue
        try:
            link.post(door, body)
        except HubRefused as problem:
            if passes(problem) or problem.told == CLOCK_SKEW:
                raise
            with journal.writing():
                journal.mark_returned(letter, f"{problem.http_status} {problem.what}"[:500])
            log.warning("returned by the hub: %s (%s)", about, problem.what)
            continue
        with journal.writing(durable=False):
            journal.mark_sent(letter, now=clock())
        log.info("sent: %s, %d bytes", about, len(body))
        taken += 1
    return taken
