"""Interpreters kept ready, each for one program, and the `Sandbox` that lends them."""

from __future__ import annotations

import copy
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bethink.errors import SandboxMissing
from bethink.verify.sandbox.inside import MEMORY_EXIT, package
from bethink.verify.sandbox.isolation import Walls
from bethink.verify.sandbox.limits import Limits, Ran
from bethink.verify.sandbox.watch import Channel, watch
from bethink.verify.sandbox.worker import StartFailed, Worker, start_isolated, start_local

HINT = "install bubblewrap (Debian: apt-get install bubblewrap), or say --unsafe-local to run it without walls"


class Sandbox:
    """Runs programs, from any number of threads at once. Each gets an interpreter that has run nothing before and runs
    nothing after. `is_isolated` is False when there are no walls around it."""

    def __init__(self, start: Callable[[int], Worker], *, is_isolated: bool, counts_threads: bool) -> None:
        self.is_isolated = is_isolated
        self._counts_threads = counts_threads
        self._given_up = threading.Event()
        self._is_lease = False
        self._pool = _Pool(start, n_ready=max(4, 2 * (os.cpu_count() or 1)))

    def run(self, program: str, *, stdin: str = "", limits: Limits = Limits()) -> Ran:  # noqa: B008  frozen
        """Run a program to its end. What it does wrong is told in what is returned, never raised."""
        began = time.monotonic()
        output = bytearray()
        with self.worker(limits) as worker:
            argument = program, MEMORY_EXIT
            channel = self.channel(worker, "bethink.verify.sandbox.program", argument, limits, output.extend)
            channel.send(stdin.encode("utf-8", "surrogatepass"))
            watch([channel], until=time.monotonic() + limits.wall_s)
        ended = channel.ended()
        texts = [bytes(data).decode("utf-8", "replace") for data in (output, channel.errors)]
        return Ran(ended, texts[0], texts[1], channel.exit_code, time.monotonic() - began, channel.why)

    @contextmanager
    def worker(self, limits: Limits) -> Generator[Worker]:
        """An interpreter that waits for its message, gone when the block is left. Raises: SandboxMissing."""
        if self._given_up.is_set():
            raise SandboxMissing("what was to run is not needed any more")
        worker = self._pool.take(limits.file_bytes)
        try:
            yield worker
        finally:
            worker.destroy()
            self._pool.give_back()

    def channel(
        self, worker: Worker, entry: str, argument: object, limits: Limits, deliver: Callable[[bytes], None]
    ) -> Channel:
        """The worker with its message: `main(argument)` of the module `entry` (see `inside`), under the limits."""
        message = package(entry, argument, limits, counts_threads=self._counts_threads)
        return Channel(worker, limits, deliver, bytearray(message), is_given_up=self._given_up.is_set)

    def lease(self, given_up: threading.Event) -> Sandbox:
        """The same interpreters for somebody who may lose interest: when `given_up` is set, what runs in the lease is
        ended at once and nothing new begins. Closing a lease leaves the sandbox open."""
        lease = copy.copy(self)
        lease._given_up, lease._is_lease = given_up, True
        return lease

    def close(self) -> None:
        """End the interpreters that wait. Programs that still run end with their own calls. May be called again."""
        if not self._is_lease:
            self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_sandbox(*, unsafe_local: bool = False) -> Sandbox:
    """The sandbox of this machine. `unsafe_local` goes without walls where there are none, or says what it did by
    `is_isolated`. Raises: SandboxMissing, after a trial, when programs cannot be isolated here."""
    walls = Walls.find()
    reason = walls if isinstance(walls, str) else _trial(walls)
    if isinstance(walls, Walls) and not reason:
        counts = _counts_threads(walls)
        return Sandbox(lambda size: start_isolated(walls, size), is_isolated=True, counts_threads=counts)
    if unsafe_local and os.name == "posix":
        return Sandbox(start_local, is_isolated=False, counts_threads=False)
    raise SandboxMissing(f"code cannot be run safely here: {reason}", HINT)


