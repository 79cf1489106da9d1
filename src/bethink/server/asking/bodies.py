"""Bodies: how JSON becomes a dialect's model, and how what is wrong with it becomes one sentence and the name of a
field.

Owns reading of what dialects share: what is wrong, thoughts in the history, what ends an answer.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from bethink.errors import UsageError
from bethink.server.asking.asks import BadField

Body = TypeVar("Body", bound=BaseModel)
MAX_STOPS = 16
MAX_NAME = 80
MAX_SHOWN = 80
MAX_ITEMS = 4096
MAX_TURNS = 20_000
"""Of a dialogue, however long it has gone on."""
Item = TypeVar("Item")
Listed = Annotated[list[Item], Field(fail_fast=True, max_length=MAX_ITEMS)]
"""A list in a body: the first item that is wrong is enough, and a million of them would be a million errors."""
Turns = Annotated[list[Item], Field(fail_fast=True, min_length=1, max_length=MAX_TURNS)]
"""The messages of a dialogue."""
Ids = Annotated[list[Item], Field(fail_fast=True, max_length=1 << 20)]
"""Tokens: more than any context holds."""
_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)
_MEDIA = re.compile(r"(image|audio|video|file|document)", re.IGNORECASE)


class Strict(BaseModel):
    """A body whose unknown fields are errors: a knob that nobody reads would be dropped in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NullIsDefault(Strict):
    """A body of clients that send null for what they leave open: null means the default there."""

    @field_validator("*", mode="before")
    @classmethod
    def _default_for_null(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None or info.field_name is None:
            return value
        given = cls.model_fields[info.field_name]
        return value if given.is_required() else given.get_default(call_default_factory=False)


def read_body(model: type[Body], body: bytes, refused: Mapping[str, str] | None = None) -> Body:
    """`refused` are fields that clients know and nobody here honours, with what to do instead.

    Raises: UsageError (no JSON), BadField (what is wrong with it).
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _explained(error, body, refused or {}) from None


def _explained(error: ValidationError, body: bytes, refused: Mapping[str, str]) -> UsageError:
    """The deepest error is the one meant: the others are of the alternatives that a union also tried."""
    first = max(error.errors(include_url=False), key=lambda e: len(e["loc"]))
    if first["type"] == "json_invalid":
        return UsageError(f"the body is no JSON: {first['msg'].removeprefix('Invalid JSON: ')}", "send one JSON object")
    field = _path(first, body)
    if not field:
        return UsageError("the body must be one JSON object", "see /openapi.json")
    if first["type"] == "extra_forbidden":
        if hint := refused.get(field):
            return BadField(field, f"{field!r} is not supported here", hint, code="unsupported_field")
        hint = "leave it away; every field that is honoured stands in /openapi.json"
        return BadField(field, f"unknown field {field!r}", hint, code="unknown_field")
    if first["type"] == "missing":
        return BadField(field, f"the field {field!r} is missing", code="missing_field")
    if (kind := _media(first, field)) is not None:
        return BadField(
            field, f"{field}: this server's models read text, not {kind!r}", "send text", code="unsupported_content"
        )
    if first["type"] == "union_tag_invalid":
        told = first.get("ctx", {})
        wanted = f"what is known here: {told.get('expected_tags', '')}"
        return BadField(field, f"{field}: the type {str(told.get('tag'))[:60]!r} is not known here", wanted)
    return BadField(field, f"{field}: {first['msg'][:1].lower()}{first['msg'][1:]}{_shown(first['input'])}")


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist = 4, MAX_SHOWN, MAX_SHOWN
_SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 2 * MAX_SHOWN, 2 * MAX_SHOWN, 2 * MAX_SHOWN


def _shown(value: Any) -> str:
    """The value, where it is short; of a huge one no more is looked at than is needed to see that it is."""
    try:
        given = _SHORT.repr(value)
    except ValueError:  # a number of more digits than Python writes
        return ""
    return "" if len(given) > MAX_SHOWN else f" ({given})"


def _media(error: ErrorDetails, field: str) -> str | None:
    """The kind of a part that is no text, when that is what is wrong."""
    given = error["input"]
    kind: Any = given.get("type") if isinstance(given, dict) else given  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # anything a client sends
    is_kind = error["type"] == "union_tag_invalid" or (error["type"] == "literal_error" and field.endswith(".type"))
    return kind if is_kind and isinstance(kind, str) and len(kind) < 40 and _MEDIA.search(kind) else None


def _path(error: ErrorDetails, body: bytes) -> str:
    """As the client spelled it: the names of union members that pydantic adds are left away."""
    try:
        given: Any = pydantic_core.from_json(body)
    except ValueError:
        given = None
    return ".".join(str(part)[:MAX_NAME] for part in _walked(given, error["loc"], error["type"] == "missing")[1])


def _walked(value: Any, loc: tuple[int | str, ...], is_missing: bool) -> tuple[int, tuple[int | str, ...]]:
    """The parts of `loc` that lead through `value`, and how many had to be left away; the fewest win. `is_missing`: the
    last is not there."""
    if not loc:
        return 0, ()
    part, rest = loc[0], loc[1:]
    n, path = _walked(value, rest, is_missing)
    ways = [(n + 1, path)]
    inner = _inside(value, part)
    if inner is not _NOTHING:
        n, path = _walked(inner, rest, is_missing)
        ways.append((n, (part, *path)))
    elif is_missing and not rest and isinstance(value, dict):
        ways.append((0, (part,)))
    return min(ways, key=lambda way: way[0])


_NOTHING: Any = object()


def _inside(value: Any, part: int | str) -> Any:
    if isinstance(value, dict):
        return value.get(part, _NOTHING)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # any JSON
    if isinstance(value, list) and isinstance(part, int) and part < len(value):  # pyright: ignore[reportUnknownArgumentType]  # any JSON
        return value[part]  # pyright: ignore[reportUnknownVariableType]  # any JSON
    return _NOTHING


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


def stops(value: str | Sequence[str] | None, field: str = "stop") -> tuple[str, ...]:
    """Texts that end an answer.

    Raises: BadField: one is empty, or there are too many.
    """
    if value is None:
        return ()
    texts = (value,) if isinstance(value, str) else tuple(value)
    if len(texts) > MAX_STOPS:
        raise BadField(field, f"{field} has {len(texts)} texts; at most {MAX_STOPS} end an answer")
    if not all(texts):
        raise BadField(field, f"{field} holds an empty text, which would end every answer at once")
    return texts
