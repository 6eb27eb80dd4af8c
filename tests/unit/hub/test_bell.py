"""No ring is lost between looking and waiting."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from dure.hub.bell import Bell
from dure.hub.store.database import EVERYTHING


def run(play):
    async def main():
        bell = Bell()
        bell.hang()
        return await play(bell)

    # In a thread of its own: a browser test in this process leaves an event loop running here.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, main()).result()


def test_a_ring_before_the_wait_is_heard():
    async def play(bell):
        with bell.listen("a") as ear:
            bell.ring(frozenset({"a"}))
            return await ear.wait(5), await ear.wait(0.01)

    assert run(play) == (True, False)


def test_other_topics_are_not_heard_and_everything_is():
    async def play(bell):
        with bell.listen("a") as ear:
            bell.ring(frozenset({"b"}))
            other = await ear.wait(0.01)
            bell.ring(frozenset({EVERYTHING}))
            return other, await ear.wait(5)

    assert run(play) == (False, True)


def test_a_ring_from_a_thread_wakes_a_waiter():
    async def play(bell):
        with bell.listen("a") as ear:
            waiting = asyncio.create_task(ear.wait(5))
            await asyncio.to_thread(bell.ring, frozenset({"a"}))
            return await waiting

    assert run(play)
