"""What a conversation is made of: nodes of a tree, the settings of an answer, files that were asked about.

Owns these values and the errors of their room. Refuses to know a database or a wire. Times are microseconds since the
epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from bethink.errors import UsageError
from bethink.server.asking.knobs import Strict
from bethink.thinking.spend import MAX_PATHS
from bethink.types import Effort

NodeRole = Literal["user", "assistant"]
Status = Literal["queued", "running", "done", "failed", "stopped"]
UNTITLED = "New conversation"
MAX_CONTENT = 1_000_000
"""Characters of one question, or of an answer that a person writes; a context holds less."""
MAX_TITLE = 200


class NoSuchConversation(UsageError):
    code = "no_such_conversation"
    http_status = 404


class NoSuchNode(UsageError):
    code = "no_such_node"
    http_status = 404


class StillAnswering(UsageError):
    """What was asked for has to wait until an answer is there."""

    code = "still_answering"
    http_status = 409


class TurnSettings(Strict):
    """How one answer is made. None: the server's default, or that of the effort. What runs commands of one's own
    (`cmd:`) is for the command line: a page must not be able to."""

    model: str | None = None
    effort: Effort = "auto"
    budget: Annotated[int, Field(ge=0)] | None = None
    within_s: Annotated[float, Field(gt=0, le=86400)] | None = None
    paths: Annotated[int, Field(ge=1, le=MAX_PATHS)] | None = None
    programs: Annotated[int, Field(ge=0, lt=MAX_PATHS)] | None = None
    check: Literal["auto", "none", "math", "code"] = "auto"
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    system: Annotated[str, Field(max_length=MAX_CONTENT)] | None = None

    def changed_by(self, given: TurnSettings) -> TurnSettings:
        """With every field that was stated in `given`, also as null."""
        return self.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file whose text was read. `kind` is text, code, csv or pdf; `cut` says in words what was left out (None:
    nothing)."""

    id: str
    name: str
    kind: str
    chars: int
    cut: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One message. A conversation is a tree of them: a message that was edited, or another answer, is a sibling.

    `thinking`, `settings`, `result` and `error` are an answer's that a model made; `result` is what
    `trace.result_record` says, with its paths. `edited_from` is the model's answer beside this one whose text a person
    changed into this one's: of such a text nothing was thought, measured or checked, so it has none of the four.
    """

    id: str
    conversation: str
    parent: str | None
    role: NodeRole
    content: str
    created_us: int
    status: Status = "done"
    thinking: str | None = None
    files: tuple[FileRef, ...] = ()
    settings: TurnSettings | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    edited_from: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether an answer is still to come."""
        return self.status in ("queued", "running")


@dataclass(frozen=True, slots=True)
class Conversation:
    """`leaf` is the last node of the branch that is shown."""

    id: str
    title: str
    created_us: int
    updated_us: int
    leaf: str | None = None
    model: str | None = None
    n_turns: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """An answer that is to be made, with all that is needed to make it, also after a crash. `kept` is what was written
    down of its run (None: nothing yet); `key_id` whose right to ask it is (empty: the person on this machine);
    `n_attempts` processes had it before, `n_crashes` of them died over it."""

    owner: str
    node: Node
    seed: int
    thought: str | None = None
    key_id: str = ""
    n_attempts: int = 0
    n_crashes: int = 0
    kept: Mapping[str, Any] | None = None


def clean(text: str) -> str:
    """The text as every database can hold it: PostgreSQL knows no NUL, UTF-8 no half of a surrogate pair."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def checked_content(text: str, what: str) -> str:
    """What a person wrote, as it can be kept; `what` names it. Raises: UsageError."""
    if not text.strip():
        raise UsageError(f"there is no {what}", "write one")
    if len(text) > MAX_CONTENT:
        raise UsageError(f"the {what} has {len(text):,} characters; {MAX_CONTENT:,} are the most", "shorten it")
    return clean(text)


def checked_title(text: str) -> str:
    """In one line. Raises: UsageError."""
    named = " ".join(clean(text).split())
    if not named:
        raise UsageError("the title is empty", "write one")
    if len(named) > MAX_TITLE:
        raise UsageError(f"the title has {len(named)} characters; {MAX_TITLE} are the most", "shorten it")
    return named
