"""Stylesheets, scripts and images, at addresses that change with their content."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from dure.hub.problems import Unknown
from dure.look.assets import asset

router = APIRouter()


@router.get("/look/{name}")
async def get_asset(request: Request, name: str) -> Response:
    """One file. Raises Unknown where there is none."""
    try:
        found = await run_in_threadpool(asset, name)
    except KeyError:
        raise Unknown(
            "The page has no such file.", where=request.url.path[:200], mend="Reload the page."
        ) from None
    fresh = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": f'"{found.version}"',
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == fresh["ETag"]:
        return Response(status_code=304, headers=fresh)
    return Response(found.body, media_type=found.media_type, headers=fresh)
