"""The outermost layer of the application: every request gets a record and an id, and is told once when it is over.

Owns the one boundary for exceptions that nobody expected: they leave as an error in the dialect's own shape with the
request's id, and are logged once. Plain ASGI, so that streams pass through untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bethink.server.door.guard import ErrorBody, send_json
from bethink.server.record import Record
from bethink.server.running.service import Service, error_headers, stopping_error


@dataclass(slots=True)
class Recorder:
    """`on_over` hears of every request, after its run was settled."""

    app: ASGIApp
    service: Service
    error_body: ErrorBody
    on_over: Callable[[Record], None] = lambda _record: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = _record_of(scope)
        scope.setdefault("state", {})["record"] = record
        recorded = self._recorded(record, send)
        try:
            await self.app(scope, receive, recorded)
        except asyncio.CancelledError:
            if record.status or not self.service.stopping.is_draining:
                raise
            await self._too_late(scope, record, recorded)
        except Exception as error:  # noqa: BLE001 - the one boundary: nothing may leave as a bare traceback
            await self._fail(scope, record, recorded, error)
        finally:
            await self._over(record)

    def _recorded(self, record: Record, send: Send) -> Send:
        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                headers.setdefault("x-request-id", record.id)
                if self.service.stopping.is_draining:
                    headers["connection"] = "close"
                message["headers"] = headers.raw
            await send(message)

        return recorded

    async def _fail(self, scope: Scope, record: Record, send: Send, error: Exception) -> None:
        told = self.service.fault(error, record)
        if record.status == 0:
            await send_json(send, self.error_body(scope["path"], told), status=500)
        else:
            raise error  # half an answer was sent: the connection is cut, so that it does not look whole

    async def _too_late(self, scope: Scope, record: Record, send: Send) -> None:
        """The server ends while this request still arrives: it is told so, as any other that comes too late."""
        told = stopping_error()
        record.error = told.code
        body = self.error_body(scope["path"], told)
        await send_json(send, body, status=told.http_status, headers=error_headers(told))

    async def _over(self, record: Record) -> None:
        if record.task is not None and not record.task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({record.task})
        record.total_s = record.seconds()
        self.on_over(record)


def _record_of(scope: Scope) -> Record:
    client = scope.get("client")
    return Record(
        method=scope["method"],
        path=scope["path"],
        client=client[0] if client else "",
        parent=Headers(scope=scope).get("traceparent", ""),
    )
