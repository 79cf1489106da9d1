"""What runs inside, before the program and around it. Nothing of bethink can be imported there: `package` turns modules
of bethink that need only the standard library into one message, and the interpreter that waits for it unpacks it.

The message comes from outside only and is marshalled. What comes out is never unmarshalled.
"""

from __future__ import annotations

import marshal
import types
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bethink.verify.sandbox.limits import Limits

MEMORY_EXIT = 86
"""The exit code of a program that ran out of memory."""

BOOT = """
import marshal, os, sys
def boot(user):
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    os.environ.clear()
    import resource
    def take(size):
        parts = []
        while size:
            part = os.read(0, min(size, 1 << 16))
            if not part:
                os._exit(0)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
    limits, modules, entry, argument = marshal.loads(take(int.from_bytes(take(8), "big")))
    for name, value in limits:
        number = getattr(resource, name, None)
        if number is not None:
            hard = resource.getrlimit(number)[1]
            top = value + 1 if name == "RLIMIT_CPU" else value
            top = top if hard == resource.RLIM_INFINITY else min(top, hard)
            try:
                resource.setrlimit(number, (min(value, top), top))
            except (ValueError, OSError):
                if user is not None:
                    raise
    for name, code in modules:
        module = sys.modules[name] = type(sys)(name)
        exec(code, module.__dict__)
    return getattr(sys.modules[entry], "main"), argument
"""
"""`user`: the id to become; 0: the one it has; None: there are no walls, and a limit that the system refuses is not an
error."""


def package(entry: str, argument: object, limits: Limits, *, counts_threads: bool) -> bytes:
    """The message that makes a waiting interpreter run `main(argument)` of the module `entry`, under these limits.
    `argument` is made of plain values."""
    modules = [(name, _code(name)) for name in (*_NEEDS.get(entry, ()), entry)]
    message: Any = (_rlimits(limits, counts_threads), modules, entry, argument)
    body = marshal.dumps(message)
    return len(body).to_bytes(8, "big") + body


_NEEDS: dict[str, Sequence[str]] = {
    "bethink.verify.judge.candidate": ("bethink.verify.judge.values",),
    "bethink.verify.judge.bench": (
        "bethink.verify.judge.values",
        "bethink.verify.judge.remote",
        "bethink.verify.judge.pytest_words",
    ),
}


def _rlimits(limits: Limits, counts_threads: bool) -> list[tuple[str, int]]:
    rows = [
        ("RLIMIT_CORE", 0),
        ("RLIMIT_CPU", max(1, round(limits.cpu_s + 0.49))),
        ("RLIMIT_AS", limits.memory_bytes),
        ("RLIMIT_FSIZE", limits.file_bytes),
        ("RLIMIT_NOFILE", limits.n_files),
    ]
    return [*rows, ("RLIMIT_NPROC", limits.n_processes + 2)] if counts_threads else rows


@cache
def _code(name: str) -> types.CodeType:
    path = Path(__file__).parents[3].joinpath(*name.split(".")).with_suffix(".py")
    return compile(path.read_text(encoding="utf-8"), path.name, "exec")
