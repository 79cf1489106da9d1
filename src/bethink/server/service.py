"""`Service`: what every route works with, and the one way from a body to bytes.

Owns admission and settlement around a run (`server.admission`), and that errors leave in their dialect's own shape.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pydantic_core
from starlette.requests import Request as Http
from starlette.responses import Response, StreamingResponse

from bethink.errors import BethinkError
from bethink.model import Model
from bethink.server.answering import Answering, Running, new_id, refuse_longer, run
from bethink.server.asks import Dialect, Envelope, Teller
from bethink.server.limits import Limits, read_limited
from bethink.server.pool import Pool
from bethink.types import Result

QUIET_S = 10.0
"""A stream that has nothing to say for so long says that it lives."""
ALIVE = b": thinking\n\n"


@dataclass(slots=True)
class Service:
    """`limits` are what a client may send."""

    pool: Pool
    running: Running = field(default_factory=Running)
    limits: Limits = field(default_factory=Limits)

    async def answer(self, http: Http, dialect: Dialect, *, prefix: str) -> Response:
        """Serve one request in `dialect`. Its id begins with `prefix`."""
        try:
            ask, known = dialect.read(await read_limited(http, self.limits))
            name = self.pool.resolve(ask.model)
            answering = Answering(new_id(prefix), ask)
            envelope = Envelope(answering.id, ask.model or name, answering.created)
            teller = dialect.teller(known, envelope)
            if ask.is_streamed:
                return await self._stream(answering, name, dialect, teller)
            return await self._whole(http, answering, name, teller)
        except BethinkError as error:
            return error_response(dialect, error)

    async def _whole(self, http: Http, answering: Answering, name: str, teller: Teller) -> Response:
        results: list[Result] = []
        async with self._held(answering, name) as model:
            gone = asyncio.create_task(_until_gone(http))
            gone.add_done_callback(lambda task: None if task.cancelled() else answering.stop())
            try:
                async for _ in run(answering, model, results.extend):
                    pass
            finally:
                gone.cancel()
        return json_response(teller.whole(results), headers=_headers(answering))

    async def _stream(self, answering: Answering, name: str, dialect: Dialect, teller: Teller) -> Response:
        """The first part is waited for before the status is sent, so that what fails at once is an error and no
        stream."""
        bytes_of = self._bytes(answering, name, dialect, teller)
        first = await anext(bytes_of)

        async def body() -> AsyncIterator[bytes]:
            try:
                yield first
                async for piece in bytes_of:
                    yield piece
            finally:
                await bytes_of.aclose()

        headers = {"cache-control": "no-cache", "x-accel-buffering": "no", **_headers(answering)}
        return StreamingResponse(body(), media_type=dialect.media_type, headers=headers)

    async def _bytes(self, answering: Answering, name: str, dialect: Dialect, teller: Teller) -> AsyncGenerator[bytes]:
        results: list[Result] = []
        has_begun = False
        alive = ALIVE if dialect.media_type == "text/event-stream" else b""
        try:
            async with (
                self._held(answering, name) as model,
                contextlib.aclosing(run(answering, model, results.extend)) as parts,
            ):
                async for item in _with_pulse(parts):
                    said = list(teller.begin()) if not has_begun else []
                    has_begun = True
                    said += [alive] if item is None else list(teller.tell(*item))
                    if said:
                        yield b"".join(said)
            yield b"".join(teller.end(results))
        except BethinkError as error:
            if not has_begun:
                raise
            yield b"".join(teller.fail(error))

    @contextlib.asynccontextmanager
    async def _held(self, answering: Answering, name: str) -> AsyncGenerator[Model]:
        async with self.pool.hold(name, keep_s=answering.ask.keep_s) as model:
            refuse_longer(answering.ask, model)
            with self.running.listed(answering):
                yield model


async def _with_pulse(parts: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    """The same parts, and None whenever none came for a while."""
    pending = asyncio.ensure_future(anext(parts, _END))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=QUIET_S)
            if not done:
                yield None
                continue
            if (item := pending.result()) is _END:
                return
            yield item
            pending = asyncio.ensure_future(anext(parts, _END))
    finally:
        if not pending.done():
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, BethinkError):
                await pending


_END: Any = object()


async def _until_gone(http: Http) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _headers(answering: Answering) -> dict[str, str]:
    return {"x-request-id": answering.id}


def error_response(dialect: Dialect, error: BethinkError) -> Response:
    return json_response(dialect.error(error), status=error.http_status)


def json_response(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(pydantic_core.to_json(value), status, media_type="application/json", headers=headers)
