"""A worker process and the pipes to it: started, spoken to from any thread, never left behind.

Owns the operating system's side only. Sending never blocks the caller (a writer thread does the waiting), a worker ends
when its standard input does, and what it said on stderr is kept for its obituary. Who knows that a worker will be
needed calls `stand_by` before importing the rest: its interpreter then starts beside this one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from dataclasses import dataclass
from typing import IO, Any

from bethink.engine.openvino import wire


@dataclass(frozen=True, slots=True)
class _Child:
    """A worker that was told nothing yet."""

    process: subprocess.Popen[bytes]
    stderr: IO[bytes]

    @classmethod
    def started(cls) -> _Child:
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        command = [sys.executable, "-m", "bethink.engine.openvino.worker"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=child_environment(),
            creationflags=_NEW_GROUP_ON_WINDOWS,
            start_new_session=True,
        )
        return cls(process, stderr)

    def end(self) -> None:
        """At once; nothing of it is left."""
        _end(self.process)
        for pipe in (self.process.stdin, self.process.stdout, self.stderr):
            if pipe is not None:
                pipe.close()


_spares: queue.SimpleQueue[_Child] = queue.SimpleQueue()


def stand_by() -> None:
    """Start the interpreter of the next worker, which imports OpenVINO while this program imports its own. Where it is
    not installed, nothing happens."""
    if importlib.util.find_spec("openvino_genai") is not None:
        _spares.put(_Child.started())


def dismiss() -> None:
    """End whoever stands by and was not needed."""
    with contextlib.suppress(queue.Empty):
        while True:
            _spares.get_nowait().end()


def _next_child() -> _Child:
    """Who stands by, if it still lives, else a new one."""
    with contextlib.suppress(queue.Empty):
        while True:
            spare = _spares.get_nowait()
            if spare.process.poll() is None:
                return spare
            spare.end()
    return _Child.started()


class WorkerProcess:
    """Starts `bethink.engine.openvino.worker` and tells it what to load."""

    def __init__(self, load: wire.Load) -> None:
        child = _next_child()
        self._process, self._stderr = child.process, child.stderr
        self._outbox: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._finalizer = weakref.finalize(self, _end, self._process)
        threading.Thread(target=self._write, name="bethink-openvino-writer", daemon=True).start()
        self.send(wire.load_message(load))

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: list[Any]) -> None:
        """Messages to a worker that has gone are dropped: `receive` tells that it went."""
        self._outbox.put(message)

    def receive(self) -> list[Any] | None:
        """The worker's next message; None when it has gone. For one thread."""
        assert self._process.stdout is not None
        try:
            return wire.read(self._process.stdout)
        except (OSError, ValueError):
            return None

    def kill(self) -> None:
        """At once, whatever it does. Idempotent; from any thread."""
        self._outbox.put(None)
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """How it ended and the last of what it printed. Waits for its end and frees what is left of it."""
        self._outbox.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self.kill()
        code = self._process.wait()
        with contextlib.suppress(OSError, ValueError):
            self._stderr.seek(0, os.SEEK_END)
            self._stderr.seek(max(0, self._stderr.tell() - 4000))
            said = self._stderr.read().decode(errors="replace").strip().splitlines()
            return f"{ending(code)}{': ' + _telling(said) if said else ''}"
        return ending(code)

    def free(self) -> None:
        """Free the pipes of a worker that has ended, from the thread that received."""
        for pipe in (self._process.stdout, self._stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _write(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError, ValueError):
            while (message := self._outbox.get()) is not None:
                wire.write(stdin, message)
        with contextlib.suppress(OSError, ValueError):
            stdin.close()


def child_environment() -> dict[str, str]:
    """The environment of a child that imports what we import."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUNBUFFERED": "1"}


def _telling(lines: list[str]) -> str:
    """The line that says most: what a native exception said, else the last."""
    return next((line.strip() for line in lines if "what():" in line or "rror: " in line), lines[-1].strip())


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"{name}, out of memory or killed" if name == "SIGKILL" else name
    return f"exit code {code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()


# Ctrl-C in a terminal goes to the whole group; what it means is the main process's decision.
_NEW_GROUP_ON_WINDOWS: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
