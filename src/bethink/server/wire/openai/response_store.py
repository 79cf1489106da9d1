"""Answers that clients come back to: `previous_response_id`, and reading one again.

Owns a bounded number of them, and of bytes, for each owner: the oldest go first, and never another owner's. They stand
in a folder where their owner's content may be written down, and in memory otherwise. What always holds: a record is
there whole or not at all, and nobody finds what another owner's request left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from bethink.errors import UsageError
from bethink.types import Message

MOST, MOST_BYTES = 2000, 64 << 20
_ID = re.compile(r"resp_[0-9a-f]{24}")


class NoSuchResponse(UsageError):
    code = "response_not_found"
    http_status = 404


@dataclass(frozen=True, slots=True)
class Kept:
    """`response` as it was answered, `items` what was asked, `messages` the whole dialogue up to its answer."""

    owner: str
    response: Mapping[str, Any]
    items: Sequence[Mapping[str, Any]]
    messages: Sequence[Message]


_KEPT = TypeAdapter(Kept)


@dataclass(frozen=True, slots=True)
class _Entry:
    """`data` None: it stands in its file."""

    size: int
    data: bytes | None


Shelf = OrderedDict[str, _Entry]
"""What one owner has, by id, the oldest first."""


@dataclass(slots=True)
class ResponseStore:
    """`folder` (None: memory only) is made when the first record is kept, with a folder in it for each owner. `most`
    records and `most_bytes` are what one owner may have."""

    folder: Path | None = None
    most: int = MOST
    most_bytes: int = MOST_BYTES
    _shelves: dict[str, Shelf] = field(default_factory=dict[str, Shelf])
    _sizes: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        if self.folder is None or not self.folder.is_dir():
            return
        for old in self.folder.glob("resp_*.json"):  # of a time when nobody asked whether they may be written down
            old.unlink(missing_ok=True)
        found = list[tuple[float, str, str, int]]()
        for path in self.folder.glob("*/resp_*.json"):
            with contextlib.suppress(OSError):  # removed by another server on the same home
                state = path.stat()
                found.append((state.st_mtime, path.parent.name, path.stem, state.st_size))
        for _, shelf, name, size in sorted(found):
            self._put(shelf, name, _Entry(size, None))

    def keep(self, response_id: str, kept: Kept, *, may_write: bool = True) -> None:
        """Without `may_write` nothing of its owner's stands on the disk afterwards, of earlier times neither.

        Raises: OSError: the folder cannot be written.
        """
        shelf, data = _shelf_of(kept.owner), pydantic_core.to_json(asdict(kept))
        if not may_write:
            for name in [name for name, entry in self._shelves.get(shelf, Shelf()).items() if entry.data is None]:
                self._forget(shelf, name)
        if self.folder is not None and may_write:
            _write(self.folder / shelf, response_id, data)
            self._put(shelf, response_id, _Entry(len(data), None))
        else:
            self._put(shelf, response_id, _Entry(len(data), data))
        while len(self._shelves[shelf]) > self.most or self._sizes[shelf] > self.most_bytes:
            self._forget(shelf, next(iter(self._shelves[shelf])))

    def find(self, response_id: str, owner: str) -> Kept:
        """Raises: NoSuchResponse."""
        kept = self._read(_shelf_of(owner), response_id) if _ID.fullmatch(response_id) else None
        if kept is None or kept.owner != owner:
            raise NoSuchResponse(
                f"there is no response {response_id[:60]!r}", "it was not stored, was deleted, or made room for others"
            )
        return kept

    def delete(self, response_id: str, owner: str) -> None:
        """Raises: NoSuchResponse."""
        self.find(response_id, owner)
        self._forget(_shelf_of(owner), response_id)

    def _put(self, shelf: str, name: str, entry: _Entry) -> None:
        entries = self._shelves.setdefault(shelf, Shelf())
        if (before := entries.pop(name, None)) is not None:
            self._sizes[shelf] -= before.size
        entries[name] = entry
        self._sizes[shelf] += entry.size

    def _read(self, shelf: str, name: str) -> Kept | None:
        """From its file also where another server on the same home wrote it."""
        entry = self._shelves.get(shelf, Shelf()).get(name)
        try:
            if entry is not None and entry.data is not None:
                return _KEPT.validate_json(entry.data)
            return None if self.folder is None else _KEPT.validate_json(_file(self.folder / shelf, name).read_bytes())
        except (OSError, ValidationError):
            return None

    def _forget(self, shelf: str, name: str) -> None:
        entry = self._shelves.get(shelf, Shelf()).pop(name, None)
        if entry is not None:
            self._sizes[shelf] -= entry.size
        if self.folder is not None:
            with contextlib.suppress(OSError):
                _file(self.folder / shelf, name).unlink(missing_ok=True)


def _shelf_of(owner: str) -> str:
    """A name for a folder, whatever the owner's is."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _write(folder: Path, name: str, data: bytes) -> None:
    """Whole or not at all, and for nobody's eyes but ours. Raises: OSError."""
    for one in (folder.parent, folder):
        one.mkdir(parents=True, exist_ok=True, mode=0o700)
        one.chmod(0o700)
    partial = folder / f".{name}-{secrets.token_hex(4)}.part"
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        partial.replace(_file(folder, name))
    except OSError:
        partial.unlink(missing_ok=True)
        raise
