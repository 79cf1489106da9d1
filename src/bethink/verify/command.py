"""The user's own program as a verifier: the answer on its standard input, its exit code the verdict.

It is the user's program, so it runs as the user would run it, with no shell in between and no sandbox. What always
holds: it ends in time, with all that it started in its process group.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO

from bethink.errors import UsageError
from bethink.types import Verdict

MAX_SHOWN = 2000
MAX_SHOWN_LINES = 20
UNSURE = 5
"""The exit code by which a verifier says that it cannot tell; `bethink check` uses it too."""

LOOK_S = 0.1

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def split_command(command: str) -> list[str]:
    """As a shell would split it. Raises: UsageError: it cannot be split, or is empty."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"cannot be read as a command: {command!r}: {error}", "close its quotes") from None
    if not words:
        raise UsageError("the command is empty", 'give one, such as "python3 verify.py"')
    return words


def check_command(
    command: str, answer: str, *, timeout_s: float = 60.0, is_given_up: Callable[[], bool] = lambda: False
) -> Verdict:
    """Run `command` (split as a shell would, run without one). 0 passed, 5 unsure, any other code failed; unsure too
    when it cannot be started, takes too long, is killed, or when nobody waits any more (`is_given_up`, which is looked
    at often). Raises: UsageError for a command that cannot be split."""
    words = split_command(command)
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except (OSError, ValueError) as error:
        return Verdict("cmd", None, answer, f"the verifier could not be started: {error}")
    code, output = _finish(process, answer, timeout_s, is_given_up)
    shown = f": {output}" if output else ""
    match code:
        case None:
            return Verdict("cmd", None, answer, f"the verifier took longer than {timeout_s:g} s{shown}")
        case 0:
            return Verdict("cmd", True, answer, f"the verifier passed it{shown}")
        case c if c == UNSURE:
            return Verdict("cmd", None, answer, f"the verifier is unsure{shown}")
        case c if c < 0:
            return Verdict("cmd", None, answer, f"the verifier was ended by signal {-c}{shown}")
        case c:
            return Verdict("cmd", False, answer, f"exit code {c}{shown}")


def _finish(
    process: subprocess.Popen[bytes], answer: str, timeout_s: float, is_given_up: Callable[[], bool]
) -> tuple[int | None, str]:
    """Exit code (None: time ran out) and the end of what it printed."""
    assert process.stdin
    assert process.stdout
    tail = bytearray()
    threads = [
        threading.Thread(target=_feed, args=(process.stdin, answer.encode("utf-8", "surrogatepass")), daemon=True),
        threading.Thread(target=_keep_tail, args=(process.stdout, tail), daemon=True),
    ]
    for thread in threads:
        thread.start()
    code: int | None = None
    until = time.monotonic() + timeout_s
    try:
        while code is None and not is_given_up() and (left_s := until - time.monotonic()) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(min(LOOK_S, left_s))
    finally:
        _kill_group(process)
    threads[1].join(1)
    output = _CONTROL.sub("", bytes(tail).decode("utf-8", "replace")).strip()
    shown = "\n".join(output[-MAX_SHOWN:].splitlines()[-MAX_SHOWN_LINES:])
    return code, output if shown == output else f"… {shown}"


def _feed(pipe: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError, ValueError), pipe:
        pipe.write(data)


def _keep_tail(pipe: IO[bytes], tail: bytearray) -> None:
    with contextlib.suppress(OSError, ValueError), pipe:
        while data := os.read(pipe.fileno(), 1 << 16):
            tail += data
            del tail[: -4 * MAX_SHOWN]


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End it and what it left running; its pipes then come to their end."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
