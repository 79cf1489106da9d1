"""The application: which path is answered by what. Everything a route needs is in `Service`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from bethink.server.asks import Dialect
from bethink.server.dialects import dialects, responses_in
from bethink.server.routes import ollama
from bethink.server.routes.models import list_models, show_model
from bethink.server.routes.requests import control_chat, control_request
from bethink.server.routes.responses import response_routes
from bethink.server.service import Service

TIDY_S = 5.0
LOADING = {"/api/chat": "messages", "/api/generate": "prompt"}
"""Where a body without that field loads a model."""


def create_app(service: Service, home: Path | None = None) -> Starlette:
    """The whole server as one ASGI application. It closes the service's models when it stops. What it keeps stands in
    `home`, or in memory without one."""
    responses = responses_in(home)
    asking = {path: _asking(service, dialect, prefix) for path, dialect, prefix in dialects(responses)}
    for path, field in LOADING.items():
        asking[path] = ollama.loading(field, asking[path])
    routes = [Route(path, ask, methods=["POST"]) for path, ask in asking.items()]
    routes += response_routes(responses)
    routes += [
        Route("/v1/models", list_models),
        Route("/v1/models/{model:path}", show_model),
        Route("/v1/chat/completions/{id}/control", control_chat, methods=["POST"]),
        Route("/v1/requests/{id}/{action}", control_request, methods=["POST"]),
        Route("/api/tags", ollama.list_tags),
        Route("/api/show", ollama.show, methods=["POST"]),
        Route("/api/version", ollama.version),
        Route("/api/ps", ollama.list_loaded),
        Route("/healthz", _healthy),
        Route("/readyz", _ready),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        app.state.service = service
        tidying = asyncio.create_task(_tidy(service))
        try:
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
