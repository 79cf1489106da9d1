"""Whether an answer is JSON that a JSON schema allows.

The library's judgement (`jsonschema`, the draft that the schema names, else 2020-12; `format` is an annotation, as the
drafts say), in a process that is killed when its time is up. Nothing is ever fetched.
"""

from __future__ import annotations

import atexit
import json
import re
from functools import cache
from typing import NoReturn, cast

from bethink.errors import UsageError
from bethink.types import Verdict
from bethink.verify.process import LineProcess

MAX_CHARS = 4_000_000

_FENCED = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*(?:json[a-z0-9]*)?[ \t]*\n(.*?)^[ \t]*\1", re.MULTILINE | re.DOTALL | re.IGNORECASE
)


def check_schema(schema: object, answer: str, *, timeout_s: float = 3.0) -> Verdict:
    """Hold an answer against a schema (parsed, or its text). The JSON may stand in fences or in prose.

    `passed` is None when time ran out. Raises: UsageError for a schema that is none.
    """
    if isinstance(schema, str):
        schema = read_schema(schema)
    found = extract_json(answer)
    if found is None:
        _judge(schema, None, timeout_s)  # a schema that is none is said so, whatever the answer
        return Verdict("schema", False, None, f"no JSON was found in the answer{_complaint(answer)}")
    text, value = found
    judged = _judge(schema, value, timeout_s)
    match judged:
        case None:
            return Verdict("schema", None, text, f"could not be checked in {timeout_s:g} s")
        case {"errors": list(), "n": int() as n}:
            errors = cast("list[str]", judged["errors"])
            more = f" (and {n - len(errors)} more)" if n > len(errors) else ""
            why = "; ".join(errors) + more if errors else "holds to the schema"
            return Verdict("schema", not errors, text, why)
        case _:
            return Verdict("schema", None, text, "could not be checked")


def _judge(schema: object, value: object, timeout_s: float) -> dict[str, object] | None:
    """None when time ran out. Raises: UsageError for a schema that is none."""
    judged = _process().ask({"schema": schema, "value": value}, timeout_s)
    if judged is not None and isinstance(why := judged.get("invalid"), str):
        fetched = "nothing is fetched" in why
        hint = "put what it refers to under $defs" if fetched else 'write a JSON schema, such as {"type": "object"}'
        raise UsageError(f"the schema cannot be used: {why}", hint)
    return judged


def read_schema(text: str) -> object:
    """Raises: UsageError."""
    try:
        return _loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the schema is not JSON: {error or type(error).__name__}") from None


def extract_json(text: str) -> tuple[str, object] | None:
    """The JSON in an answer, as text and as a value: all of it, else the last fenced block that is JSON, else what
    begins at the first brace or bracket of the text and is JSON."""
    text = text[:MAX_CHARS].strip()
    for candidate in (text, *(found[2].strip() for found in reversed(list(_FENCED.finditer(text))))):
        try:
            return candidate, _loads(candidate)
        except (ValueError, RecursionError):
            continue
    for n_tried, opening in enumerate(re.finditer(r"[{\[]", text)):
        if n_tried > 20:
            break
        try:
            value, end = _DECODER.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            continue
        return text[opening.start() : end], value
    return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _loads(text: str) -> object:
    return _DECODER.decode(text)


def _complaint(answer: str) -> str:
    try:
        _loads(answer.strip())
    except (ValueError, RecursionError) as error:
        return f": {error}" if str(error) else ""
    return ""


@cache
def _process() -> LineProcess:
    process = LineProcess("bethink.verify.schema_worker")
    atexit.register(process.close)
    return process
