"""The application: which path is answered by what. Everything a route needs is in `Service`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from bethink.server.asks import Dialect
from bethink.server.page import Page
from bethink.server.routes.models import list_models, show_model
from bethink.server.routes.page import page_routes
from bethink.server.routes.requests import control_chat, control_request
from bethink.server.routes.site import site_routes
from bethink.server.service import Service
from bethink.server.wire.chat import Chat

TIDY_S = 5.0
DIALECTS: tuple[tuple[str, Dialect, str], ...] = (("/v1/chat/completions", Chat(), "chatcmpl-"),)
"""Path, dialect, and what ids begin with."""


def create_app(service: Service, page: Page | None = None) -> Starlette:
    """The whole server as one ASGI application. It closes the service's models when it stops. `page` is the chat page's
    side of it (None: there is none)."""
    routes = [Route(path, _asking(service, dialect, prefix), methods=["POST"]) for path, dialect, prefix in DIALECTS]
    routes += [
        Route("/v1/models", list_models),
        Route("/v1/models/{model:path}", show_model),
        Route("/v1/chat/completions/{id}/control", control_chat, methods=["POST"]),
        Route("/v1/requests/{id}/{action}", control_request, methods=["POST"]),
        Route("/healthz", _healthy),
        Route("/readyz", _ready),
    ]

    routes += page_routes() if page is not None else []
    routes += site_routes() if page is not None else []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        app.state.service, app.state.page = service, page
        tidying = asyncio.create_task(_tidy(service))
        try:
            async with page.living() if page is not None else contextlib.nullcontext():
                yield
        finally:
            tidying.cancel()
            await service.pool.close()

    return Starlette(routes=routes, lifespan=lifespan)


def _asking(service: Service, dialect: Dialect, prefix: str) -> Callable[[Http], Awaitable[Response]]:
    async def ask(http: Http) -> Response:
        return await service.answer(http, dialect, prefix=prefix)

    return ask


async def _tidy(service: Service) -> None:
    while True:
        await asyncio.sleep(TIDY_S)
        await service.pool.unload_idle(time.monotonic())


async def _healthy(_: Http) -> Response:
    return Response("ok\n", media_type="text/plain")


async def _ready(http: Http) -> Response:
    service: Service = http.app.state.service
    is_ready = bool(service.pool.loaded)
    return Response(
        "ready\n" if is_ready else "no model is loaded\n", 200 if is_ready else 503, media_type="text/plain"
    )
