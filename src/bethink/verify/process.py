"""A process of bethink's own that answers questions one line at a time, and is killed when one takes too long.

Owns the process. What always holds: `ask` returns in time, from any thread, whatever the question does to the
process. A killed process is replaced at once, so that the next question seldom waits for a start.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading

START_LIMIT_S = 120.0
"""Importing sympy takes two seconds of a processor, which others may have."""
MEMORY_BYTES = 2 << 30


class LineProcess:
    """`python -m module`, started when first needed. It says one line when it is ready, then answers one JSON object a
    line with another."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_ready = False
        self._is_broken = False

    def start(self) -> None:
        """Be ready for the next question."""
        with self._lock:
            self._make_ready()

    def ask(self, question: object, timeout_s: float) -> dict[str, object] | None:
        """None when time ran out, or when there is no process."""
        with self._lock:
            process = self._make_ready()
            if process is None:
                return None
            answer = _exchange(process, json.dumps(question), timeout_s)
            if answer is None:
                self._stop()
                self._launch()
                return None
            return json.loads(answer)

    def close(self) -> None:
        """End the process. It starts again when it is needed."""
        with self._lock:
            self._stop()

    def _make_ready(self) -> subprocess.Popen[str] | None:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None and not self._is_broken:
            self._launch()
        if self._process is not None and not self._is_ready:
            self._is_ready = _exchange(self._process, None, START_LIMIT_S) is not None
            if not self._is_ready:
                self._is_broken = True
                self._stop()
        return self._process

    def _launch(self) -> None:
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
            )  # fmt: skip
        except OSError:
            self._is_broken = True

    def _stop(self) -> None:
        process, self._process, self._is_ready = self._process, None, False
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):  # it was killed with a question in its pipe
                    pipe.close()


def _exchange(process: subprocess.Popen[str], question: str | None, timeout_s: float) -> str | None:
    """One line from the process, or None when it died or was killed for taking too long."""
    assert process.stdin
    assert process.stdout
    timer = threading.Timer(timeout_s, process.kill)
    timer.daemon = True
    timer.start()
    try:
        if question is not None:
            process.stdin.write(question + "\n")
            process.stdin.flush()
        return process.stdout.readline() or None
    except BrokenPipeError:
        return None
    finally:
        timer.cancel()


def limit_memory() -> None:
    """For the process itself: its memory, where the platform can."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
