"""Names for processes that make answers, so that the next one knows which of them are gone."""

from __future__ import annotations

import os
import secrets
import socket

import psutil


def this_process() -> str:
    """A name that no other process has, nor this one when it is started again."""
    return f"{socket.gethostname()}|{os.getpid()}|{_born(os.getpid())}|{secrets.token_hex(4)}"


def is_alive(holder: str) -> bool | None:
    """Whether the process of that name runs (None: it is on another machine, or no name of ours)."""
    host, _, rest = holder.partition("|")
    pid, _, more = rest.partition("|")
    if host != socket.gethostname() or not pid.isdecimal():
        return None
    return _born(int(pid)) == more.partition("|")[0]


def _born(pid: int) -> str:
    """When a process began; empty when there is none."""
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return ""
