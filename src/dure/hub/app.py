"""The hub as a web application: the API under /v1. The portal mounts its pages onto the same app.

Responsible for: putting store, bell, sweep and doors together, starting and stopping them. Not responsible for: any door.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from fastapi import FastAPI, Request, Response

from dure import __version__
from dure.hub.api import errors, log, members, node, sessions, studies
from dure.hub.hub import Hub, utc_now
from dure.hub.settings import Settings
from dure.hub.store.database import open_store
from dure.hub.store.migrations import upgrade
from dure.hub.sweep import keep_sweeping

PREFIX = "/v1"


def create_app(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """The application. `app.state.hub` holds store, clock and bell; pages use the same actions as the API.

    Raises:
        BadSettings: the database's address.
    """
    store = open_store(settings.database)
    upgrade(store.engine)
    hub = Hub(settings=settings, store=store, clock=clock)
    app = FastAPI(
        title="Dure hub",
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    app.state.hub = hub
    app.state.told = {}
    errors.handle(app)
    app.middleware("http")(_guarded)
    for door in (members, node, sessions, studies, log):
        app.include_router(door.router, prefix=PREFIX)
    return app


async def _guarded(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
    """What every answer carries."""
    response = await call(request)
    response.headers.setdefault("x-content-type-options", "nosniff")
    return response


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    hub: Hub = app.state.hub
    hub.bell.hang()
    hub.store.listen(hub.bell.ring)
    sweeping = asyncio.create_task(keep_sweeping(hub))
    try:
        yield
    finally:
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        await asyncio.to_thread(hub.store.close)
