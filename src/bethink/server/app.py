"""The application: which path is answered by what, and the layers before any of it is.

From outside in: a record of every request (`recording`), hosts and origins (`guard`), keys (`keys`), routes. All that a
route needs is in `Service`, as `http.app.state.service`; `http.state.record` says whose request it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from bethink.errors import BethinkError, UsageError
from bethink.server.asking.asks import Dialect
from bethink.server.batches.files import Files
from bethink.server.batches.runner import Batches
from bethink.server.batches.store import BatchStore
from bethink.server.conversations.records import error_record
from bethink.server.door.guard import Doors, ErrorBody, Guard
from bethink.server.door.keys import KeyCheck, Keys
from bethink.server.door.recording import Recorder
from bethink.server.openapi import document
from bethink.server.page.page import Page
from bethink.server.record import Record
from bethink.server.routes import embeddings, ollama
from bethink.server.routes.batches import batch_routes
from bethink.server.routes.counting import count_tokens
from bethink.server.routes.embeddings import refusing
from bethink.server.routes.models import list_models, show_model
from bethink.server.routes.page import is_of_page, page_routes
from bethink.server.routes.requests import control_chat, control_request
from bethink.server.routes.responses import response_routes
from bethink.server.routes.site import site_routes
from bethink.server.running.service import Service, json_response
from bethink.server.watching.metrics import Metrics
from bethink.server.wire.dialects import Dialects, dialects_of, responses_in
from bethink.server.wire.openai.words import openai_error

TIDY_S = 5.0
LOADING = {"/api/chat": "messages", "/api/generate": "prompt"}
"""Where a body without that field loads a model."""


class NoSuchPath(UsageError):
    code = "not_found"
    http_status = 404


class WrongMethod(UsageError):
    code = "method_not_allowed"
    http_status = 405


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around the service: who is let in, and who hears of it. What it keeps stands in `home`, or in memory
    without one."""

    doors: Doors = field(default_factory=Doors)
    keys: Keys = field(default_factory=Keys)
    metrics: Metrics = field(default_factory=Metrics)
    on_over: Callable[[Record], None] = lambda _record: None
    home: Path | None = None


