"""Accounts with a clock that a test moves by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from bethink.server.accounts import Accounts, Clock, UsageLine

NOVEMBER_S = 1_795_600_000.0
"""2026-11-25, about noon."""


@dataclass(slots=True)
class HandClock:
    """Both clocks of a `Clock`, moved by hand."""

    now_s: float = NOVEMBER_S
    ticks_s: float = 1000.0

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        self.ticks_s += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, lambda: self.ticks_s)


@pytest.fixture
def hands() -> HandClock:
    return HandClock()


@pytest.fixture
def accounts(url: str, tmp_path: Path, hands: HandClock) -> Iterator[Accounts]:
    with Accounts.open(url, tmp_path, clock=hands.clock(), refresh_s=0.05) as opened:
        yield opened


@pytest.fixture
def line() -> Callable[..., UsageLine]:
    """A finished request of 150 tokens; each call has an id of its own."""
    numbers = count()

    def make(request_id: str = "", model: str = "m", finished_s: float = NOVEMBER_S, **counts: int) -> UsageLine:
        counts = counts or {"input_tokens": 100, "cached_tokens": 20, "thinking_tokens": 40, "answer_tokens": 10}
        name = request_id or f"r{next(numbers)}"
        return replace(UsageLine(name, model, "openai", "ok", int(finished_s * 1e6)), **counts)

    return make


def wait_until(is_so: Callable[[], bool], patience_s: float = 10.0) -> None:
    """For what another thread or process will bring about."""
    ends_s = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < ends_s, "it never came about"
        time.sleep(0.01)
