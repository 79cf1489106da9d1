"""Conversations as files: Markdown to read, JSON to keep or to bring elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bethink.server.conversations.records import conversation_record, node_record
from bethink.server.conversations.values import Conversation, Node

FORMAT = "bethink-conversation-1"


def json_of(conversation: Conversation, nodes: Sequence[Node]) -> dict[str, Any]:
    """The whole tree."""
    return {"format": FORMAT, **conversation_record(conversation), "nodes": [node_record(node) for node in nodes]}


def markdown_of(conversation: Conversation, line: Sequence[Node]) -> str:
    """One branch, to read: thoughts folded away before their answers."""
    parts = [f"# {conversation.title}"]
    for node in line:
        if node.role == "user":
            parts.append("## Question")
            parts += [f"*File: {file.name}*" for file in node.files]
        else:
            parts.append("## " + " · ".join(["Answer", *_facts(node)]))
        if node.thinking:
            parts.append(f"<details><summary>Thought</summary>\n\n{node.thinking.strip()}\n\n</details>")
        parts.append(node.content.strip() or "*No answer.*")
    return "\n\n".join(parts) + "\n"


def _facts(node: Node) -> list[str]:
    if node.edited_from is not None:
        return ["edited by hand"]
    if node.status != "done":
        return [node.status]
    result = node.result or {}
    model: Mapping[str, Any] = result.get("model") or {}
    name = str(model.get("name", ""))
    return [name] if name else []
