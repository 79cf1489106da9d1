"""`/api/models` and `/api/jobs`: what there is, what fits, what is fetched; only an administrator changes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

import pydantic_core
from pydantic import Field
from starlette.requests import Request as Http
from starlette.responses import Response, StreamingResponse

from bethink.errors import UsageError
from bethink.server.asking.knobs import Strict
from bethink.server.page.fetching import fetching, listed, refuse_names
from bethink.server.page.jobs import Job
from bethink.server.record import Record
from bethink.server.routes.page.answering import body_of, page_of
from bethink.server.routes.page.person import person_of
from bethink.server.running.service import json_response
from bethink.server.streams import beating
from bethink.store import Store


class ModelInUse(UsageError):
    code = "model_in_use"
    http_status = 409


class PullBody(Strict):
    name: Annotated[str, Field(min_length=1, max_length=500)]


async def list_models(http: Http) -> Response:
    page = page_of(http)
    rows = await asyncio.to_thread(listed, Store(page.settings.home), list(page.service.pool.loaded))
    may_use = Record.of(http).asker.may_use
    return json_response({"models": [row for row in rows if may_use(row["name"])]})


async def pull_model(http: Http) -> Response:
    Record.of(http).asker.require("admin")
    body, page = await body_of(http, PullBody), page_of(http)
    store = Store(page.settings.home)
    await asyncio.to_thread(refuse_names, store, body.name)
    name = store.canonical_name(body.name)
    job = page.jobs.begin(name, person_of(http).owner, fetching(page.settings, body.name))
    return json_response({"job": job.id}, status=202)


async def remove_model(http: Http) -> Response:
    Record.of(http).asker.require("admin")
    page, store = page_of(http), Store(page_of(http).settings.home)
    name = store.canonical_name(str(http.path_params["name"]))
    pool = page.service.pool
    if name in pool.loaded and not await pool.unload(name):
        raise ModelInUse(f"{name} is at work", "try again when nobody asks it")
    await asyncio.to_thread(store.remove, name)
    return Response(status_code=204)


async def follow_job(http: Http) -> Response:
    page = page_of(http)
    job, stopping = page.jobs.find(str(http.path_params["job"])), page.service.stopping
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    told = _told(job, lambda: stopping.is_draining)
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


async def cancel_job(http: Http) -> Response:
    Record.of(http).asker.require("admin")
    job = page_of(http).jobs.find(str(http.path_params["job"]))
    await asyncio.to_thread(job.cancelling.want)
    return Response(status_code=204)


async def _told(job: Job, is_ending: Callable[[], bool]) -> AsyncGenerator[bytes]:
    events: AsyncGenerator[dict[str, Any]] = job.follow()
    async with contextlib.aclosing(beating(events, 1.0)) as beats:
        async for item in beats:
            if is_ending():
                return
            yield b": here\n\n" if item is None else b"data: %b\n\n" % pydantic_core.to_json(item)
