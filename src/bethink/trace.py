"""`Trace`: the whole truth of one request: every token with its phase and origin, every decision with its cause.

The display, the evaluation, the training and the lineage all read this one record. A trace is written once, when its
request is over, as one JSON file; a kill before that loses the trace and never leaves half of one.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from bethink.errors import StoreError
from bethink.types import Decided, Phase, Result

Origin = Literal["sampled", "forced"]
FORMAT = 1


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
    """One chain of thought, in the order in which its tokens came, the rolled-back ones included."""

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
        "verdict": {
            "kind": verdict.kind,
            "passed": verdict.passed,
            "extracted": verdict.extracted,
            "why": verdict.why,
            "agreement": verdict.agreement,
            "votes": [{"answer": v.answer, "count": v.count} for v in verdict.votes],
        },
        "usage": {**asdict(usage), "completion_tokens": usage.completion_tokens},
        "timing": asdict(timing),
        "model": asdict(result.model),
        "engine": result.engine,
        "seed": result.seed,
        "trace_id": result.trace_id,
    }
