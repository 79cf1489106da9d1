"""Between rows of the database and values."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, cast

import pydantic_core
from sqlalchemy import RowMapping

from bethink.server.conversations.values import Conversation, FileRef, Node, TurnSettings


def new_id(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(10)}"


def conversation_of(row: RowMapping) -> Conversation:
    return Conversation(
        id=row["id"],
        title=row["title"],
        created_us=row["created_us"],
        updated_us=row["updated_us"],
        leaf=row["leaf"],
        model=row["model"],
        n_turns=row["n_turns"],
    )


def node_of(row: RowMapping, files: tuple[FileRef, ...] = ()) -> Node:
    settings = row["settings"]
    return Node(
        id=row["id"],
        conversation=row["conversation_id"],
        parent=row["parent"],
        role=row["role"],
        content=row["content"],
        created_us=row["created_us"],
        status=row["status"],
        thinking=row["thinking"],
        files=files,
        settings=None if settings is None else TurnSettings.model_validate_json(settings),
        result=from_json(row["result"]),
        error=from_json(row["error"]),
        edited_from=row["edited_from"],
    )


def file_of(row: RowMapping) -> FileRef:
    return FileRef(row["id"], row["name"], row["kind"], row["chars"], row["cut"])


def to_json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else pydantic_core.to_json(value).decode()


def from_json(text: str | None) -> dict[str, Any] | None:
    return None if text is None else cast("dict[str, Any]", pydantic_core.from_json(text))
