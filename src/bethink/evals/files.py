"""Files of questions: JSON lines (or one JSON list), plain or gzipped, read whole and checked row by row.

What always holds: a row that cannot be used is an error that names the file and the row; nothing is skipped silently.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bethink.errors import UsageError
from bethink.evals.task import Example

MAX_BYTES = 512_000_000

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """The rows of a file and the hash of its bytes."""

    path: Path
    rows: tuple[Row, ...]
    sha256: str

    def examples(self, read: Callable[[Row, int], Example]) -> tuple[Example, ...]:
        """Every row read as an example; `read` gets the row and its number, and raises ValueError with what is wrong.

        Raises: UsageError.
        """
        found: list[Example] = []
        places: dict[str, int] = {}
        for number, row in enumerate(self.rows, 1):
            try:
                example = read(row, number)
            except ValueError as error:
                raise UsageError(
                    f"row {number} of {self.path}: {error}", "see docs/guide/eval.md for formats"
                ) from None
            if example.id in places:
                raise UsageError(
                    f"rows {places[example.id]} and {number} of {self.path} have the same id {example.id!r}",
                    "every question needs an id of its own (leave ids out to have rows counted)",
                )
            places[example.id] = number
            found.append(example)
        return tuple(found)


def read_questions(path: Path) -> QuestionFile:
    """Raises: UsageError: missing, unreadable, too large, malformed, or without a question."""
    raw = _read(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", "give JSON lines in UTF-8") from None
    rows = _rows(text, path)
    if not rows:
        raise UsageError(f"{path} holds no question", 'one JSON object a line: {"question": "…", "answer": "…"}')
    return QuestionFile(path, rows, hashlib.sha256(raw).hexdigest())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_packed else path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{path} cannot be read: {why}", "check the name and the rights") from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{path} holds more than {MAX_BYTES // 1_000_000} MB", "cut it")
    return raw


def _rows(text: str, path: Path) -> tuple[Row, ...]:
    if text.lstrip().startswith("["):
        items = _parsed(text, f"{path}")
        if not isinstance(items, list):
            raise UsageError(f"{path} is neither JSON lines nor a JSON list", "one JSON object a line")
        listed = enumerate(cast("list[object]", items), 1)
        return tuple(_object(item, f"item {number} of {path}") for number, item in listed)
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return tuple(
        _object(_parsed(line, place), place) for number, line in lines for place in (f"line {number} of {path}",)
    )


def _parsed(text: str, place: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place} is not JSON: {error}", "one JSON object a line") from None


def _object(item: object, place: str) -> Row:
    if not isinstance(item, dict):
        raise UsageError(f"{place} is not a JSON object", 'write {"question": "…", "answer": "…"}')
    return cast("Row", item)


def text_of(row: Row, *names: str) -> str:
    """The first of the fields that is there, as text; numbers are taken as they are written.

    Raises: ValueError.
    """
    for name in names:
        value = row.get(name)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value
    if blank := [name for name in names if isinstance(row.get(name), str)]:
        raise ValueError(f"its {blank[0]!r} is empty")
    raise ValueError(
        f"it has no {' or '.join(repr(n) for n in names)}; it has {', '.join(map(repr, row)) or 'nothing'}"
    )


def id_of(row: Row, number: int, *names: str) -> str:
    """The row's own id, or its number."""
    own = [row[name] for name in names if isinstance(row.get(name), str | int)]
    return str(own[0]) if own else str(number)


def texts_of(row: Row, name: str) -> Sequence[str]:
    """A list of texts. Raises: ValueError."""
    value = row.get(name)
    if isinstance(value, list) and all(isinstance(v, str) for v in cast("list[object]", value)):
        return cast("list[str]", value)
    raise ValueError(f"its {name!r} is no list of texts")
