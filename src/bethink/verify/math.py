"""Whether two answers are the same mathematics.

Plain numbers and equal texts are decided here, exactly and at once. The rest goes to math-verify (sympy) in a process
of its own that is killed when its time is up, so that the limit holds on any thread and for any input. What always
holds: `equivalent` is symmetric, ends in time, never raises for any text; what cannot be decided is not equivalent.
"""

from __future__ import annotations

import atexit
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from bethink.types import Verdict
from bethink.verify.numbers import Number, parse_number
from bethink.verify.process import LineProcess

MAX_MATH_CHARS = 1000
DECIMALS = Fraction(1, 2_000_000)
"""Numbers that differ by less, where one is not whole, are one number rounded twice."""

_MATHEMATICAL = re.compile(r"[\d\\^_=+*/|<>{}\[\]]|\b(?:pi|sqrt|sin|cos|tan|log|ln|infinity)\b")
_TRAILING_UNIT = re.compile(r"(?<=[\d})\s])\\?\s*(?:\\(?:text|mathrm)\s*\{[^{}]*\}|(?<![\\a-zA-Z])[a-zA-Z]{3,})\.?$")
_COMMAND = re.compile(r"\\(?!text|mathrm)[a-zA-Z]+")
_WORD = re.compile(
    r"(?<![a-zA-Z])(?!(?:sin|cos|tan|log|exp|sqrt|infinity|lim|mod|gcd|lcm|max|min|theta)(?![a-zA-Z]))[a-zA-Z]{3,}"
)
_CHOICE = re.compile(r"\(?([A-Za-z])\)?[.):]?")


def equivalent(a: str, b: str, *, timeout_s: float = 3.0) -> bool:
    """Whether both are the same answer. The first call that needs algebra also pays the worker's start, about a
    second.
    """
    return compare(a, b, timeout_s=timeout_s) is True


def check_math(gold: str, answer: str | None, *, timeout_s: float = 3.0) -> Verdict:
    """Hold an extracted answer against the known one. `passed` is None when time ran out."""
    if answer is None:
        return Verdict("math", False, None, "no answer was found in the text")
    outcome = compare(gold, answer, timeout_s=timeout_s)
    why = {True: f"equals {gold}", False: f"is not {gold}", None: f"could not be compared with {gold} in time"}[outcome]
    return Verdict("math", outcome, answer, why)


def compare(a: str, b: str, *, timeout_s: float = 3.0) -> bool | None:
    """As `equivalent`, with None for "time ran out"."""
    left, right = _Answer.read(a), _Answer.read(b)
    quick = left.quick_compare(right)
    return quick if quick is not None else _worker().compare(left.math, right.math, timeout_s)


def classes(answers: Sequence[str], *, timeout_s: float = 10.0) -> list[list[int]]:
    """The indices of equivalent answers together, classes and members in the order of first appearance.

    Equivalence is made transitive. `timeout_s` bounds the whole call; what is left then is compared as numbers and
    texts only. `50 %` joins 50 where some answer says 50, else 0.5.
    """
    read = [_Answer.read(answer) for answer in answers]
    plain = {a.number.value for a in read if a.number and not a.number.is_percent}
    by_key: dict[object, list[int]] = {}
    for i, answer in enumerate(read):
        by_key.setdefault(answer.key(plain), []).append(i)
    comparison = _Comparison(plain, until=time.monotonic() + timeout_s)
    merged: list[list[int]] = []
    for group in by_key.values():
        same = [m for m in merged if comparison.is_same(read[m[0]], read[group[0]])]
        merged = [m for m in merged if m not in same]
        merged.append(sorted([*group, *(i for m in same for i in m)]))
    return sorted(merged)


