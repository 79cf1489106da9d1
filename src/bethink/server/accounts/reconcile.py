"""Holds the ledger against the traces: every row that names a trace must say the same tokens as the trace does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bethink.errors import StoreError
from bethink.server.accounts.usage import LedgerRow
from bethink.trace import Trace

COUNTS = {
    "input_tokens": "prompt_tokens",
    "thinking_tokens": "thinking_tokens",
    "answer_tokens": "answer_tokens",
    "probe_tokens": "probe_tokens",
    "discarded_tokens": "discarded_tokens",
}
"""What a count is called in a row, and in a trace's `usage`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`ledger` and `trace` are what each says of `count`, for all requests of that trace together."""

    trace_id: str
    request_ids: tuple[str, ...]
    count: str
    ledger: int
    trace: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`n_untraced` rows name no trace (their workspace keeps no content); those of `missing` name one that is not there
    (the oldest traces make room) or cannot be read."""

    n_rows: int
    n_equal: int
    n_untraced: int
    missing: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def is_exact(self) -> bool:
        """Every trace that is there says what the ledger says."""
        return not self.differences


def reconcile(rows: Iterable[LedgerRow], traces: Path) -> Reconciliation:
    """Rows that share a trace (`n` answers of one question) are added up before they are held against it."""
    by_trace: dict[str, list[LedgerRow]] = {}
    n_rows = n_untraced = n_equal = 0
    for row in rows:
        n_rows += 1
        if row.trace_id:
            by_trace.setdefault(row.trace_id, []).append(row)
        else:
            n_untraced += 1
    missing, differences = list[str](), list[Difference]()
    for trace_id, group in by_trace.items():
        usage = _usage(traces, trace_id)
        if usage is None:
            missing += [row.request_id for row in group]
            continue
        found = [*_differences(trace_id, group, usage)]
        differences += found
        n_equal += 0 if found else len(group)
    return Reconciliation(n_rows, n_equal, n_untraced, tuple(missing), tuple(differences))


def _differences(trace_id: str, group: list[LedgerRow], usage: Mapping[str, Any]) -> Iterable[Difference]:
    for ours, theirs in COUNTS.items():
        said = sum(getattr(row, ours) for row in group)
        traced: object = usage.get(theirs, 0)
        if said != traced:
            ids = tuple(row.request_id for row in group)
            yield Difference(trace_id, ids, ours, said, traced if isinstance(traced, int) else 0)


def _usage(traces: Path, trace_id: str) -> Mapping[str, Any] | None:
    if Path(trace_id).name != trace_id:
        return None
    try:
        result = Trace.load(traces / f"{trace_id}.json").result
    except StoreError:
        return None
    usage: object = result.get("usage") if result else None
    return cast("Mapping[str, Any]", usage) if isinstance(usage, dict) else None
