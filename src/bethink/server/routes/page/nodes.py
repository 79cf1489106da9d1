"""Questions and answers of a conversation: asked, answered again, edited, followed, hurried, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from typing import Annotated

from pydantic import Field
from starlette.requests import Request as Http
from starlette.responses import Response, StreamingResponse

from bethink.server.asking.asks import BadField
from bethink.server.asking.knobs import Strict
from bethink.server.conversations.eventlog import LAST, Numbered
from bethink.server.conversations.records import node_record
from bethink.server.conversations.values import MAX_CONTENT, NoSuchNode, TurnSettings
from bethink.server.record import Record
from bethink.server.routes.page.answering import body_of, page_of
from bethink.server.routes.page.conversations import number
from bethink.server.routes.page.person import person_of
from bethink.server.running.service import json_response
from bethink.server.streams import beating

BEAT_S, ALIVE_BEATS = 1.0, 10
"""How often a quiet stream is looked after, and every how many times it says that it lives."""
NUMBERS = 1 << 53
"""Event numbers are below it, so that JavaScript counts them exactly."""


class AskBody(Strict):
    content: str
    parent: str | None = None
    files: tuple[str, ...] = ()
    settings: TurnSettings = TurnSettings()


class AgainBody(Strict):
    settings: TurnSettings = TurnSettings()
    thought: Annotated[str, Field(max_length=MAX_CONTENT)] | None = None


class EditBody(Strict):
    content: str


async def ask(http: Http) -> Response:
    body = await body_of(http, AskBody)
    page, owner = page_of(http), person_of(http).owner
    page.detached.runs.check(body.settings.model or "", Record.of(http).asker)
    asked = await asyncio.to_thread(
        page.conversations.ask,
        owner,
        str(http.path_params["id"]),
        body.parent,
        body.content,
        body.settings,
        seed=_seed(body.settings),
        key_id=Record.of(http).asker.key_id,
        file_ids=body.files,
    )
    page.detached.begin(asked.pending)
    told = {"user": node_record(asked.user), "assistant": node_record(asked.pending.node)}
    return json_response(told, status=202)


async def ask_again(http: Http) -> Response:
    body = await body_of(http, AgainBody)
    page, owner, node_id = page_of(http), person_of(http).owner, str(http.path_params["node"])
    before = await asyncio.to_thread(page.conversations.settings_of, owner, node_id)
    settings = body.settings if before is None else before.changed_by(body.settings)
    page.detached.runs.check(settings.model or "", Record.of(http).asker)
    pending = await asyncio.to_thread(
        page.conversations.again,
        owner,
        str(http.path_params["id"]),
        node_id,
        body.settings,
        seed=_seed(body.settings),
        key_id=Record.of(http).asker.key_id,
        thought=body.thought,
    )
    page.detached.begin(pending)
    return json_response({"assistant": node_record(pending.node)}, status=202)


async def edit(http: Http) -> Response:
    """A person's own text in place of an answer's, beside it."""
    body = await body_of(http, EditBody)
    which, node_id = str(http.path_params["id"]), str(http.path_params["node"])
    kept = await asyncio.to_thread(
        page_of(http).conversations.edit, person_of(http).owner, which, node_id, body.content
    )
    return json_response({"assistant": node_record(kept)})


async def follow(http: Http) -> Response:
    """The events of an answer as they come, from wherever the reader is."""
    page, owner, node_id = page_of(http), person_of(http).owner, str(http.path_params["node"])
    after = max(number(http, "after", 0, 0, NUMBERS), _last_event_id(http))
    node = await asyncio.to_thread(page.conversations.find, owner, node_id)
    if node.role != "assistant":
        raise NoSuchNode(f"{node_id!r} is a question", "only answers have events")
    if after >= LAST and not node.is_open:
        return Response(status_code=204)
    events = page.detached.follow(owner, node_id, after)
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    is_stopping = page.service.stopping
    return StreamingResponse(
        _told(events, lambda: is_stopping.is_draining), media_type="text/event-stream", headers=headers
    )


async def answer_now(http: Http) -> Response:
    return await _control(http, "answer_now")


async def stop(http: Http) -> Response:
    return await _control(http, "stop")


async def _control(http: Http, action: str) -> Response:
    """What is over already needs nothing: that is no error, since a page may always be a moment late."""
    page, node_id = page_of(http), str(http.path_params["node"])
    node = await asyncio.to_thread(page.conversations.find, person_of(http).owner, node_id)
    if node.is_open:
        with contextlib.suppress(NoSuchNode):
            answer = page.detached.find(node_id)
            answer.answer_now() if action == "answer_now" else answer.stop()
    return json_response({"id": node_id, "action": action})


async def _told(events: AsyncGenerator[Numbered], is_ending: Callable[[], bool]) -> AsyncGenerator[bytes]:
    """A server that stops lets its readers go: they come back to the next one."""
    n_quiet = 0
    async with contextlib.aclosing(beating(events, BEAT_S)) as beats:
        async for item in beats:
            if is_ending():
                return
            n_quiet = n_quiet + 1 if item is None else 0
            if item is not None:
                yield b"id: %d\ndata: %b\n\n" % item
            elif n_quiet % ALIVE_BEATS == 0:
                yield b": here\n\n"


def _last_event_id(http: Http) -> int:
    given = http.headers.get("last-event-id", "").strip()
    if not given:
        return 0
    if not (given.isascii() and given.isdecimal() and len(given) <= 16):
        raise BadField("last-event-id", f"last-event-id is {given[:40]!r}", "the id of an event of this stream")
    return int(given)


def _seed(settings: TurnSettings) -> int:
    return random.SystemRandom().randrange(2**31) if settings.seed is None else settings.seed
