"""Files that become conversations again: what `exporting` writes as JSON, and what `bethink chat` saves.

What always holds: what is read is a tree of questions and answers with ids of its own; nothing in it is on its way, and
it names no trace, since traces are found by their name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from bethink.errors import UsageError
from bethink.server.asking.asks import BadField
from bethink.server.conversations.exporting import FORMAT
from bethink.server.conversations.rows import new_id
from bethink.server.conversations.storage import MAX_NODES
from bethink.server.conversations.values import (
    MAX_CONTENT,
    MAX_TITLE,
    UNTITLED,
    Node,
    NodeRole,
    Status,
    TurnSettings,
    clean,
)
from bethink.thinking.spend import MAX_PATHS
from bethink.types import ClosedBy, PathKind

Text = Annotated[str, Field(max_length=MAX_CONTENT)]


class _Read(BaseModel):
    """What a newer bethink adds is read over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Count = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class UsageBody(_Read):
    prompt_tokens: Count = 0
    thinking_tokens: Count = 0
    answer_tokens: Count = 0
    probe_tokens: Count = 0
    discarded_tokens: Count = 0
    cached_tokens: Count = 0
    completion_tokens: Count = 0


class VoteBody(_Read):
    answer: Text
    count: Count


class VerdictBody(_Read):
    kind: str
    passed: bool | None = None
    extracted: Text | None = None
    why: Text = ""
    agreement: float | None = None
    probability: float | None = None
    votes: Annotated[list[VoteBody], Field(max_length=MAX_PATHS)] = []


class PathBody(_Read):
    index: Count
    kind: PathKind = "prose"
    thinking: Text = ""
    answer: Text = ""
    extracted: Text | None = None
    closed_by: ClosedBy
    finish_reason: str = ""
    is_cancelled: bool = False
    passed: bool | None = None
    why: Text = ""
    usage: UsageBody


class TimingBody(_Read):
    first_token_s: Seconds | None = None
    first_answer_token_s: Seconds | None = None
    total_s: Seconds
    tokens_per_s: Seconds
    load_s: Seconds = 0.0


class ModelBody(_Read):
    name: str
    sha256: str = ""


class ResumedBody(_Read):
    times: Count
    tokens: Count
    seconds: Seconds


class ResultBody(_Read):
    """The evidence of an answer, as the page shows it."""

    closed_by: ClosedBy
    finish_reason: str
    verdict: VerdictBody
    usage: UsageBody
    timing: TimingBody
    model: ModelBody
    engine: str = ""
    seed: int = 0
    paths: Annotated[list[PathBody], Field(max_length=MAX_PATHS)]
    notes: Annotated[list[Text], Field(max_length=MAX_PATHS)] = []
    resumed: ResumedBody | None = None

    def record(self) -> dict[str, Any]:
        return self.model_dump() | {"trace_id": ""}


class FailureBody(_Read):
    code: str
    message: Text
    hint: Text | None = None


class NodeBody(_Read):
    id: Annotated[str, Field(min_length=1, max_length=100)]
    parent: str | None
    role: NodeRole
    content: Text
    thinking: Text | None = None
    status: Status = "done"
    settings: TurnSettings | None = None
    result: ResultBody | None = None
    error: FailureBody | None = None
    edited_from: str | None = None
    created: AwareDatetime | None = None


class TreeBody(_Read):
    """Ours."""

    format: Literal["bethink-conversation-1"]
    title: str = ""
    leaf: str | None = None
    nodes: Annotated[list[NodeBody], Field(max_length=MAX_NODES)]


class MessageBody(_Read):
    role: Literal["system", "user", "assistant"]
    content: Text
    thinking: Text | None = None


class ChatBody(_Read):
    """What `bethink chat` saves: a line of messages."""

    format: Literal[1]
    messages: Annotated[list[MessageBody], Field(max_length=MAX_NODES)]


class ImportBody(RootModel[Annotated[TreeBody | ChatBody, Field(discriminator="format")]]):
    """Either of them."""


