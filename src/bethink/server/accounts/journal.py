"""The journal of a ledger: a line in a file for each finished request, until the database has it.

Owns the files below one folder; each process writes its own and holds a lock while it lives. What always holds: a line
whose `add` returned outlives a kill of the process at any moment, and is taken up by whoever opens the ledger next; a
file is removed only when all its lines are in the database. A line may come twice, so whoever takes lines up leaves
alone what is there already.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydantic_core
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from bethink.errors import AccountsError
from bethink.server.accounts.ledger import Entry

SEGMENT_BYTES = 1 << 20
_LINES = ".jsonl"
_LOCK = ".lock"


@dataclass(eq=False, slots=True)
class Segment:
    """One file. `n_waiting` of its lines are not in the database yet."""

    path: Path
    handle: int
    n_bytes: int = 0
    n_waiting: int = 0


class Journal:
    """The lines of this process. May be called from any thread; nothing is made on the disk before the first line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._name = uuid.uuid4().hex
        self._guard = threading.Lock()
        self._lock = FileLock(folder / f"{self._name}{_LOCK}", thread_local=False)
        self._current: Segment | None = None
        self._n_segments = 0

    def add(self, entry: Entry) -> Segment:
        """Returns when the line outlives this process. `drop` the segment once for it.

        Raises: AccountsError: it cannot be written.
        """
        data = pydantic_core.to_json(entry) + b"\n"
        with self._guard:
            try:
                segment = self._writable()
                _write(segment, data)
            except OSError as error:
                raise AccountsError(
                    f"the usage cannot be written down: {error.strerror or error}",
                    "is there room in bethink's home, and may its user write there?",
                ) from error
            segment.n_waiting += 1
            return segment

    def drop(self, segments: Iterable[Segment]) -> None:
        """One line of each (one that is named twice: two) is in the database."""
        with self._guard:
            for segment in segments:
                segment.n_waiting -= 1
                if segment.n_waiting:
                    continue
                if segment is self._current:
                    os.ftruncate(segment.handle, 0)
                    segment.n_bytes = 0
                else:
                    _remove(segment)

    def others_wait(self) -> bool:
        """Whether other processes have lines that the database may not have yet."""
        for path in self.folder.glob(f"*{_LINES}"):
            with contextlib.suppress(FileNotFoundError):  # its last line was just written
                if not path.name.startswith(self._name) and path.stat().st_size:
                    return True
        return False

    def close(self) -> None:
        """Lines that are not in the database stay, for whoever opens the ledger next. Nothing is added after it."""
        with self._guard:
            current, self._current = self._current, None
            if current is not None and current.n_waiting:
                os.close(current.handle)
            elif current is not None:
                _remove(current)
            if self._lock.is_locked:
                self._lock.release()
                Path(self._lock.lock_file).unlink(missing_ok=True)

    def _writable(self) -> Segment:
        """The file for the next line; the old one goes when its last line does. The lock comes before the first, so
        that a file without one is of nobody."""
        current = self._current
        if current is not None and current.n_bytes < SEGMENT_BYTES:
            return current
        if current is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
        path = self.folder / f"{self._name}-{self._n_segments}{_LINES}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._n_segments += 1
        self._current = Segment(path, handle)
        return self._current


def _write(segment: Segment, data: bytes) -> None:
    """All of it or nothing: a line that a full disk cut would spoil the next."""
    rest = data
    try:
        while rest:
            rest = rest[os.write(segment.handle, rest) :]
    except OSError:
        os.ftruncate(segment.handle, segment.n_bytes)
        raise
    segment.n_bytes += len(data)


def _remove(segment: Segment) -> None:
    os.close(segment.handle)
    segment.path.unlink(missing_ok=True)


@contextlib.contextmanager
def left_behind(folder: Path) -> Generator[list[Entry]]:
    """The lines of processes that have ended; their files are removed when the block is left well."""
    with contextlib.ExitStack() as held:
        paths: list[Path] = []
        for name in sorted({path.name.partition("-")[0] for path in folder.glob(f"*{_LINES}")}):
            lock = FileLock(folder / f"{name}{_LOCK}")
            with contextlib.suppress(Timeout):
                held.enter_context(lock.acquire(timeout=0))
                paths += [*sorted(folder.glob(f"{name}-*{_LINES}")), Path(lock.lock_file)]
        yield [entry for path in paths if path.suffix == _LINES for entry in _read(path)]
        for path in paths:
            path.unlink(missing_ok=True)


def _read(path: Path) -> Generator[Entry]:
    """A last line without its end was never said to be written."""
    *lines, _torn = path.read_bytes().split(b"\n")
    for line in lines:
        try:
            yield _entries().validate_json(line)
        except ValidationError:
            logging.getLogger("bethink").error("no line of a ledger, left out: %r", line[:2000])


@cache
def _entries() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)
