"""The chat page's files, built from `web/`, and the policy under which a browser runs them.

Owns what a browser may do: the page runs its own files alone, without inline scripts or styles, and talks to this
server alone; a preview of what a model wrote runs in an origin of its own, without any network. What always holds: a
file whose name carries the hash of its content is kept for a year, everything else is asked for again.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import mimetypes
from pathlib import Path

from starlette.requests import Request as Http
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).parent.parent / "static"
PAGES = ("/", "/c/{id}", "/c/{id}/compare/{node}", "/settings", "/settings/{tab}")
"""What the page shows by itself, each from the same file."""
TEXTS = frozenset((".js", ".css"))

PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types dompurify",
    )
)
PREVIEW_POLICY = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline' 'unsafe-eval'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "font-src data:",
        "media-src data: blob:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    )
)
SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "x-dns-prefetch-control": "off",
}
PREVIEW = """<!doctype html><meta charset="utf-8"><title>Preview</title><script>
for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection", "WebTransport"]) delete window[name];
addEventListener("message", (event) => {
  if (event.source !== parent || typeof event.data?.html !== "string") return;
  document.open();
  document.write(event.data.html);
  document.close();
}, { once: true });
</script>"""
"""Waits for one text from the page around it, and becomes it. The policy stays with the document."""


def site_routes() -> list[BaseRoute]:
    """The page, its files, and the empty frame for previews."""
    routes: list[BaseRoute] = [Route(path, _page) for path in PAGES]
    return [*routes, Route("/assets/{name}", _asset), Route("/icon.svg", _icon), Route("/preview", _preview)]


async def _page(_: Http) -> Response:
    headers = {**SAFE, "content-security-policy": PAGE_POLICY, "cache-control": "no-cache"}
    return FileResponse(STATIC / "index.html", headers=headers)


async def _asset(http: Http) -> Response:
    """Names are looked up in the folder, never joined to a path."""
    name = str(http.path_params["name"])
    found = {path.name: path for path in (STATIC / "assets").iterdir()}.get(name)
    if found is None:
        return PlainTextResponse("no such file\n", 404, headers={"cache-control": "no-store"})
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {**SAFE, "cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}
    if found.suffix in TEXTS and "gzip" in http.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(await asyncio.to_thread(_compressed, found), headers=headers, media_type=media_type)
    return FileResponse(found, headers=headers, media_type=media_type)


@functools.cache
def _compressed(path: Path) -> bytes:
    """Once for each file: they never change under their name, and there are a handful."""
    return gzip.compress(path.read_bytes(), mtime=0)


async def _icon(_: Http) -> Response:
    return FileResponse(STATIC / "icon.svg", headers={**SAFE, "cache-control": "public, max-age=3600"})


async def _preview(_: Http) -> Response:
    headers = {
        **SAFE,
        "content-security-policy": PREVIEW_POLICY,
        "cache-control": "no-cache",
        "x-frame-options": "SAMEORIGIN",
    }
    return HTMLResponse(PREVIEW, headers=headers)
