"""`Service`: what every route works with, and the one way from a body to bytes.

A request runs in a task of its own, from its turn in the queue until it is settled; the answer that a client reads only
listens to it. What always holds: a client that goes away, or reads too slowly, ends the run and never its accounting;
the last bytes of an answer leave after its usage was written down; an error leaves in its dialect's own shape, before
the status was sent as a status and afterwards within the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import pydantic_core
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bethink.errors import BethinkError, Delayed, Unauthorized
from bethink.model import Model
from bethink.run import Run
from bethink.server.accounts import Principal
from bethink.server.asking.asks import MAY_WRITE, OWNER, Ask, BadField, Dialect, Envelope, Teller
from bethink.server.limits import ClientGone, Limits, beside, read_limited
from bethink.server.listening import Stopping
from bethink.server.record import Record, new_id
from bethink.server.running.admission import Admission
from bethink.server.running.answering import Answering, Running, Tell, begun, run
from bethink.server.running.keeping import allowed_keep
from bethink.server.running.outbox import Outbox
from bethink.server.running.pool import ModelBroken, Pool
from bethink.server.saying.telling import Part
from bethink.types import Request, Result

QUIET_S = 10.0
"""A stream that has nothing to say for so long says that it lives."""
SSE = "text/event-stream"
ALIVE = b": thinking\n\n"
DRAIN_RETRY_S = 10.0
End = Callable[[list[Result]], None]


class Draining(Delayed):
    code = "stopping"
    http_status = 503


class InternalError(BethinkError):
    """A fault of ours. The client learns which request it was, the operator finds the rest in the log."""

    code = "internal"


@dataclass(slots=True)
class Service:
    """`limits` are what a client may send, `stopping` whether anything new is taken. `on_fault` hears of exceptions
    that nobody expected; `on_settled` of every request that a model ran for."""

    pool: Pool
    admission: Admission = field(default_factory=Admission)
    limits: Limits = field(default_factory=Limits)
    stopping: Stopping = field(default_factory=Stopping)
    running: Running = field(default_factory=Running)
    on_fault: Callable[[BaseException, Record], None] = lambda _error, _record: None
    on_settled: Callable[[Record], None] = lambda _record: None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    @classmethod
    def of(cls, http: Http) -> Service:
        """The service that a route works with."""
        return http.app.state.service

    @property
    def n_running(self) -> int:
        """Requests under way, those that wait for their turn included."""
        return len(self._tasks)

    async def answer(self, http: Http, dialect: Dialect, *, prefix: str) -> Response:
        """Serve one request in `dialect`. Its id begins with `prefix`."""
        record = Record.of(http)
        record.id, record.dialect = new_id(prefix), dialect.name
        OWNER.set(record.asker.workspace_id)
        MAY_WRITE.set(record.asker.logs_content)
        try:
            ask, known = await beside(dialect.read, await read_limited(http, self.limits))
            answering = self.begin(ask, record)
            name = ask.model or answering.model
            teller = dialect.teller(known, Envelope(record.id, name, answering.created, answering.notes))
            record.is_streamed = ask.is_streamed
            if ask.is_streamed:
                return await self._stream(answering, dialect, teller)
            return await self._whole(http, answering, teller)
        except BethinkError as error:
            record.error = error.code
            return error_response(dialect, error)

    def begin(self, ask: Ask, record: Record, *, is_low: bool = False) -> Answering:
        """What is to run, named and allowed. Nothing runs yet.

        Raises: UnknownModel, ModelNotAllowed, ScopeMissing, Draining; BadField: it would run what the client wrote.
        """
        if self.stopping.is_draining:
            raise stopping_error()
        who = record.asker
        who.require("batches" if is_low else "inference")
        if isinstance(ask.request, Request):
            refuse_commands(ask.request)
        record.model = self.pool.resolve(ask.model, who.may_use)
        who.require_model(record.model)
        keep_s, notes = allowed_keep(ask.keep_s, who)
        return Answering(replace(ask, keep_s=keep_s), record.model, who, record, is_low=is_low, notes=notes)

    def start(self, answering: Answering, tell: Tell, end: End = lambda _results: None) -> asyncio.Task[list[Result]]:
        """Run it in a task of its own, which ends when it is settled, whoever still waits for it; then `end` it.

        The task raises: BethinkError; CancelledError where it was stopped before its turn came.
        """
        task = asyncio.create_task(self._carry_out(answering, tell, end), name=f"bethink {answering.id}")
        self._tasks.add(task)
        answering.record.task = task
        task.add_done_callback(self._forget)
        return task

    async def results(self, ask: Ask, principal: Principal, record: Record, *, is_low: bool = True) -> list[Result]:
        """Ask from inside the server (a batch): limits, turns and the ledger as for everybody.

        Raises: BethinkError; Draining: also where the end of this server cut it off.
        """
        record.principal = principal
        answering = self.begin(ask, record, is_low=is_low)
        task = self.start(answering, lambda _choice, _part: None)
        try:
            told = await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():  # it is we who are cancelled
                answering.stop()
                raise
            raise _never_ran(answering) from None
        if answering.is_cut_off:  # also a vote that had an answer already: the paths that were cut have no vote in it
            raise stopping_error()
        return told

    @contextlib.asynccontextmanager
    async def started(self, answering: Answering, request_of: Callable[[Model], Request]) -> AsyncGenerator[Run]:
        """For whoever reads the events of a run themselves (the page): one run, in its turn, settled when they leave.
        `request_of` makes the request that is run of the loaded model.

        Raises: BethinkError.
        """
        with self.running.listed(answering):
            async with self._held(answering) as model:
                request = request_of(model)
                refuse_commands(request)
                answering.ask = replace(answering.ask, request=request, n=1)
                (run,) = await begun(answering, model)
                assert isinstance(run, Run)
                yield run

    @contextlib.asynccontextmanager
    async def _held(self, answering: Answering) -> AsyncGenerator[Model]:
        """The model, in this request's turn; settled when it is let go, whatever happened."""
        answering.waiting = asyncio.current_task()
        loaded = self.pool.loaded.get(answering.model)
        calibration = None if loaded is None else loaded.model.calibration
        async with self.admission.turn(answering, calibration) as pending, self._model(answering) as model:
            answering.waiting = None
            failure: BaseException | None = None
            try:
                yield model
            except BaseException as error:
                failure = error
                raise
            finally:
                pending.settle(failure)
                self.on_settled(answering.record)

    def _model(self, answering: Answering) -> contextlib.AbstractAsyncContextManager[Model]:
        may_shorten = answering.principal.has("admin")
        return self.pool.hold(answering.model, keep_s=answering.ask.keep_s, may_shorten=may_shorten)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it has heard; nobody may be left

    async def _carry_out(self, answering: Answering, tell: Tell, end: End) -> list[Result]:
        results: list[Result] = []
        with self.running.listed(answering):
            async with self._held(answering) as model:
                await run(answering, model, tell, results)
        end(results)
        return results

    async def _whole(self, http: Http, answering: Answering, teller: Teller) -> Response:
        task = self.start(answering, lambda _choice, _part: None)
        with _stopped_when_gone(answering, http.receive):
            try:
                results = await asyncio.shield(task)
            except asyncio.CancelledError:
                if not task.cancelled():  # it is we who are cancelled
                    answering.stop()
                    raise
                raise _never_ran(answering) from None
        return json_response(teller.whole(results))

    async def _stream(self, answering: Answering, dialect: Dialect, teller: Teller) -> Response:
        """The first bytes are waited for before the status is sent, so that what fails at once is an error and no
        stream."""
        outbox = Outbox()

        def end(results: list[Result]) -> None:
            for piece in teller.end(results):
                outbox.put(piece)

        task = self.start(answering, self._telling(answering, teller, outbox), end)
        task.add_done_callback(lambda done: outbox.end(self._failure(done, answering)))
        try:
            first = await outbox.take(QUIET_S)
        except asyncio.CancelledError:
            answering.stop()
            raise
        return Stream(answering, dialect, teller, outbox, first or b"")

    def _telling(self, answering: Answering, teller: Teller, outbox: Outbox) -> Tell:
        has_begun = False

        def tell(choice: int, part: Part) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                for piece in teller.begin():
                    outbox.put(piece)
            for piece in teller.tell(choice, part):
                outbox.put(piece)
            if outbox.n_bytes > self.limits.behind_bytes:
                answering.stop()

        return tell

    def _failure(self, done: asyncio.Task[Any], answering: Answering) -> BethinkError | None:
        """How a request that has ended has failed."""
        if done.cancelled():
            return _never_ran(answering)
        error = done.exception()
        return error if error is None or isinstance(error, BethinkError) else self.fault(error, answering.record)

    def fault(self, error: BaseException, record: Record) -> InternalError:
        self.on_fault(error, record)
        record.error = InternalError.code
        return InternalError(f"this server failed at the request {record.id}", "its log says where")


