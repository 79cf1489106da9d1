"""`Batches`: takes batches in turn and asks their requests inside the server, at low priority.

What always holds: each request of a batch gets exactly one line, in the output or among the errors, however often the
server is killed or stopped; a limit that says "later", or a disk without room, is waited for and is no error; a batch
that is cancelled, or whose time is over, ends with the lines it has, and an error line for each of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from bethink.errors import AccountsError, BethinkError, Delayed, DiskFull
from bethink.server.accounts import Principal
from bethink.server.asking.asks import MAY_WRITE, OWNER, BadField, Dialect, Envelope
from bethink.server.batches.files import Files, NoSuchFile
from bethink.server.batches.lines import Line, body_of, read_lines
from bethink.server.batches.store import OVER, Batch, BatchStore
from bethink.server.record import Record, new_id
from bethink.server.running.keeping import allowed_keep
from bethink.server.running.pool import ModelBroken
from bethink.server.running.service import Draining, Service

AT_ONCE = 16
"""Requests of a batch that are in the queue together; how many run is the engine's own affair."""
MOST_WAIT_S = 30.0
Written = TypeVar("Written")


@dataclass(slots=True)
class Batches:
    """`dialects` by path. `patience_s` goes by before a disk without room, or a ledger that is away, is tried again."""

    service: Service
    files: Files
    store: BatchStore
    dialects: Mapping[str, Dialect]
    patience_s: float = 5.0
    _waiting: asyncio.Queue[str] = field(default_factory=asyncio.Queue[str])
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on with what an earlier server left, the oldest first."""
        for batch in reversed(self.store.all()):
            if batch.status not in OVER:
                self._waiting.put_nowait(batch.id)
        self._task = asyncio.create_task(self._take_turns(), name="bethink batches")

    async def stop(self) -> None:
        """What runs is asked again by the next server."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def add(self, batch: Batch) -> None:
        self.store.save(batch)
        self._waiting.put_nowait(batch.id)

    def cancel(self, batch_id: str, owner: str) -> Batch:
        """Raises: NoSuchBatch, BadField: it is over."""
        batch = self.store.get(batch_id, owner)
        if batch.status in OVER:
            raise BadField("id", f"{batch_id} is {batch.status} already")
        self.store.save(batch, "cancelling")
        if (task := self._running.get(batch_id)) is not None:
            task.cancel()
        return batch

    async def _take_turns(self) -> None:
        while True:
            batch_id = await self._waiting.get()
            batch = next((one for one in self.store.all() if one.id == batch_id), None)
            if batch is None or batch.status in OVER:
                continue
            task = self._running[batch_id] = asyncio.create_task(self._carry_out(batch), name=f"bethink {batch_id}")
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()  # where the server stops
                (failure,) = await asyncio.gather(task, return_exceptions=True)
                del self._running[batch_id]
            if isinstance(failure, Exception):
                told = self.service.fault(failure, Record(path=batch.endpoint))
                batch.errors = [{"line": None, "code": told.code, "message": str(told), "param": None}]
                await self._written(lambda batch=batch: self.store.save(batch, "failed"))

    async def _carry_out(self, batch: Batch) -> None:
        lines = await self._lines(batch)
        if lines is None:
            return
        done = set(self.store.results(batch, "output"))
        failed = set(self.store.results(batch, "error"))
        batch.n_total, batch.n_completed, batch.n_failed = len(lines), len(done), len(failed)
        left = [line for line in lines if line.custom_id not in done | failed]
        try:
            if not self._is_cancelled(batch):
                await self._written(lambda: self.store.save(batch, "in_progress"))
                async with asyncio.timeout(max(0.0, batch.expires_at - self.store.now())):
                    await self._ask_all(batch, left)
                await self._finish(batch, [], "completed")
        except TimeoutError:
            await self._finish(batch, left, "expired")
        except asyncio.CancelledError:
            if not self._is_cancelled(batch):
                raise  # the server stops; the next one goes on
        if self._is_cancelled(batch):
            await self._finish(batch, left, "cancelled")

    def _is_cancelled(self, batch: Batch) -> bool:
        return self.store.get(batch.id, batch.owner).status == "cancelling"

    async def _lines(self, batch: Batch) -> Sequence[Line] | None:
        """None: the batch failed before it began."""
        try:
            lines, wrong = read_lines(self.files.content(batch.input_file_id, batch.owner), batch.endpoint)
        except NoSuchFile as error:
            batch.errors = [{"line": None, "code": error.code, "message": str(error), "param": "input_file_id"}]
        else:
            if not wrong:
                return lines
            batch.errors = [one.shown() for one in wrong]
        await self._written(lambda: self.store.save(batch, "failed"))
        return None

    async def _ask_all(self, batch: Batch, left: Sequence[Line]) -> None:
        pending = iter(left)

        async def place() -> None:
            for line in pending:  # shared: each line is taken by one place
                await self._answer(batch, line)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(left))):
                group.create_task(place())

    async def _answer(self, batch: Batch, line: Line) -> None:
        record = Record(method="POST", path=batch.endpoint)
        dialect = self.dialects[batch.endpoint]
        status, error_line = 200, None
        try:
            said = await self._ask(batch, line, dialect, record)
        except BethinkError as error:
            status, said, error_line = error.http_status, dialect.error(error), True
        result = {
            "id": new_id("batch_req_"),
            "custom_id": line.custom_id,
            "response": {"status_code": status, "request_id": record.id, "body": said},
            "error": None,
        }
        await self._written(lambda: self.store.add_result(batch, result, is_error=bool(error_line)))
        batch.n_failed += bool(error_line)
        batch.n_completed += not error_line
        await self._written(lambda: None if self._is_cancelled(batch) else self.store.save(batch))

    async def _ask(self, batch: Batch, line: Line, dialect: Dialect, record: Record) -> Mapping[str, Any]:
        """Raises: BethinkError: it will not be otherwise later."""
        pause_s = self.patience_s
        while True:
            try:
                who = self._principal(batch)
                OWNER.set(batch.owner)
                MAY_WRITE.set(who.logs_content)
                ask, known = dialect.read(body_of(line))
                if "stream" in line.body and ask.is_streamed:
                    raise BadField("stream", "a batch is no place to stream into", "leave stream away")
                record.id, record.dialect = new_id("batch-"), dialect.name
                results = await self.service.results(ask, who, record)
                _, notes = allowed_keep(ask.keep_s, who)
                envelope = Envelope(record.id, ask.model or record.model, int(self.store.now()), notes)
                return dialect.teller(known, envelope).whole(results)
            except Draining:
                await asyncio.Event().wait()  # until the server has stopped: the next one asks again
            except (Delayed, ModelBroken) as error:
                await asyncio.sleep(min(error.retry_after_s, MOST_WAIT_S))
            except AccountsError:  # nobody can count it now; each attempt may cost a whole answer
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, MOST_WAIT_S)

    async def _written(self, write: Callable[[], Written]) -> Written:
        """What is to be on the disk is kept until there is room for it."""
        has_said = False
        while True:
            try:
                return write()
            except DiskFull as error:
                if not has_said:
                    logging.getLogger("bethink").warning("a batch waits for room: %s", error)
                has_said = True
                await asyncio.sleep(self.patience_s)

    def _principal(self, batch: Batch) -> Principal:
        """As the key is now: one that was revoked asks nothing more."""
        admission = self.service.admission
        if not batch.key_id or admission.accounts is None:
            return admission.local()
        return admission.accounts.principal(batch.key_id)

    async def _finish(self, batch: Batch, left: Sequence[Line], status: Any) -> None:
        """`left` get an error line where they have none yet."""
        done = {*self.store.results(batch, "output"), *self.store.results(batch, "error")}
        batch.moments |= self.store.get(batch.id, batch.owner).moments
        for line in left:
            if line.custom_id not in done:
                why = {"code": f"batch_{status}", "message": f"the batch was {status} before this request was answered"}
                missed = {"id": new_id("batch_req_"), "custom_id": line.custom_id, "response": None, "error": why}
                await self._written(lambda missed=missed: self.store.add_result(batch, missed, is_error=True))
                batch.n_failed += 1
        if status == "completed":
            await self._written(lambda: self.store.save(batch, "finalizing"))
        for kind in ("output", "error"):
            path = self.store.result_path(batch, kind)
            if path.exists():
                name, data = f"{batch.id}_{kind}.jsonl", path.read_bytes()
                put = partial(self.files.put, batch.owner, name, "batch_output", data)
                stored = await self._written(put)
                setattr(batch, f"{kind}_file_id", stored.id)
        await self._written(lambda: self.store.save(batch, status))
