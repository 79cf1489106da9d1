"""A file that grows at its end until it is whole: the part of a download that is already here.

Owns appending, hashing and the promise that a full disk loses nothing. The hash always covers exactly the bytes in the
file; opening what an earlier process left hashes it again (about a second for each gigabyte), because a kill keeps no
state.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio.to_thread

from bethink.errors import DiskFull

CHUNK_BYTES = 1 << 20
# Room that must stay free beside a download, for records and for everybody else on the machine.
SPARE_BYTES = 16 << 20


class GrowingFile:
    """Use as a context manager. `size` and `hexdigest()` are of what is in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    async def catch_up(self, on_bytes: Callable[[int], None], keep: int | None = None) -> None:
        """Take in what an earlier process left, at most `keep` bytes of it; the rest is cut off."""
        self._hash = hashlib.sha256()
        self._file.seek(0)
        self.size = 0
        while keep is None or self.size < keep:
            n_bytes = CHUNK_BYTES * 8 if keep is None else min(CHUNK_BYTES * 8, keep - self.size)
            chunk = await anyio.to_thread.run_sync(self._read, n_bytes)
            if not chunk:
                break
            self.size += len(chunk)
            on_bytes(self.size)
        self._file.truncate(self.size)
        self._file.seek(self.size)

    def _read(self, n_bytes: int) -> bytes:
        chunk = self._file.read(n_bytes)
        self._hash.update(chunk)
        return chunk

    def append(self, chunk: bytes) -> None:
        """Raises: DiskFull; what fitted before that stays, and is counted."""
        rest = memoryview(chunk)
        with disk_full_as_error(self.path):
            while rest:
                n_bytes = self._file.write(rest)
                self._hash.update(rest[:n_bytes])
                self.size += n_bytes
                rest = rest[n_bytes:]

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate(0)
        self._hash = hashlib.sha256()
        self.size = 0

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def sync(self) -> None:
        """Make what is in the file survive a power cut. Raises: DiskFull."""
        with disk_full_as_error(self.path):
            os.fsync(self._file.fileno())


@contextmanager
def disk_full_as_error(path: Path) -> Generator[None, None, None]:
    """Turn the system's "no space left" (or "quota exceeded") into `DiskFull`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"the disk of {path.parent} is full", "free some space and pull again: it goes on where it stopped"
            ) from error
        raise


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raises: DiskFull, before anything is written, when `needed_bytes` more do not fit beside `folder`."""
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if needed_bytes + SPARE_BYTES > free:
        raise DiskFull(
            f"this needs {needed_bytes / 1e6:,.0f} MB more in {folder}; {free / 1e6:,.0f} MB are free",
            "free some space, or set BETHINK_HOME to a larger disk, and pull again: it goes on where it stopped",
        )
