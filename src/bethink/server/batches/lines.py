"""The lines of a batch's file: read once before anything runs, so that a broken file costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic_core
from pydantic import Field

from bethink.errors import BethinkError
from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import Strict, read_body

MOST_LINES = 50_000
MOST_ERRORS = 100


class Line(Strict):
    custom_id: Annotated[str, Field(min_length=1, max_length=512)]
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with one line, counted from 1."""

    line: int
    code: str
    message: str
    param: str | None = None

    def shown(self) -> dict[str, Any]:
        return {"line": self.line, "code": self.code, "message": self.message, "param": self.param}


def read_lines(data: bytes, endpoint: str) -> tuple[list[Line], list[Wrong]]:
    """The requests, or what is wrong with the file."""
    lines, wrong, seen = list[Line](), list[Wrong](), set[str]()
    for number, raw in enumerate(data.splitlines(), 1):
        if not raw.strip():
            continue
        try:
            line = read_body(Line, raw)
            if line.url != endpoint:
                raise BadField("url", f"url is {line.url[:80]!r}, and the batch's endpoint {endpoint!r}")
            if line.custom_id in seen:
                raise BadField("custom_id", f"custom_id {line.custom_id[:80]!r} stands twice", code="duplicate")
        except BethinkError as error:
            is_field = isinstance(error, BadField)
            wrong.append(
                Wrong(number, error.problem if is_field else error.code, str(error), error.field if is_field else None)
            )
            if len(wrong) >= MOST_ERRORS:
                break
            continue
        seen.add(line.custom_id)
        lines.append(line)
    if not lines and not wrong:
        wrong.append(Wrong(1, "empty_file", "the file holds no request"))
    if len(lines) > MOST_LINES:
        wrong.append(Wrong(MOST_LINES + 1, "too_many_lines", f"{len(lines)} requests are more than {MOST_LINES}"))
    return lines, wrong


def body_of(line: Line) -> bytes:
    return pydantic_core.to_json(line.body)
