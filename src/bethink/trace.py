"""`Trace`: the whole truth of one request: every token with its phase and origin, every decision with its cause.

The display, the evaluation, the training and the lineage all read this one record. A trace is written once, when its
request is over, as one JSON file; a kill before that loses the trace and never leaves half of one. The folder of traces
keeps to a limit: the oldest make room, never one that was just written.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from bethink.errors import StoreError
from bethink.types import Decided, Phase, Result

Origin = Literal["sampled", "forced"]
FORMAT = 1
FRESH_S = 60.0
"""A trace so young was just written, perhaps by another process, and stays whatever the limit says."""
ABANDONED_S = 86400.0
"""A half-written file so old belongs to a process that was killed."""
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


@dataclass(slots=True)
class TracedToken:
    """One token of a path. `t` is seconds since the request began; `is_kept` turns False when it was rolled back."""

    id: int
    text: str
    phase: Phase
    origin: Origin
    logprob: float | None
    t: float
    is_kept: bool = True


@dataclass(slots=True)
class TracedPath:
    """One chain of thought, in the order in which its tokens came, the rolled-back ones included. `purpose` is what
    it was for when it was no candidate; `passed` and `why` are what judged it by itself. `kind` is "program" when the
    path wrote one for the vote."""

    index: int
    seed: int
    temperature: float
    tokens: list[TracedToken] = field(default_factory=list[TracedToken])
    closed_by: str | None = None
    finish_reason: str | None = None
    answer: str = ""
    thinking: str = ""
    extracted: str | None = None
    is_cancelled: bool = False
    purpose: str = ""
    passed: bool | None = None
    why: str = ""
    tool_calls: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    kind: str = "prose"


@dataclass(slots=True)
class Trace:
    """`request` and `result` are plain JSON values; `prompt_ids` are shared by all paths."""

    id: str
    created: str
    request: dict[str, Any]
    model: dict[str, str]
    engine: str
    profile: str
    prompt_ids: list[int]
    prompt_text: str
    paths: list[TracedPath] = field(default_factory=list[TracedPath])
    decisions: list[Decided] = field(default_factory=list[Decided])
    result: dict[str, Any] | None = None

    def save(self, folder: Path) -> Path:
        """Write `<id>.json` into `folder`, whole or not at all.

        Raises: StoreError.
        """
        target = folder / f"{self.id}.json"
        partial = folder / f".{self.id}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False), encoding="utf-8")
            partial.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise StoreError(f"the trace {self.id} cannot be written to {folder}: {error.strerror}") from error
        return target

    @classmethod
    def load(cls, path: Path) -> Trace:
        """Read a saved trace.

        Raises: StoreError: not there, not JSON, or not a trace.
        """
        try:
            raw = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
            if raw.pop("format") != FORMAT:
                raise StoreError(
                    f"{path.name} is a trace of another format", "export it with the version that wrote it"
                )
            paths = [_path(p) for p in cast("list[dict[str, Any]]", raw.pop("paths"))]
            decisions = [Decided(**d) for d in cast("list[dict[str, Any]]", raw.pop("decisions"))]
            return cls(**raw, paths=paths, decisions=decisions)
        except OSError as error:
            raise StoreError(f"the trace {path.name} cannot be read: {error.strerror}", "bethink trace list") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path.name} is not a trace: {error}", "bethink trace list") from error


def _path(raw: Mapping[str, Any]) -> TracedPath:
    tokens = [TracedToken(**t) for t in cast("list[dict[str, Any]]", raw["tokens"])]
    others: dict[str, Any] = {key: value for key, value in raw.items() if key != "tokens"}
    return TracedPath(tokens=tokens, **others)


def keep_trace(trace: Trace, folder: Path, limit_bytes: int | None) -> None:
    """Save, and make room; what fails is told to the log only, since an answer is never lost because its trace is."""
    log = logging.getLogger("bethink")
    try:
        trace.save(folder)
    except StoreError as error:
        log.warning("the trace is not kept: %s", error)
        return
    try:
        if limit_bytes is not None:
            prune_traces(folder, limit_bytes, now_s=time.time())
    except StoreError as error:
        log.warning("traces take more than their limit: %s", error)


def trace_files(folder: Path) -> list[Path]:
    """All traces, newest first. Ids sort by time."""
    return sorted(folder.glob("[!.]*.json"), key=lambda file: file.stem, reverse=True) if folder.is_dir() else []


def remove_traces(files: Iterable[Path]) -> tuple[int, int]:
    """Delete; one that is gone already is no error. Returns how many there were and the bytes they held.

    Raises: StoreError: one cannot be deleted.
    """
    n_files = n_bytes = 0
    for file in files:
        try:
            size = file.stat().st_size
            file.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"{file} cannot be removed: {error.strerror}", "check the rights of its folder") from error
        n_files, n_bytes = n_files + 1, n_bytes + size
    return n_files, n_bytes


def prune_traces(folder: Path, limit_bytes: int, *, now_s: float) -> tuple[int, int]:
    """Delete the oldest traces of bethink's own naming until what is left holds at most `limit_bytes`, and what killed
    processes left. `now_s` is the time since the epoch. Returns how many traces went and the bytes they held.

    Raises: StoreError.
    """
    room, outgrown = limit_bytes, list[Path]()
    for file in trace_files(folder):
        state = _state(file)
        if state is None or not _ID.fullmatch(file.stem):
            continue
        size, written_s = state
        room -= size
        if room < 0 and now_s - written_s > FRESH_S:
            outgrown.append(file)
    parts = [(file, _state(file)) for file in folder.glob(".*.part")]
    remove_traces(file for file, state in parts if state is not None and now_s - state[1] > ABANDONED_S)
    return remove_traces(outgrown)


def _state(file: Path) -> tuple[int, float] | None:
    """Size and time of writing; None when another process was faster, or it is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime) if file.is_file() else None


def new_trace_id() -> str:
    """Sorts by time, and does not collide: `20261123-204501-3f9a2c`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def now_iso() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")


def result_record(result: Result) -> dict[str, Any]:
    """The result as the one JSON object that `bethink ask --json` prints and a trace keeps."""
    verdict, usage, timing = result.verdict, result.usage, result.timing
    return {
        "answer": result.answer,
        "thinking": result.thinking,
        "closed_by": result.closed_by,
        "finish_reason": result.finish_reason,
        "tool_calls": [asdict(call) for call in result.tool_calls],
        "verdict": {
            "kind": verdict.kind,
            "passed": verdict.passed,
            "extracted": verdict.extracted,
            "why": verdict.why,
            "agreement": verdict.agreement,
            "probability": verdict.probability,
            "votes": [{"answer": v.answer, "count": v.count} for v in verdict.votes],
        },
        "usage": {**asdict(usage), "completion_tokens": usage.completion_tokens},
        "timing": asdict(timing),
        "model": asdict(result.model),
        "engine": result.engine,
        "seed": result.seed,
        "trace_id": result.trace_id,
        "notes": list(result.notes),
    }