def warm_up() -> threading.Thread:
    """Start the worker in the background, so that the first comparison does not wait for it. The thread ends when it
    is ready.
    """
    thread = threading.Thread(target=_worker().start, daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer as it is compared: its text without dress, its number if it is one, and what algebra would read."""

    text: str
    number: Number | None
    math: str

    @classmethod
    def read(cls, answer: str) -> _Answer:
        bare = _undress(answer[: 4 * MAX_MATH_CHARS])
        rest = answer[4 * MAX_MATH_CHARS :]
        text = re.sub(r"\s+", " ", bare + rest).casefold()
        if match := _CHOICE.fullmatch(text):
            text = match[1]
        number = parse_number(bare) if not rest else None
        return cls(text, number, _TRAILING_UNIT.sub("", bare) if number is None else bare)

    @property
    def is_math(self) -> bool:
        """Whether algebra may have a say. Words are none of its business: it would multiply their letters."""
        if self.number is not None:
            return True
        is_short = len(self.math) <= MAX_MATH_CHARS
        return is_short and bool(_MATHEMATICAL.search(self.math)) and not _WORD.search(_COMMAND.sub(" ", self.math))

    def key(self, plain: set[Fraction]) -> Fraction | str:
        """What answers of one class have in common at first sight. `plain` are the numbers given without a percent
        sign.
        """
        if self.number is None:
            return self.text
        return self.number.value if self.number.value in plain else self.number.share

    def quick_compare(self, other: _Answer) -> bool | None:
        """None: it takes algebra."""
        if self.text == other.text:
            return True
        if self.number and other.number:
            return _are_equal_numbers(self.number, other.number)
        return None if self.is_math and other.is_math else False


@dataclass(slots=True)
class _Comparison:
    """Many comparisons under one limit. An answer whose algebra ran out of time twice is not asked about again."""

    plain: set[Fraction]
    until: float
    _strikes: Counter[str] = field(default_factory=Counter[str])

    def is_same(self, a: _Answer, b: _Answer) -> bool:
        left, right = a.key(self.plain), b.key(self.plain)
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return _is_near(left, right)
        quick = a.quick_compare(b)
        if quick is not None:
            return quick
        left_s = self.until - time.monotonic()
        if left_s <= 0 or max(self._strikes[a.math], self._strikes[b.math]) >= 2:
            return False
        outcome = _worker().compare(a.math, b.math, min(left_s, 3.0))
        if outcome is None:
            self._strikes.update((a.math, b.math))
        return outcome is True


def _are_equal_numbers(a: Number, b: Number) -> bool:
    if _is_near(a.share, b.share):
        return True
    return a.is_percent != b.is_percent and _is_near(a.value, b.value)


def _is_near(a: Fraction, b: Fraction) -> bool:
    return a == b or (not (a.denominator == b.denominator == 1) and abs(a - b) < DECIMALS)


_WRAPS = (
    ("$$", "$$"),
    ("$", "$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
    ("**", "**"),
    ("`", "`"),
    ("\\boxed{", "}"),
    ("\\text{", "}"),
)


def _undress(text: str) -> str:
    """Without the marks around an answer: white space, bold, dollars of mathematics, a final full stop."""
    before = None
    while before != text:
        before = text
        text = text.strip().rstrip(".,;").strip()
        for opening, closing in _WRAPS:
            inner = text[len(opening) : len(text) - len(closing)]
            if (
                text.startswith(opening)
                and text.endswith(closing)
                and len(text) > len(opening + closing)
                and opening not in inner
            ):
                text = inner
    return text


MIN_TRY_S = 0.5
"""A comparison that was given less is not remembered as one that cannot be made."""


class Worker(LineProcess):
    """The algebra process. Answers are remembered, the lack of one too."""

    def __init__(self) -> None:
        super().__init__("bethink.verify.worker")
        self._memory_lock = threading.Lock()
        self._known: dict[tuple[str, str], bool | None] = {}

    def compare(self, a: str, b: str, timeout_s: float) -> bool | None:
        """None when time ran out, or when there can be no process: then nothing is known."""
        pair = (a, b) if a <= b else (b, a)
        with self._memory_lock:
            if pair not in self._known:
                if len(self._known) >= 4096:
                    self._known.clear()
                answer = self.ask({"a": pair[0], "b": pair[1]}, timeout_s)
                is_open = answer is None or answer["is_open"] is True
                outcome = None if answer is None or is_open else answer["equal"] is True
                if outcome is None and timeout_s < MIN_TRY_S:
                    return None  # somebody with more time may find out
                self._known[pair] = outcome
            return self._known[pair]


@cache
def _worker() -> Worker:
    worker = Worker()
    atexit.register(worker.close)
    return worker
