"""Runs inside the sandbox, where no pytest is: `raises` and `approx`, the words of it that tests use most.

Source: the documented behaviour of pytest 8. Departures: `approx` takes numbers, and lists, tuples and dicts of
numbers; anything else of pytest is missing, and tests that use it cannot be checked.
"""

from __future__ import annotations

import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # spelled out, because importing `typing` would take most of the start
    from types import TracebackType
    from typing import Any


def install() -> None:
    """Let `import pytest` find these words."""
    module = sys.modules["pytest"] = type(sys)("pytest")
    module.__dict__.update(raises=raises, approx=approx)


class raises:
    """A block that must raise one of the expected errors, with a text that `match` finds."""

    def __init__(self, expected: type[BaseException] | tuple[type[BaseException], ...], *, match: str = "") -> None:
        self.expected, self.match = expected, match
        self.value: BaseException | None = None
        self.type: type[BaseException] | None = None

    def __enter__(self) -> raises:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if error is None:
            raise AssertionError(f"nothing raised {self.expected}")
        if not isinstance(error, self.expected):
            return False
        if self.match and not re.search(self.match, str(error)):
            raise AssertionError(f"{str(error)!r} does not match {self.match!r}")
        self.value, self.type = error, kind
        return True


class approx:
    """A value that equals what is near it."""

    def __init__(self, expected: object, rel: float = 1e-6, abs: float = 1e-12) -> None:
        self.expected, self.rel, self.abs = expected, rel, abs

    def __eq__(self, actual: object) -> bool:
        return self._is_near(actual, self.expected)

    def __repr__(self) -> str:
        return f"approx({self.expected!r})"

    def _is_near(self, actual: Any, expected: Any) -> bool:
        if type(actual) in (int, float) and type(expected) in (int, float):
            tolerance = max(self.rel * abs(expected), self.abs)
            return actual == expected or (tolerance != float("inf") and abs(actual - expected) <= tolerance)
        if type(actual) is not type(expected):
            return False
        if type(expected) in (list, tuple):
            return len(actual) == len(expected) and all(map(self._is_near, actual, expected))
        if type(expected) is dict:
            keys: list[Any] = [*expected]
            return actual.keys() == expected.keys() and all(self._is_near(actual[key], expected[key]) for key in keys)
        return actual == expected
