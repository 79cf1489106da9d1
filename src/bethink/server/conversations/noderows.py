"""Nodes in the database, with the files they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, literal, select

from bethink.server.conversations.rows import file_of, node_of, to_json
from bethink.server.conversations.tables import files, node_files, nodes
from bethink.server.conversations.values import FileRef, Node


def insert_nodes(db: Connection, made: Sequence[Node]) -> None:
    rows = [
        {
            "id": node.id,
            "conversation_id": node.conversation,
            "parent": node.parent,
            "role": node.role,
            "status": node.status,
            "content": node.content,
            "thinking": node.thinking,
            "settings": None if node.settings is None else node.settings.model_dump_json(),
            "result": to_json(node.result),
            "error": to_json(node.error),
            "created_us": node.created_us,
            "edited_from": node.edited_from,
        }
        for node in made
    ]
    if rows:
        db.execute(insert(nodes), rows)
    about = [
        {"node_id": node.id, "place": place, "file_id": file.id}
        for node in made
        for place, file in enumerate(node.files)
    ]
    if about:
        db.execute(insert(node_files), about)


def select_nodes(db: Connection, which: Any, *, is_brief: bool = False) -> list[Node]:
    """`is_brief`: without results and settings, which are long."""
    columns = [
        literal(None).label(column.name) if is_brief and column.name in ("result", "settings", "error") else column
        for column in nodes.c
    ]
    rows = db.execute(select(*columns).where(which).order_by(nodes.c.seq)).mappings().all()
    about = (
        select(node_files.c.node_id, files)
        .join(files, files.c.id == node_files.c.file_id)
        .where(node_files.c.node_id.in_(select(nodes.c.id).where(which)))
        .order_by(node_files.c.node_id, node_files.c.place)
    )
    by_node: dict[str, list[FileRef]] = {}
    for row in db.execute(about.with_only_columns(*_FILE_COLUMNS)).mappings():
        by_node.setdefault(row["node_id"], []).append(file_of(row))
    return [node_of(row, tuple(by_node.get(row["id"], ()))) for row in rows]


_FILE_COLUMNS = (node_files.c.node_id, *(files.c[name] for name in ("id", "name", "kind", "chars", "cut")))