def stopping_error() -> Draining:
    """What whoever comes too late is told."""
    return Draining("this server is stopping", "ask again in a moment", retry_after_s=DRAIN_RETRY_S)


def _never_ran(answering: Answering) -> BethinkError:
    """Why a request left the queue without its turn."""
    return stopping_error() if answering.is_cut_off else ClientGone("the request was stopped before its turn came")


class Stream(Response):
    """The answer of a request that runs, sent as it comes."""

    def __init__(self, answering: Answering, dialect: Dialect, teller: Teller, outbox: Outbox, first: bytes) -> None:
        self.status_code, self.media_type, self.background = 200, dialect.media_type, None
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no"})
        self._answering, self._teller = answering, teller
        self._outbox, self._first = outbox, first
        self._alive = ALIVE if dialect.media_type == SSE else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        with _stopped_when_gone(self._answering, receive):
            try:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                piece: bytes | None = self._first
                while piece is not None:
                    if piece := piece or self._alive:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                    piece = await self._next()
                await send({"type": "http.response.body", "body": b""})
            except asyncio.CancelledError:
                self._answering.stop()
                raise

    async def _next(self) -> bytes | None:
        """What can be sent now; where the request failed, how the dialect says so within a stream."""
        try:
            return await self._outbox.take(QUIET_S)
        except BethinkError as error:
            self._answering.record.error = error.code
            self._outbox.end_quietly()
            return b"".join(self._teller.fail(error))


