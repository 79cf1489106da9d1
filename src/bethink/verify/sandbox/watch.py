"""The loop that feeds running workers, reads them, and holds them to their limits from outside."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bethink.verify.sandbox.inside import MEMORY_EXIT
from bethink.verify.sandbox.limits import Ended, Limits
from bethink.verify.sandbox.worker import Worker, children

_TICK_S = 0.02
_CHUNK = 1 << 16
MAX_ENTRIES = 4096
"""Files, folders and links that a program may make."""


@dataclass(slots=True)
class Channel:
    """A worker that was given its message, with what is still to be sent and what came out so far. `deliver` gets its
    standard output as it comes."""

    worker: Worker
    limits: Limits
    deliver: Callable[[bytes], None]
    to_send: bytearray = field(default_factory=bytearray)
    is_last: bool = True
    """Whether its standard input ends after what is to be sent now."""
    errors: bytearray = field(default_factory=bytearray)
    n_output: int = 0
    n_open: int = 2
    stopped: Ended | None = None
    """Which limit was met. None while none was."""
    why: str = ""
    is_given_up: Callable[[], bool] = lambda: False
    """Whether nobody waits for it any more."""
    _inner: int = 0

    def send(self, data: bytes) -> None:
        self.to_send += data

    def stop(self, ended: Ended, why: str) -> None:
        """End it at once; the first reason counts."""
        if self.stopped is None:
            self.stopped, self.why = ended, why
        self.worker.destroy()

    @property
    def is_over(self) -> bool:
        return self.stopped is not None or (self.n_open == 0 and self.worker.process.poll() is not None)

    @property
    def exit_code(self) -> int:
        """128 + signal where a signal ended it, also without bwrap, which says it like that."""
        code = self.worker.process.returncode
        return 0 if code is None else code if code >= 0 else 128 - code

    def ended(self) -> Ended:
        """How it went, once it is over."""
        if self.stopped is not None:
            return self.stopped
        match self.exit_code:
            case 0:
                return "ok"
            case 152:  # SIGXCPU
                self.why = self.why or f"used more than {self.limits.cpu_s:g} s of the processor"
                return "timed_out"
            case code if code == MEMORY_EXIT:
                self.why = self.why or f"needed more than {self.limits.memory_bytes >> 20} MiB of memory"
                return "memory"
            case code:
                self.why = self.why or (f"ended by signal {code - 128}" if code > 128 else f"exit code {code}")
                return "killed" if code > 128 else "error"

    def look(self) -> None:
        """Whether anybody still waits for it, and what limits of the kernel do not hold everywhere: threads (not for
        root), files made (never)."""
        if self.is_given_up():
            self.stop("killed", "it was not needed any more")
            return
        self._inner = self._inner or next(iter(children(self.worker.pid)), 0)
        if not self._inner or not self.worker.is_isolated:
            return
        with contextlib.suppress(OSError, ValueError):
            n_threads = len(os.listdir(f"/proc/{self._inner}/task"))  # noqa: PTH208  called often
            if n_threads > self.limits.n_processes + 2:
                self.stop("killed", f"more than {self.limits.n_processes} threads")
                return
            disk = os.statvfs(f"/proc/{self._inner}/root/scratch")
            if disk.f_files - disk.f_ffree > MAX_ENTRIES:
                self.stop("killed", f"more than {MAX_ENTRIES} files")


def watch(channels: Sequence[Channel], *, until: float, is_done: Callable[[], bool] | None = None) -> None:
    """Returns when every channel is over (or `is_done`), at the latest soon after `until` on the monotonic clock: then
    those that still run are stopped as timed out. Never leaves one running unless `is_done`."""
    next_look = time.monotonic() + _TICK_S
    with selectors.DefaultSelector() as selector:
        for channel in channels:
            _register(selector, channel)
        while not all(channel.is_over for channel in channels) and not (is_done and is_done()):
            now = time.monotonic()
            if now >= until:
                for channel in channels:
                    if not channel.is_over:
                        channel.stop("timed_out", f"took longer than {channel.limits.wall_s:g} s")
                return
            if now >= next_look:
                next_look = now + _TICK_S
                for channel in channels:
                    if not channel.is_over:
                        channel.look()
            _turn(selector, channels, min(until, next_look) - now)


def _register(selector: selectors.BaseSelector, channel: Channel) -> None:
    worker = channel.worker
    selector.register(worker.stdout, selectors.EVENT_READ, channel)
    selector.register(worker.stderr, selectors.EVENT_READ, channel)


def _turn(selector: selectors.BaseSelector, channels: Sequence[Channel], wait_s: float) -> None:
    for channel in channels:
        _flush(selector, channel)
    if any(channel.n_open == 0 for channel in channels):
        wait_s = min(wait_s, 0.001)  # it closed its output and is about to end, or pretends to
    for key, _ in selector.select(max(0.0, wait_s)):
        channel: Channel = key.data
        if channel.stopped is None and key.fileobj is not channel.worker.stdin:
            _read(selector, channel, is_error=key.fileobj is channel.worker.stderr)
    for channel in channels:
        if channel.stopped is not None:
            _forget(selector, channel)


def _flush(selector: selectors.BaseSelector, channel: Channel) -> None:
    """Send what the pipe takes; wait for room, in the selector, for the rest."""
    pipe = channel.worker.stdin
    if pipe.closed or channel.stopped is not None:
        return
    try:
        while channel.to_send:
            del channel.to_send[: os.write(pipe.fileno(), channel.to_send[:_CHUNK])]
    except BlockingIOError:
        with contextlib.suppress(KeyError):
            selector.register(pipe, selectors.EVENT_WRITE, channel)
        return
    except BrokenPipeError:
        channel.to_send.clear()
    with contextlib.suppress(KeyError):
        selector.unregister(pipe)
    if channel.is_last:
        pipe.close()


def _read(selector: selectors.BaseSelector, channel: Channel, *, is_error: bool) -> None:
    pipe = channel.worker.stderr if is_error else channel.worker.stdout
    try:
        data = os.read(pipe.fileno(), _CHUNK)
    except BlockingIOError:
        return
    if not data:
        selector.unregister(pipe)
        channel.n_open -= 1
        return
    room = channel.limits.output_bytes - channel.n_output
    channel.n_output += len(data)
    if is_error:
        channel.errors += data[: max(0, room)]
    else:
        channel.deliver(data[: max(0, room)])
    if channel.n_output > channel.limits.output_bytes:
        channel.stop("output", f"wrote more than {channel.limits.output_bytes} bytes")


def _forget(selector: selectors.BaseSelector, channel: Channel) -> None:
    for key in list(selector.get_map().values()):
        if key.data is channel:
            selector.unregister(key.fileobj)
