"""A conversation as a value that outlives its process: what was said, kept after every change, read back whole.

What always holds: a file is written whole or not at all, so a crash costs at most the answer that was being given; the
question stays, unanswered, and can be asked again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from bethink.errors import StoreError, UsageError
from bethink.trace import new_trace_id, now_iso
from bethink.types import Message, ToolCall

FORMAT = 1
TITLE = "# Conversation with "


@dataclass(slots=True)
class Conversation:
    """`messages` in order, the system message first if there is one; the last may be a question without its answer."""

    model: str | None = None
    messages: list[Message] = field(default_factory=list[Message])
    id: str = field(default_factory=new_trace_id)
    created: str = field(default_factory=now_iso)

    @property
    def is_answered(self) -> bool:
        return bool(self.messages) and self.messages[-1].role == "assistant"

    @property
    def n_turns(self) -> int:
        return sum(message.role == "user" for message in self.messages)

    @property
    def last_question(self) -> str | None:
        asked = [message.content for message in self.messages if message.role == "user"]
        return asked[-1] if asked else None

    @property
    def last_thought(self) -> str:
        return (self.messages[-1].thinking or "") if self.is_answered else ""

    def ask(self, question: str) -> None:
        """A question that never got its answer is replaced by this one."""
        if self.messages and self.messages[-1].role == "user":
            self.messages.pop()
        self.messages.append(Message("user", question))

    def answer(self, text: str, thinking: str) -> None:
        self.messages.append(Message("assistant", text, thinking or None))

    def take_back_answer(self) -> None:
        if self.is_answered:
            self.messages.pop()

    def save(self, path: Path) -> None:
        """Raises: StoreError."""
        _write(path, json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, path: Path) -> Conversation:
        """Raises: UsageError: not there, or not a conversation."""
        try:
            raw = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
            if raw.pop("format") != FORMAT:
                raise UsageError(f"{path} is a conversation of another version", "use the bethink that wrote it")
            messages = [_message(m) for m in cast("list[dict[str, Any]]", raw.pop("messages"))]
            return cls(messages=messages, **raw)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}", "check the name") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is not a saved conversation", "/save FILE.json in a chat writes one") from error

    def markdown(self) -> str:
        """To read: thoughts folded away under their answers."""
        parts = [f"{TITLE}{self.model or 'bethink'}, {self.created}"]
        for message in self.messages:
            parts.append(f"## {message.role.capitalize()}\n\n{message.content.strip()}")
            if message.thinking:
                thought = message.thinking.strip()
                parts.append(f"<details><summary>Thought</summary>\n\n{thought}\n\n</details>")
        return "\n\n".join(parts) + "\n"

    def export(self, path: Path) -> None:
        """Markdown or JSON, by the file's suffix.

        Raises: UsageError: another suffix, or a file that no chat wrote. StoreError: cannot be written.
        """
        if path.is_file() and not _is_written_by_a_chat(path):
            raise UsageError(f"{path} is there already and holds no conversation", "/save under another name")
        match path.suffix.lower():
            case ".md" | ".markdown":
                _write(path, self.markdown())
            case ".json":
                self.save(path)
            case suffix:
                raise UsageError(f"{suffix or 'a name without suffix'} is no format", "end it in .md or .json")


def latest(folder: Path, name: str = "last") -> Path:
    """The newest conversation, or the only one whose id (or its last part) begins so.

    Raises: UsageError.
    """
    files = sorted(folder.glob("[!.]*.json"), key=lambda file: file.stem, reverse=True) if folder.is_dir() else []
    if name != "last":
        files = [f for f in files if f.stem.startswith(name) or f.stem.rpartition("-")[2].startswith(name)]
    if not files:
        raise UsageError("there is no conversation to go on with", "bethink chat begins one")
    if name != "last" and len(files) > 1:
        raise UsageError(f"{name!r} could be {len(files)} conversations", "write more of the id")
    return files[0]


def _message(raw: Mapping[str, Any]) -> Message:
    if raw["role"] not in ("system", "user", "assistant") or not isinstance(raw["content"], str):
        raise ValueError(raw)
    fields: dict[str, Any] = {**raw, "tool_calls": tuple(ToolCall(**call) for call in raw.get("tool_calls", ()))}
    return Message(**fields)


def _is_written_by_a_chat(path: Path) -> bool:
    """What was saved before may be saved again; any other file of the user stays as it is."""
    try:
        with path.open(encoding="utf-8") as file:
            beginning = file.read(64)
    except (OSError, ValueError):
        return False
    return not beginning or beginning.startswith((TITLE, f'{{\n "format": {FORMAT}'))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written: {error.strerror}", "check the disk and the name") from error
