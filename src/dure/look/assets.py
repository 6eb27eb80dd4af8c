"""What a page links to: stylesheets and scripts, from this package and from memory, never from outside.

Responsible for: their bytes, media types and addresses that change with their content. Not responsible for: sending
them (`portal`, `console`), the pages.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as distribution_version
from importlib.resources import files

SCRIPT, STYLE, IMAGE = "text/javascript; charset=utf-8", "text/css; charset=utf-8", "image/svg+xml"
_PACKAGED = {
    "tokens.css": ("static", STYLE),
    "base.css": ("static", STYLE),
    "charts.js": ("static", SCRIPT),
    "mark.svg": ("static", IMAGE),
    "htmx.min.js": ("vendor", SCRIPT),
}
_FOLDER = files("dure.look")
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
NAMES = (*_PACKAGED, "vega-embed.js")


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file: its bytes, media type, and the start of its SHA-256, by which its address changes with it."""

    body: bytes
    media_type: str
    version: str


@cache
def asset(name: str) -> Asset:
    """The file of this name.

    `vega-embed.js` (Vega, Vega-Lite and vega-embed) is bundled by vl-convert in memory when it is first asked for, about
    three seconds, so that charts on a page and in a report are drawn by the same version.

    Raises:
        KeyError: it isn't one of `NAMES`.
    """
    if name == "vega-embed.js":
        import vl_convert

        body, media_type = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").encode(), SCRIPT
    else:
        folder, media_type = _PACKAGED[name]
        body = (_FOLDER / folder / name).read_bytes()
    return Asset(body=body, media_type=media_type, version=hashlib.sha256(body).hexdigest()[:12])


@cache
def version(name: str) -> str:
    """What stands behind `?v=` in an address. The bundle's is its maker's version: it isn't made for a link alone."""
    if name == "vega-embed.js":
        return distribution_version("vl-convert-python")
    return asset(name).version


def style() -> str:
    """All styles as one text, for a report that is a single file."""
    return "\n".join(asset(name).body.decode() for name in ("tokens.css", "base.css"))
