"""Conversations as the page reads them: plain JSON values, in snake_case, with moments in ISO 8601."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bethink.errors import BethinkError
from bethink.server.asking.asks import BadField
from bethink.server.conversations.values import Conversation, FileRef, Node
from bethink.trace import result_record
from bethink.types import PathResult, Result


def moment(us: int) -> str:
    at = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{us // 1000 % 1000:03d}Z"


def conversation_record(of: Conversation) -> dict[str, Any]:
    return {
        "id": of.id,
        "title": of.title,
        "created": moment(of.created_us),
        "updated": moment(of.updated_us),
        "leaf": of.leaf,
        "model": of.model,
        "n_turns": of.n_turns,
    }


def node_record(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "parent": node.parent,
        "role": node.role,
        "content": node.content,
        "thinking": node.thinking,
        "files": [file_record(file) for file in node.files],
        "status": node.status,
        "settings": None if node.settings is None else node.settings.model_dump(),
        "result": node.result,
        "error": node.error,
        "edited_from": node.edited_from,
        "created": moment(node.created_us),
    }


def file_record(file: FileRef) -> dict[str, Any]:
    return asdict(file)


def error_record(error: BethinkError) -> Mapping[str, Any]:
    """Also names the field of a body that is wrong."""
    if isinstance(error, BadField):
        return {"code": error.problem, "message": str(error), "hint": error.hint, "field": error.field}
    return {"code": error.code, "message": str(error), "hint": error.hint}


def result_of(result: Result, resumed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Without what stands in the node itself. `resumed` says what was spent before it was interrupted, which no other
    count holds."""
    record = result_record(result)
    del record["answer"], record["thinking"]
    return record | {"paths": [_path(path) for path in result.paths], "resumed": resumed}


def _path(path: PathResult) -> dict[str, Any]:
    return {
        "index": path.index,
        "kind": path.kind,
        "thinking": path.thinking,
        "answer": path.answer,
        "extracted": path.extracted,
        "closed_by": path.closed_by,
        "finish_reason": path.finish_reason,
        "is_cancelled": path.is_cancelled,
        "passed": path.passed,
        "why": path.why,
        "usage": {**asdict(path.usage), "completion_tokens": path.usage.completion_tokens},
    }
