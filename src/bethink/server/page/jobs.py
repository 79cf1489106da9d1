"""`Jobs`: what takes minutes and belongs to nobody's request: a model that is fetched and prepared.

What always holds: a job goes on when its reader leaves; every reader, late or early, hears how it stands now and how it
ended; a name is fetched once at a time. A job lives in this process: a fetch that was killed is asked for again, and
goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from bethink.errors import BethinkError, StoreError, UsageError
from bethink.server.conversations.records import error_record

KEPT_JOBS = 50
"""Ended jobs whose end can still be asked for."""
AT_MOST_EVERY_S = 0.2


class NoSuchJob(UsageError):
    code = "no_such_job"
    http_status = 404


class JobFailed(StoreError):
    code = "job_failed"


class JobCancelled(UsageError):
    code = "cancelled"


Tell = Callable[[dict[str, Any]], None]
"""How far it is; from any thread."""
Work = Callable[[Tell, "Cancelling"], str]
"""Done in a thread of its own; returns the name of what came of it."""


class Cancelling:
    """Whether a job is to end, and what to call then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_wanted = False
        self._call: Callable[[], object] | None = None

    def want(self) -> None:
        with self._lock:
            self._is_wanted, call = True, self._call
        if call is not None:
            call()

    @contextlib.contextmanager
    def calls(self, call: Callable[[], object]) -> Generator[None]:
        """While this lasts, a wish to end calls that.

        Raises: JobCancelled: it was wished before.
        """
        self.check()
        with self._lock:
            self._call = call
        try:
            yield
        finally:
            with self._lock:
                self._call = None

    def check(self) -> None:
        """Raises: JobCancelled."""
        if self._is_wanted:
            raise JobCancelled("it was cancelled", "what came is kept; the next one goes on from there")


@dataclass(slots=True, eq=False)
class Job:
    """`now` is what a reader is told next; the last of it says `done` or `failed`."""

    id: str
    name: str
    owner: str
    now: dict[str, Any] = field(default_factory=lambda: {"type": "progress", "stage": "asking", "message": ""})
    is_over: bool = False
    cancelling: Cancelling = field(default_factory=Cancelling)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, now: dict[str, Any], *, is_over: bool = False) -> None:
        if not self.is_over:
            self.now, self.is_over = now, is_over
            self._changed.set()
            self._changed = asyncio.Event()

    async def follow(self) -> AsyncGenerator[dict[str, Any]]:
        """How it stands, whenever that changes, to the end."""
        while True:
            changed, is_over = self._changed, self.is_over
            yield self.now
            if is_over:
                return
            await changed.wait()
            if not self.is_over:
                await asyncio.sleep(AT_MOST_EVERY_S)


@dataclass(slots=True)
class Jobs:
    _jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def find(self, job_id: str) -> Job:
        """Raises: NoSuchJob."""
        if (job := self._jobs.get(job_id)) is None:
            raise NoSuchJob(f"there is no job {job_id[:40]!r}", "it may have ended with the server: start it again")
        return job

    def begin(self, name: str, owner: str, work: Work) -> Job:
        """Start it, unless it is under way already."""
        for job in self._jobs.values():
            if job.name == name and not job.is_over:
                return job
        for old in [job.id for job in self._jobs.values() if job.is_over][:-KEPT_JOBS]:
            del self._jobs[old]
        job = Job(f"j{secrets.token_hex(8)}", name, owner)
        self._jobs[job.id] = job
        task = asyncio.create_task(self._run(job, work), name=f"job {job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def close(self) -> None:
        """End what runs; a fetch goes on where it stopped when it is asked for again."""
        for job in self._jobs.values():
            job.cancelling.want()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)

    async def _run(self, job: Job, work: Work) -> None:
        loop = asyncio.get_running_loop()

        def tell(now: dict[str, Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(job.tell, {"type": "progress", **now})

        try:
            name = await asyncio.to_thread(work, tell, job.cancelling)
            job.tell({"type": "done", "name": name}, is_over=True)
        except BethinkError as error:
            job.tell({"type": "failed", "error": error_record(error)}, is_over=True)
        except Exception:  # the boundary: nobody waits for this task to see its error
            logging.getLogger("bethink").exception("the job %s failed", job.id)
            told = JobFailed("it failed for a reason of bethink's own", "the server's log says which")
            job.tell({"type": "failed", "error": error_record(told)}, is_over=True)
