"""A conversation as a tree: which nodes a branch has, and what of them a model is told.

Pure. What always holds: a branch begins at a root, each node of it is the parent of the next, and it ends at the node
it was asked for; what is told alternates between questions and answers and ends in a question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bethink.server.conversations.values import Node
from bethink.types import Message


def branch(nodes: Iterable[Node], leaf: str) -> list[Node]:
    """From the root to `leaf`.

    Raises: KeyError: a node of it is missing. ValueError: its parents go round in a circle.
    """
    by_id = {node.id: node for node in nodes}
    found, at, seen = list[Node](), by_id[leaf], set[str]()
    while True:
        if at.id in seen:
            raise ValueError(f"{at.id} is its own ancestor")
        seen.add(at.id)
        found.append(at)
        if at.parent is None:
            return found[::-1]
        at = by_id[at.parent]


def newest_leaf(nodes: Sequence[Node], start: str) -> str:
    """Where one arrives from `start` by always taking the child that was made last; `nodes` in the order in which they
    were made."""
    last_child = {node.parent: node.id for node in nodes}
    at = start
    while (child := last_child.get(at)) is not None:
        at = child
    return at


def messages_of(line: Sequence[Node], texts: Mapping[str, str], system: str | None) -> tuple[Message, ...]:
    """What a model is told of a branch that ends in a question. `texts` are those of the files, by id.

    A question that got no answer is left away with what came of it: templates want turns to alternate.
    """
    told = [Message("system", system)] if system and system.strip() else []
    pairs = list(zip(line, [*line[1:], None], strict=True))
    for node, following in pairs:
        if node.role == "user" and (following is None or following.content.strip()):
            told.append(Message("user", asked(node, texts)))
        elif node.role == "assistant" and node.content.strip():
            told.append(Message("assistant", node.content, node.thinking))
    return tuple(told)


def asked(node: Node, texts: Mapping[str, str]) -> str:
    """The question with the files it is about before it, each under its name."""
    parts = [f"File `{file.name}`:\n{_fenced(texts[file.id])}" for file in node.files if file.id in texts]
    return "\n\n".join([*parts, node.content])


def _fenced(text: str) -> str:
    """Within a fence that the text cannot close."""
    longest = run = 0
    for char in text:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"
