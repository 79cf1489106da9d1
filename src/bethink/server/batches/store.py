"""Batches on disk: what was asked, how far it is, and the results so far.

    folder/batch_<24 hex>.json            the batch
    folder/batch_<24 hex>.output.jsonl    a line a request that was answered
    folder/batch_<24 hex>.error.jsonl     a line a request that was not

What always holds: a result is one whole line, flushed before the next request of its place begins; after a kill, what
has a line is done and is never asked again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from bethink.errors import UsageError
from bethink.server.batches.files import append, as_line, write

Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
OVER: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})
_ID = re.compile(r"batch_[0-9a-f]{24}")


class NoSuchBatch(UsageError):
    code = "batch_not_found"
    http_status = 404


@dataclass(slots=True)
class Batch:
    """`key_id` is empty for the one person of this machine. Moments are seconds since the epoch."""

    id: str
    owner: str
    key_id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    created_at: int
    expires_at: int
    status: Status = "validating"
    n_total: int = 0
    n_completed: int = 0
    n_failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    moments: dict[str, int] = field(default_factory=dict[str, int])

    def shown(self) -> dict[str, Any]:
        names = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            **{f"{name}_at": self.moments.get(name) for name in names},
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "request_counts": {"total": self.n_total, "completed": self.n_completed, "failed": self.n_failed},
            "metadata": self.metadata,
        }


_BATCH = TypeAdapter(Batch)


@dataclass(frozen=True, slots=True)
class BatchStore:
    folder: Path
    now: Callable[[], float] = time.time

    def save(self, batch: Batch, status: Status | None = None) -> None:
        """`status` is a new one, of which the moment is kept.

        Raises: DiskFull.
        """
        if status is not None and status != batch.status:
            batch.status = status
            batch.moments[status] = int(self.now())
        write(self.folder / f"{batch.id}.json", pydantic_core.to_json(asdict(batch)))

    def get(self, batch_id: str, owner: str) -> Batch:
        """Raises: NoSuchBatch."""
        batch = self._read(self.folder / f"{batch_id}.json") if _ID.fullmatch(batch_id) else None
        if batch is None or batch.owner != owner:
            raise NoSuchBatch(f"there is no batch {batch_id[:60]!r}", "GET /v1/batches lists yours")
        return batch

    def all(self) -> list[Batch]:
        """Newest first."""
        found = [batch for path in self.folder.glob("batch_*.json") if (batch := self._read(path)) is not None]
        return sorted(found, key=lambda batch: (batch.created_at, batch.id), reverse=True)

    def add_result(self, batch: Batch, line: Mapping[str, Any], *, is_error: bool) -> None:
        """Raises: DiskFull."""
        append(self.result_path(batch, "error" if is_error else "output"), as_line(line))

    def results(self, batch: Batch, kind: Literal["output", "error"]) -> Iterator[str]:
        """The `custom_id` of every whole line; half a line, which a kill left, is cut off."""
        path = self.result_path(batch, kind)
        if not path.exists():
            return
        whole = path.read_bytes()
        end = whole.rfind(b"\n") + 1
        if end < len(whole):
            write(path, whole[:end])
        for line in whole[:end].splitlines():
            yield str(pydantic_core.from_json(line)["custom_id"])

    def result_path(self, batch: Batch, kind: Literal["output", "error"]) -> Path:
        return self.folder / f"{batch.id}.{kind}.jsonl"

    def _read(self, path: Path) -> Batch | None:
        try:
            return _BATCH.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
