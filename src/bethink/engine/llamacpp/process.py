"""The server process from outside: started, listened to until it has loaded, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Ctrl-C in a terminal goes to the whole group; what it means is the main process's decision.
_NEW_GROUP_ON_WINDOWS: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class ServerProcess:
    """Starts `bethink.engine.llamacpp.server` with `wish` and returns at once."""

    def __init__(self, wish: Mapping[str, Any]) -> None:
        self._ear = _Ear()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bethink.engine.llamacpp.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            creationflags=_NEW_GROUP_ON_WINDOWS,
            start_new_session=True,
        )
        self._finalizer = weakref.finalize(self, _end, self._process)
        self._listener = threading.Thread(target=_listen, args=(self._process, self._ear), daemon=True)
        self._listener.start()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it died already: `wait_for_address` will say so
            self._process.stdin.write(json.dumps(wish).encode() + b"\n")
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_address(self) -> tuple[str, int] | None:
        """Host and port, once the model is loaded; None when the process ended instead. Blocks."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b'{"address"'):
                host, _, port = json.loads(line)["address"].removeprefix("http://").rpartition(":")
                return host, int(port)
        return None

    def kill(self) -> None:
        """At once, whatever it does. Idempotent; from any thread."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """How it ended and what it said last. Frees what is left of it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self.kill()
        self._listener.join(timeout=5)
        lines = self.said()
        said = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
        return f"exit code {self._process.returncode}{': ' + said.strip() if said else ''}"

    @property
    def n_said(self) -> int:
        """Lines on standard error until now."""
        return self._ear.n_lines

    def said(self, since: int = 0) -> Sequence[str]:
        """Its standard error after `since` lines (the last few hundred), where llama.cpp tells what no answer tells."""
        lines = tuple(self._ear.lines)
        return lines[max(0, len(lines) - max(0, self._ear.n_lines - since)) :]

    def free(self) -> None:
        """Free the pipes of a process that has ended."""
        self._listener.join(timeout=5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@dataclass(slots=True)
class _Ear:
    lines: deque[str] = field(default_factory=lambda: deque[str](maxlen=300))
    n_lines: int = 0


def _listen(process: subprocess.Popen[bytes], ear: _Ear) -> None:
    assert process.stderr is not None
    with contextlib.suppress(OSError, ValueError):
        for line in process.stderr:
            ear.lines.append(line.decode(errors="replace").rstrip())
            ear.n_lines += 1


def _environment() -> dict[str, str]:
    """llama.cpp's threads wait for each other by spinning. Without a bound one busy neighbour makes them several times
    slower (measured: 4 to 25 tokens/s at one path beside a load of 7), and a bound costs little on an idle machine.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if not environment.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        environment["GOMP_SPINCOUNT"] = "1000"
    return environment


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
