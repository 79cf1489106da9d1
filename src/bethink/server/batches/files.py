"""Files that clients put here and fetch again: what batches read and write.

    folder/file-<24 hex>.json     what is known of it
    folder/file-<24 hex>.data     its bytes

What always holds: a file is there whole or not at all (its description is written last), and nobody finds another
owner's.
"""

from __future__ import annotations

import contextlib
import errno
import re
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from bethink.errors import DiskFull, UsageError
from bethink.server.record import new_id

MOST = 10_000
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ID = re.compile(r"file-[0-9a-f]{24}")


class NoSuchFile(UsageError):
    code = "file_not_found"
    http_status = 404


class TooManyFiles(UsageError):
    code = "too_many_files"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`created_at` is in seconds since the epoch."""

    id: str
    owner: str
    filename: str
    purpose: str
    bytes: int
    created_at: int

    def shown(self) -> dict[str, Any]:
        said = {key: value for key, value in asdict(self).items() if key != "owner"}
        return {"object": "file", **said, "status": "processed"}


_STORED = TypeAdapter(StoredFile)


@dataclass(frozen=True, slots=True)
class Files:
    folder: Path
    most: int = MOST
    now: Callable[[], float] = time.time

    def put(self, owner: str, filename: str, purpose: str, data: bytes) -> StoredFile:
        """Raises: TooManyFiles, DiskFull."""
        if len(self.list(owner)) >= self.most:
            raise TooManyFiles(f"there are {self.most} files already", "delete some: DELETE /v1/files/{id}")
        stored = StoredFile(new_id("file-"), owner, filename[:255], purpose, len(data), int(self.now()))
        write(self.data_path(stored.id), data)
        try:
            write(self._path(stored.id), _STORED.dump_json(stored))
        except DiskFull:
            self.data_path(stored.id).unlink(missing_ok=True)
            raise
        return stored

    def get(self, file_id: str, owner: str) -> StoredFile:
        """Raises: NoSuchFile."""
        stored = self._read(self._path(file_id)) if _ID.fullmatch(file_id) else None
        if stored is None or stored.owner != owner:
            raise NoSuchFile(f"there is no file {file_id[:60]!r}", "GET /v1/files lists yours")
        return stored

    def content(self, file_id: str, owner: str) -> bytes:
        """Raises: NoSuchFile."""
        stored = self.get(file_id, owner)
        try:
            return self.data_path(stored.id).read_bytes()
        except OSError:
            raise NoSuchFile(f"the file {file_id} has no content any more") from None

    def list(self, owner: str) -> list[StoredFile]:
        """Newest first."""
        found = [self._read(path) for path in self.folder.glob("file-*.json")]
        mine = [stored for stored in found if stored is not None and stored.owner == owner]
        return sorted(mine, key=lambda stored: (stored.created_at, stored.id), reverse=True)

    def delete(self, file_id: str, owner: str) -> None:
        """Raises: NoSuchFile."""
        self.get(file_id, owner)
        for path in (self._path(file_id), self.data_path(file_id)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def data_path(self, file_id: str) -> Path:
        return self.folder / f"{file_id}.data"

    def _path(self, file_id: str) -> Path:
        return self.folder / f"{file_id}.json"

    def _read(self, path: Path) -> StoredFile | None:
        try:
            return _STORED.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None


def write(path: Path, data: bytes) -> None:
    """Whole or not at all, also when the machine is killed.

    Raises: DiskFull; OSError where room would not help.
    """
    partial = path.with_name(f".{path.name}-{new_id('')}.part")
    with disk_full_without_path():
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def append(path: Path, data: bytes) -> None:
    """All of it or nothing: what a full disk cut would spoil the next line.

    Raises: DiskFull; OSError where room would not help.
    """
    with disk_full_without_path(), path.open("ab", buffering=0) as file:
        before, rest = file.tell(), data
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(before)
            raise


@contextlib.contextmanager
def disk_full_without_path() -> Generator[None]:
    """A disk without room is DiskFull, without the path: a client may read it. What else failed stays as it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DiskFull(
            f"the file cannot be written: {error.strerror or type(error).__name__}",
            "is there room in bethink's home, and may its user write there?",
        ) from error


def as_line(value: object) -> bytes:
    return pydantic_core.to_json(value) + b"\n"