def create_app(service: Service, around: Surroundings | None = None, page: Page | None = None) -> Starlette:
    """The whole server as one ASGI application. It closes the service's models when it stops. `page` is the chat page's
    side of it (None: there is none)."""
    around = around or Surroundings()
    metrics = around.metrics
    metrics.watch(service)
    service.on_settled = metrics.settled

    def over(record: Record) -> None:
        metrics.over(record)
        around.on_over(record)

    responses = responses_in(around.home)
    dialects = dialects_of(responses)
    error_body = errors_of(dialects)
    batches = None if around.home is None else batches_in(around.home, service, dialects)
    app = Starlette(
        routes=[
            *_routes(service, dialects, metrics),
            *response_routes(responses),
            *(Route(path, refusing(error_body), methods=["POST"]) for path in embeddings.PATHS),
            *([*page_routes(), *site_routes()] if page is not None else []),
            *(batch_routes(batches) if batches is not None else ()),
        ],
        middleware=[
            Middleware(Recorder, service=service, error_body=error_body, on_over=over),
            Middleware(Guard, doors=around.doors, error_body=error_body, on_refused=_refused),
            Middleware(KeyCheck, keys=around.keys, error_body=error_body),
        ],
        exception_handlers={HTTPException: _http_error(error_body)},
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service, app.state.page = service, page
    app.state.batches = batches
    app.state.openapi = document(dialects)
    return app


def batches_in(home: Path, service: Service, dialects: Dialects) -> Batches:
    """Files and batches of every dialect."""
    folder = home / "batches"
    return Batches(service, Files(folder / "files"), BatchStore(folder), {path: one for path, one, _ in dialects})


def _routes(service: Service, dialects: Dialects, metrics: Metrics) -> list[Route]:
    async def show_metrics(http: Http) -> Response:
        try:
            Record.of(http).asker.require("admin")
        except BethinkError as error:
            return json_response(openai_error(error), status=error.http_status)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    asking = {path: _asking(service, dialect, prefix) for path, dialect, prefix in dialects}
    for path, field_name in LOADING.items():
        asking[path] = ollama.loading(field_name, asking[path])
    return [
        *(Route(path, ask, methods=["POST"]) for path, ask in asking.items()),
        Route("/v1/models", list_models),
        Route("/v1/models/{model:path}", show_model),
        Route("/v1/chat/completions/{id}/control", control_chat, methods=["POST"]),
        Route("/v1/requests/{id}/{action}", control_request, methods=["POST"]),
        Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
        Route("/api/tags", ollama.list_tags),
        Route("/api/show", ollama.show, methods=["POST"]),
        Route("/api/version", ollama.version),
        Route("/api/ps", ollama.list_loaded),
        Route("/openapi.json", _openapi),
        Route("/metrics", show_metrics),
        Route("/healthz", _healthy),
        Route("/readyz", _ready),
    ]


def errors_of(dialects: Dialects) -> ErrorBody:
    """An error in the words of whoever lives at a path, or near it; OpenAI's otherwise."""

    def error_body(path: str, error: BethinkError) -> Mapping[str, Any]:
        if is_of_page(path):
            return {"error": error_record(error)}
        for base, dialect, _ in dialects:
            if path == base or path.startswith(f"{base}/"):
                return dialect.error(error)
        first = path[: path.find("/", 1) + 1]
        for base, dialect, _ in dialects:
            if first not in ("", "/v1/") and base.startswith(first):
                return dialect.error(error)
        return openai_error(error)

    return error_body


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncGenerator[None]:
    service: Service = app.state.service
    batches: Batches | None = app.state.batches
    tidying = asyncio.create_task(_tidy(service))
    page: Page | None = app.state.page
    if batches is not None:
        batches.start()
    try:
        async with page.living() if page is not None else contextlib.nullcontext():
            yield
    finally:
        tidying.cancel()
        if batches is not None:
            await batches.stop()
        await service.pool.close()


async def _tidy(service: Service) -> None:
    while True:
        await asyncio.sleep(TIDY_S)
        await service.pool.unload_idle(time.monotonic())


def _asking(service: Service, dialect: Dialect, prefix: str) -> Callable[[Http], Awaitable[Response]]:
    async def ask(http: Http) -> Response:
        return await service.answer(http, dialect, prefix=prefix)

    return ask


def _refused(scope: Scope, error: BethinkError) -> None:
    record: Record = scope["state"]["record"]
    record.error = error.code


def _http_error(error_body: ErrorBody) -> Callable[[Http, Exception], Awaitable[Response]]:
    """Paths and methods that nobody answers."""

    async def answer(http: Http, error: Exception) -> Response:
        path, shown = str(http.scope["path"]), str(http.scope["path"])[:200]
        told: UsageError = NoSuchPath(f"there is nothing at {shown}", "/openapi.json lists what there is")
        if isinstance(error, HTTPException) and error.status_code == 405:
            told = WrongMethod(f"{shown} does not answer {http.method}", "/openapi.json lists what it does")
        Record.of(http).error = told.code
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        return json_response(error_body(path, told), status=told.http_status, headers=headers)

    return answer


async def _openapi(http: Http) -> Response:
    return json_response(http.app.state.openapi)


async def _healthy(_: Http) -> Response:
    return Response("ok\n", media_type="text/plain")


async def _ready(http: Http) -> Response:
    """Whether a request would be answered soon: not while stopping, and not without any model in memory."""
    service = Service.of(http)
    why = "" if service.pool.loaded else "no model is loaded"
    why = "stopping" if service.stopping.is_draining else why
    return Response(f"{why or 'ready'}\n", 503 if why else 200, media_type="text/plain")
