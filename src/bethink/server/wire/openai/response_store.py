"""Answers that clients come back to: `previous_response_id`, and reading one again.

Owns a bounded number of them, the oldest going first, in a folder or (without one) in memory. What always holds: a
record is there whole or not at all, and nobody finds what another owner's request left.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from bethink.errors import UsageError
from bethink.types import Message

MOST = 2000
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


@dataclass(slots=True)
class ResponseStore:
    """`folder` is made when the first record is kept."""

    folder: Path | None = None
    most: int = MOST
    _order: OrderedDict[str, Kept | None] = field(default_factory=OrderedDict[str, "Kept | None"])
    """Oldest first; None: it stands in its file."""

    def __post_init__(self) -> None:
        if self.folder is None or not self.folder.is_dir():
            return
        found = list[tuple[float, str]]()
        for path in self.folder.glob("resp_*.json"):
            with contextlib.suppress(OSError):  # removed by another server on the same home
                found.append((path.stat().st_mtime, path.stem))
        self._order.update((name, None) for _, name in sorted(found))

    def keep(self, response_id: str, kept: Kept) -> None:
        """Raises: OSError: the folder cannot be written."""
        if self.folder is None:
            self._order[response_id] = kept
        else:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self.folder / f".{response_id}-{secrets.token_hex(4)}.part"
            partial.write_bytes(pydantic_core.to_json(asdict(kept)))
            partial.replace(self.folder / f"{response_id}.json")
            self._order[response_id] = None
        while len(self._order) > self.most:
            self._forget(next(iter(self._order)))

    def find(self, response_id: str, owner: str) -> Kept:
        """Raises: NoSuchResponse."""
        kept = self._read(response_id) if _ID.fullmatch(response_id) else None
        if kept is None or kept.owner != owner:
            raise NoSuchResponse(
                f"there is no response {response_id[:60]!r}", "it was not stored, was deleted, or made room for others"
            )
        return kept

    def delete(self, response_id: str, owner: str) -> None:
        """Raises: NoSuchResponse."""
        self.find(response_id, owner)
        self._forget(response_id)

    def _read(self, response_id: str) -> Kept | None:
        if self.folder is None:
            return self._order.get(response_id)
        try:
            return _KEPT.validate_json((self.folder / f"{response_id}.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def _forget(self, response_id: str) -> None:
        self._order.pop(response_id, None)
        if self.folder is not None:
            with contextlib.suppress(OSError):
                (self.folder / f"{response_id}.json").unlink(missing_ok=True)
