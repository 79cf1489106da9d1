"""Whether two answers are the same mathematics.

Plain numbers and equal texts are decided here, exactly and at once. The rest goes to math-verify (sympy) in a process
of its own that is killed when its time is up, so that the limit holds on any thread and for any input. What always
holds: `equivalent` is symmetric, ends in time, never raises for any text; what cannot be decided is not equivalent.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from bethink.types import Verdict
from bethink.verify.numbers import Number, parse_number

MAX_MATH_CHARS = 1000
START_LIMIT_S = 30.0
DECIMALS = Fraction(1, 2_000_000)
"""Numbers that differ by less, where one is not whole, are one number rounded twice."""

_MATHEMATICAL = re.compile(r"[\d\\^_=+*/|<>{}\[\]]|\b(?:pi|sqrt|sin|cos|tan|log|ln|infinity)\b")
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
    comparison = _Comparison(until=time.monotonic() + timeout_s)
    merged: list[list[int]] = []
    for group in by_key.values():
        same = [m for m in merged if comparison.is_same(read[m[0]], read[group[0]])]
        merged = [m for m in merged if m not in same]
        merged.append(sorted([*group, *(i for m in same for i in m)]))
    return sorted(merged)


def warm_up() -> None:
    """Start the worker in the background, so that the first comparison does not wait for it."""
    threading.Thread(target=_worker().start, daemon=True).start()


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
        return cls(text, parse_number(bare) if not rest else None, bare)

    @property
    def is_math(self) -> bool:
        return len(self.math) <= MAX_MATH_CHARS and _MATHEMATICAL.search(self.math) is not None

    def key(self, plain: set[Fraction]) -> object:
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

    until: float
    _strikes: Counter[str] = field(default_factory=Counter[str])

    def is_same(self, a: _Answer, b: _Answer) -> bool:
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


class Worker:
    """The algebra process: started when first needed, one question at a time, killed when a question takes too long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._known: dict[tuple[str, str], bool | None] = {}
        self._n_asked = 0
        self._is_broken = False

    def start(self) -> None:
        with self._lock:
            self._running()

    def compare(self, a: str, b: str, timeout_s: float) -> bool | None:
        """None when time ran out. Answers are remembered, the lack of one too."""
        pair = (a, b) if a <= b else (b, a)
        with self._lock:
            if pair not in self._known:
                if len(self._known) >= 4096:
                    self._known.clear()
                self._known[pair] = self._ask(*pair, timeout_s)
            return self._known[pair]

    def close(self) -> None:
        """End the process. It starts again when it is needed."""
        with self._lock:
            self._stop()

    def _ask(self, a: str, b: str, timeout_s: float) -> bool | None:
        process = self._running()
        if process is None:
            return False
        self._n_asked += 1
        line = self._exchange(process, {"id": self._n_asked, "a": a, "b": b}, timeout_s)
        if line is None:
            self._stop()
            return None
        return json.loads(line)["equal"] is True

    def _running(self) -> subprocess.Popen[str] | None:
        """The process, started if need be; None when it cannot be (then texts decide)."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        if self._is_broken:
            return None
        self._stop()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bethink.verify.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        if self._exchange(self._process, None, START_LIMIT_S) is None:
            self._is_broken = True
            self._stop()
        return self._process

    def _exchange(
        self, process: subprocess.Popen[str], question: dict[str, object] | None, timeout_s: float
    ) -> str | None:
        """One line out of the process, or None when it died or was killed for taking too long."""
        assert process.stdin
        assert process.stdout
        timer = threading.Timer(timeout_s, process.kill)
        timer.daemon = True
        timer.start()
        try:
            if question is not None:
                process.stdin.write(json.dumps(question) + "\n")
                process.stdin.flush()
            return process.stdout.readline() or None
        except (BrokenPipeError, ValueError):
            return None
        finally:
            timer.cancel()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):  # it was killed with a question in its pipe
                    pipe.close()


@cache
def _worker() -> Worker:
    worker = Worker()
    atexit.register(worker.close)
    return worker