def title_of_import(body: ImportBody) -> str:
    title = body.root.title if isinstance(body.root, TreeBody) else ""
    return " ".join(clean(title).split())[:MAX_TITLE] or UNTITLED


def nodes_of_import(body: ImportBody, conversation_id: str, now_us: int) -> tuple[list[Node], str | None]:
    """The nodes with new ids, parents first, and the leaf that was shown.

    Raises: BadField: they are no tree of questions and answers. UsageError: there is none.
    """
    given = body.root
    if isinstance(given, ChatBody):
        given = TreeBody(format=FORMAT, nodes=_tree_of_line(given.messages))
    ids: dict[str, str] = {}
    before: dict[str, NodeBody] = {}
    made: list[Node] = []
    for place, node in enumerate(given.nodes):
        _check_place(f"nodes.{place}", node, before)
        _check_edited(f"nodes.{place}", node, before)
        ids[node.id], before[node.id] = new_id("n"), node
        made.append(_node(node, ids, conversation_id, now_us))
    if not made:
        raise UsageError("there is nothing in that conversation", "send one that was exported")
    leaf = ids.get(given.leaf or "", made[-1].id)
    return made, leaf


def _check_place(where: str, node: NodeBody, before: Mapping[str, NodeBody]) -> None:
    if node.id in before:
        raise BadField(f"{where}.id", f"{where}.id is that of another node")
    if node.parent is not None and node.parent not in before:
        raise BadField(f"{where}.parent", f"{where}.parent is no node before it")
    above = None if node.parent is None else before[node.parent].role
    if (node.role == "user") != (above != "user"):
        raise BadField(f"{where}.role", f"{where}: questions follow answers, and answers questions")


def _check_edited(where: str, node: NodeBody, before: Mapping[str, NodeBody]) -> None:
    """What a person wrote stands beside the model's answer that it was, and claims nothing of a model."""
    if node.edited_from is None:
        return
    field = f"{where}.edited_from"
    of = before.get(node.edited_from)
    if of is None or of.role != "assistant" or of.parent != node.parent or of.edited_from is not None:
        raise BadField(field, f"{field} is no answer of a model beside it")
    if node.status != "done" or not node.content.strip():
        raise BadField(field, f"{where}: an edited answer is there, and not empty")
    for name in ("thinking", "settings", "result", "error"):
        if getattr(node, name) is not None:
            raise BadField(f"{where}.{name}", f"{where}.{name}: a text that a person wrote has none")


def _node(node: NodeBody, ids: Mapping[str, str], conversation_id: str, now_us: int) -> Node:
    """`ids` are the new ones."""
    created_us = now_us if node.created is None else int(node.created.timestamp() * 1e6)
    return Node(
        id=ids[node.id],
        conversation=conversation_id,
        parent=ids.get(node.parent or ""),
        role=node.role,
        content=clean(node.content),
        created_us=max(0, min(created_us, now_us)),
        status="stopped" if node.status in ("queued", "running") else node.status,
        thinking=clean(node.thinking) if node.thinking else None,
        settings=node.settings,
        result=None if node.result is None else node.result.record(),
        error=None if node.error is None else node.error.model_dump(),
        edited_from=ids.get(node.edited_from or ""),
    )


def _tree_of_line(messages: Sequence[MessageBody]) -> list[NodeBody]:
    """A question without its answer is followed by the next one; what the system was told is a setting."""
    system = next((m.content for m in messages if m.role == "system"), None)
    made: list[NodeBody] = []
    for place, message in enumerate(messages):
        if message.role == "system":
            continue
        is_question = message.role == "user"
        last = made[-1] if made else None
        parent = None if last is None else last.id
        if last is not None and (last.role == "user") == is_question:
            parent = last.parent
        if parent is None and not is_question:
            raise BadField(f"messages.{place}.role", f"messages.{place} answers nothing")
        settings = None if is_question else TurnSettings(system=system)
        made.append(
            NodeBody(
                id=str(place),
                parent=parent,
                role=message.role,
                content=message.content,
                thinking=message.thinking,
                settings=settings,
            )
        )
    return made
