"""From a client's turns to the messages of a `Request`.

What always holds: neighbouring pieces of one assistant's turn are one message, whatever order its dialect gives them;
a last turn that is only a thought is that thought to go on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bethink.server.asking.asks import BadField
from bethink.types import Message


def joined(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Assistant messages that follow each other become one: dialects of items tell thought, text and calls apart."""
    kept = list[Message]()
    for message in messages:
        last = kept[-1] if kept else None
        if message.role == "assistant" and last is not None and last.role == "assistant":
            thought = "\n\n".join(filter(None, (last.thinking, message.thinking))) or None
            kept[-1] = replace(
                last,
                content=last.content + message.content,
                thinking=thought,
                tool_calls=last.tool_calls + message.tool_calls,
            )
        else:
            kept.append(message)
    return tuple(kept)


def ending(
    messages: tuple[Message, ...], thought: str | None, field: str, *, takes_answers: bool
) -> tuple[tuple[Message, ...], str | None]:
    """The messages, and the thought to go on with: that of a last assistant turn that holds nothing else.

    `takes_answers`: in this dialect a last turn of the assistant is a turn like others; elsewhere it is the beginning
    of the answer, which we cannot go on with.

    Raises: BadField.
    """
    if not messages:
        raise BadField(field, f"{field} is empty", "give at least one message")
    last = messages[-1]
    is_thought = bool(last.thinking) and not last.content and not last.tool_calls and len(messages) > 1
    if last.role != "assistant" or (takes_answers and not is_thought):
        return messages, thought
    if not is_thought:
        raise BadField(
            field,
            f"{field} ends with an answer of the assistant, and an answer cannot be begun for it",
            "end with a user's turn; a last turn that is only a thought is gone on with",
        )
    if thought is not None and thought != last.thinking:
        raise BadField(
            field, "bethink.thought contradicts the thought that the messages end with", code="contradiction"
        )
    return messages[:-1], last.thinking
