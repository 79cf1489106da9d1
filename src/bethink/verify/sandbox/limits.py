"""What one run in the sandbox may use, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ended = Literal["ok", "error", "timed_out", "memory", "output", "killed"]
"""How a run ended: by itself with exit code 0; by itself with another; at a limit of time; out of memory; after too
much output; by a signal, or at the limit of threads or files."""

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory_bytes` is address space. `file_bytes` bounds one file, and all files together. `n_files` are open at
    once. `n_processes` are the threads of the one process that a program has: it can start no other."""

    cpu_s: float = 10.0
    wall_s: float = 15.0
    memory_bytes: int = 1024 * MIB
    output_bytes: int = 1 * MIB
    file_bytes: int = 32 * MIB
    n_files: int = 64
    n_processes: int = 32


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a program. `exit_code` is 128 + the signal's number where a signal ended it. `why` says which limit
    was met, or is empty."""

    ended: Ended
    stdout: str
    stderr: str
    exit_code: int
    seconds: float
    why: str = ""
