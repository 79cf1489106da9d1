"""One interpreter inside the walls, started before it is needed, used once, and gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bethink.verify.sandbox.inside import BOOT
from bethink.verify.sandbox.isolation import Walls


@dataclass(slots=True)
class Worker:
    """An interpreter that waits for its one message on `stdin`. `pid` is the first process inside the walls (without
    walls the interpreter itself); when it is killed, everything inside dies."""

    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    pid: int
    is_isolated: bool
    scratch_bytes: int
    folder: tempfile.TemporaryDirectory[str] | None = None

    def destroy(self) -> None:
        """Kill everything inside and return when it is gone. May be called again."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if self.is_isolated:
                    os.kill(self.pid, signal.SIGKILL)
                else:
                    os.killpg(self.pid, signal.SIGKILL)
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        elif not self.is_isolated:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # what it left behind in its group
        for pipe in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        if self.folder is not None:
            self.folder.cleanup()


class StartFailed(Exception):
    """An interpreter did not come up. Says what was printed instead."""


def start_isolated(walls: Walls, scratch_bytes: int) -> Worker:
    """Raises: StartFailed. The thread that calls must live as long as the worker: the kernel kills it with its
    parent."""
    user = walls.next_user()
    seccomp = os.memfd_create("seccomp")
    info, info_in = os.pipe()
    try:
        os.write(seccomp, walls.seccomp)
        os.lseek(seccomp, 0, os.SEEK_SET)
        command = [*walls.command(scratch_bytes, seccomp, info_in), *_interpreter_options(user or 0)]
        process = _popen(command, pass_fds=(seccomp, info_in), environ={})
    except OSError as error:
        os.close(info)
        raise StartFailed(str(error)) from error
    finally:
        os.close(seccomp)
        os.close(info_in)
    with open(info, "rb") as file:  # noqa: PTH123  a descriptor
        words = file.read()
    if not words:
        _, complaint = process.communicate()
        raise StartFailed(complaint.decode(errors="replace").strip() or f"bwrap ended with code {process.returncode}")
    return _worker(process, pid=int(json.loads(words)["child-pid"]), is_isolated=True, scratch_bytes=scratch_bytes)


def start_local(scratch_bytes: int) -> Worker:
    """Without walls: limits, an empty environment and a folder of its own are all that is between program and
    machine."""
    folder = tempfile.TemporaryDirectory(prefix="bethink-", ignore_cleanup_errors=True)
    process = _popen([sys.executable, *_interpreter_options(None)], folder=folder.name, environ={})
    worker = _worker(process, pid=process.pid, is_isolated=False, scratch_bytes=scratch_bytes)
    worker.folder = folder
    return worker


def _interpreter_options(user: int | None) -> list[str]:
    return ["-I", "-S", "-B", "-X", "utf8", "-c", f"{BOOT}\nmain, argument = boot({user})\nmain(argument)"]


def _popen(
    command: list[str], *, environ: dict[str, str], pass_fds: tuple[int, ...] = (), folder: str | None = None
) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, pass_fds=pass_fds, cwd=folder or "/", bufsize=0,
        start_new_session=True,
    )  # fmt: skip


def _worker(process: subprocess.Popen[bytes], *, pid: int, is_isolated: bool, scratch_bytes: int) -> Worker:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    for pipe in (process.stdin, process.stdout, process.stderr):
        os.set_blocking(pipe.fileno(), False)
    return Worker(process, process.stdin, process.stdout, process.stderr, pid, is_isolated, scratch_bytes)


def children(pid: int) -> list[int]:
    """The processes right below `pid`; empty when it is gone or the kernel does not say."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