@contextlib.contextmanager
def _stopped_when_gone(answering: Answering, receive: Receive) -> Generator[None]:
    """While its client is waited upon: when the client goes away, the request is stopped."""
    gone = asyncio.create_task(_until_gone(receive))
    gone.add_done_callback(lambda done: None if done.cancelled() else answering.stop())
    try:
        yield
    finally:
        gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def refuse_commands(request: Request) -> None:
    """No request from outside runs a command, or a program without a sandbox, whatever dialect or batch it came in.

    Raises: BadField.
    """
    if request.check.startswith("cmd") or request.unsafe_local:
        raise BadField("check", "a server runs no commands of its clients", "auto, none, math, code or schema")


def error_response(dialect: Dialect, error: BethinkError) -> Response:
    return json_response(dialect.error(error), status=error.http_status, headers=error_headers(error))


def error_headers(error: BethinkError) -> dict[str, str]:
    """What the protocol wants beside the words of an error."""
    if isinstance(error, Delayed | ModelBroken):
        return {"retry-after": str(max(1, math.ceil(error.retry_after_s)))}
    if isinstance(error, Unauthorized):
        return {"www-authenticate": "Bearer"}
    return {"connection": "close"} if error.http_status == 408 else {}


def json_response(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(pydantic_core.to_json(value), status, media_type="application/json", headers=headers)