def _trial(walls: Walls) -> str:
    """Empty when a program really ran inside; else what went wrong."""
    try:
        sandbox = Sandbox(
            lambda size: start_isolated(walls, size), is_isolated=True, counts_threads=_counts_threads(walls)
        )
        with sandbox:
            ran = sandbox.run("print(6 * 7)")
    except SandboxMissing as error:
        return str(error)
    return "" if ran.stdout == "42\n" else f"a trial ended with {ran.why or ran.ended}: {ran.stderr.strip()[-300:]}"


def _counts_threads(walls: Walls) -> bool:
    """Whether RLIMIT_NPROC means this program alone: it has a user id of its own, or a user namespace on a kernel that
    counts per namespace (5.14)."""
    release = tuple(int(word) for word in os.uname().release.split("-")[0].split(".")[:2] if word.isdigit())
    return walls.gives_user or release >= (5, 14)


@dataclass(slots=True, eq=False)
class _Order:
    """One worker that somebody waits for."""

    scratch_bytes: int
    worker: Worker | None = None
    failure: str = ""


class _Pool:
    """A thread that starts interpreters ahead of their use. It starts every one itself, because an isolated one dies
    with the thread that started it; so it lives until the pool is closed and the last one that was lent is back."""

    def __init__(self, start: Callable[[int], Worker], n_ready: int) -> None:
        self._start, self._n_ready = start, n_ready
        self._usual_bytes = Limits().file_bytes
        self._ready: deque[Worker] = deque()
        self._wanted: deque[_Order] = deque()
        self._n_lent = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def take(self, scratch_bytes: int) -> Worker:
        """Raises: SandboxMissing."""
        order = _Order(scratch_bytes)
        with self._changed:
            if self._is_closed:
                raise SandboxMissing("the sandbox was closed", "open it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)
                self._thread.start()
            self._wanted.append(order)
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: order.worker or order.failure)
            except BaseException:  # Ctrl-C: nobody waits for it any more
                self._forget(order)
                raise
            if order.worker is None:
                raise SandboxMissing(order.failure, HINT)
            self._n_lent += 1
        return order.worker

    def give_back(self) -> None:
        """A lent one is gone."""
        with self._changed:
            self._n_lent -= 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            thread, is_lent = self._thread, self._n_lent > 0
        if thread is not None and not is_lent:
            thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                if self._is_closed and not self._wanted:
                    break
                order = self._wanted[0] if self._wanted else None
                is_usual = order is None or order.scratch_bytes == self._usual_bytes
                if order and is_usual and self._ready:
                    worker = self._ready.popleft()
                    if worker.process.poll() is None:
                        self._hand_over(order, worker)
                    else:
                        worker.destroy()  # something else killed it while it waited
                    continue
            size = order.scratch_bytes if order else self._usual_bytes
            try:
                worker = self._start(size)
            except (StartFailed, OSError, ValueError) as error:
                self._fail(str(error))
                continue
            with self._changed:
                if order in self._wanted:
                    self._hand_over(order, worker)
                elif size == self._usual_bytes:
                    self._ready.append(worker)
                else:
                    worker.destroy()
        while self._ready:
            self._ready.popleft().destroy()
        with self._changed:
            self._changed.wait_for(lambda: self._n_lent == 0)

    def _forget(self, order: _Order) -> None:
        if order in self._wanted:
            self._wanted.remove(order)
        if order.worker is not None:
            order.worker.destroy()

    def _has_work(self) -> bool:
        return self._is_closed or bool(self._wanted) or len(self._ready) < self._n_ready

    def _hand_over(self, order: _Order | None, worker: Worker) -> None:
        assert order
        self._wanted.remove(order)
        order.worker = worker
        self._changed.notify_all()

    def _fail(self, why: str) -> None:
        """Tell those who wait; without anybody waiting, try again in a while."""
        with self._changed:
            for order in self._wanted:
                order.failure = why or "no interpreter came up"
            self._wanted.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_closed or bool(self._wanted), timeout=1)
