"""What no dialect has a place for, under the name `bethink`: the verdict, what closed the thought, progress of a
vote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bethink.trace import result_record
from bethink.types import PathDone, Result, Started, ThoughtClosed, ThoughtRolledBack


def extension(result: Result) -> Mapping[str, Any]:
    """The evidence of an answer, where its trace is, and what of the request was done otherwise than it said."""
    record = result_record(result)
    kept = ("closed_by", "finish_reason", "verdict", "usage", "timing", "seed", "engine", "trace_id", "model", "notes")
    return {key: record[key] for key in kept}


def progress(event: Started | ThoughtRolledBack | ThoughtClosed | PathDone) -> Mapping[str, Any]:
    """One event of a run, for clients that asked for them."""
    match event:
        case Started():
            return {
                "event": "started",
                "prompt_tokens": event.prompt_tokens,
                "budget": event.budget,
                "paths": event.paths,
                "effort": event.effort,
                "notes": list(event.notes),
            }
        case ThoughtRolledBack():
            return {"event": "rolled_back", "path": event.path, "keep_chars": event.keep_chars, "cause": event.cause}
        case ThoughtClosed():
            return {"event": "closed", "path": event.path, "closed_by": event.closed_by, "tokens": event.n_tokens}
        case PathDone():
            votes = [{"answer": vote.answer, "count": vote.count} for vote in event.votes]
            return {"event": "path", "path": event.result.index, "votes": votes, "running": event.n_running}
