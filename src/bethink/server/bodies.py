"""Bodies: how JSON becomes a dialect's model, and how what is wrong with it becomes one sentence and the name of a
field.

Owns reading of what dialects share: contents in parts, thoughts in the history, what ends an answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bethink.errors import UsageError
from bethink.server.asks import BadField

Body = TypeVar("Body", bound=BaseModel)
_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)


def read_body(model: type[Body], body: bytes) -> Body:
    """Raises: UsageError (no JSON), BadField (the first thing that is wrong with it)."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _explained(error) from None


def _explained(error: ValidationError) -> UsageError:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return UsageError(f"the body is no JSON: {first['msg'].removeprefix('Invalid JSON: ')}", "send one JSON object")
    field = _path(first)
    if not field:
        return UsageError("the body must be one JSON object", "see /openapi.json")
    if first["type"] == "extra_forbidden":
        hint = "leave it away; every field that is honoured stands in /openapi.json"
        return BadField(field, f"unknown field {field!r}", hint, code="unknown_field")
    if first["type"] == "missing":
        return BadField(field, f"the field {field!r} is missing", code="missing_field")
    given = repr(first["input"])
    shown = "" if len(given) > 80 else f" ({given})"
    return BadField(field, f"{field}: {first['msg'][:1].lower()}{first['msg'][1:]}{shown}")


def _path(error: ErrorDetails) -> str:
    """As a client spells it; the names of union members that pydantic adds are left away."""
    return ".".join(
        str(part) for part in error["loc"] if isinstance(part, int) or re.fullmatch(r"[a-z_][a-z_0-9]*", part)
    )


def split_thought(content: str) -> tuple[str | None, str]:
    """A leading `<think>…</think>` of an assistant's earlier turn, and what follows it."""
    found = _THOUGHT.match(content)
    return (found.group(1).strip() or None, content[found.end() :]) if found else (None, content)


def one_of(first: str, a: Any, second: str, b: Any) -> Any:
    """The value of two names for one thing.

    Raises: BadField: both are given, and differ.
    """
    if a is not None and b is not None and a != b:
        raise BadField(first, f"{first}={a!r} contradicts {second}={b!r}", f"leave {second} away", code="contradiction")
    return a if a is not None else b


def stops(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
