"""What a pull tells its display while it runs: frozen events, and the meter that measures their rate."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Stage = Literal["asking", "unreachable", "waiting", "downloading", "joining", "checking", "done"]


@dataclass(frozen=True, slots=True)
class PullProgress:
    """One moment of a pull. `message` is one plain sentence, given where something is worth a line of its own.

    Bytes count the finished file (or folder), not what the network moved; `total_bytes` is None while unknown. `stage`
    says what is being done to them: `waiting` means that another process downloads the same file.
    """

    name: str
    stage: Stage
    source: str = ""
    done_bytes: int = 0
    total_bytes: int | None = None
    rate_bytes_s: float | None = None
    left_s: float | None = None
    message: str = ""


OnProgress = Callable[[PullProgress], None]


class Meter:
    """Keeps the current `PullProgress` of one pull and reports it: sentences at once, bytes at most ten times a
    second.
    """

    def __init__(self, name: str, on_progress: OnProgress | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = PullProgress(name, "asking")
        self._report_to = on_progress
        self._clock = clock
        self._window: deque[tuple[float, int]] = deque(maxlen=50)
        self._last_report_s = float("-inf")

    def say(self, stage: Stage, message: str, source: str = "") -> None:
        """A change of stage that deserves a line."""
        self._window.clear()
        self.now = replace(
            self.now, stage=stage, message=message, source=source or self.now.source, rate_bytes_s=None, left_s=None
        )
        self._report()
        self.now = replace(self.now, message="")

    def at(self, stage: Stage, done_bytes: int, total_bytes: int | None = None) -> None:
        """`done_bytes` are there now. Cheap enough to be called for every chunk."""
        moment = self._clock()
        if stage != self.now.stage:
            self._window.clear()
        is_due = moment - self._last_report_s >= 0.1 or stage != self.now.stage or done_bytes == total_bytes
        if not is_due:
            return
        self._window.append((moment, done_bytes))
        then, before = self._window[0]
        rate = (done_bytes - before) / (moment - then) if moment > then else None
        total = total_bytes if total_bytes is not None else self.now.total_bytes
        left = (total - done_bytes) / rate if rate and total else None
        self.now = replace(
            self.now, stage=stage, done_bytes=done_bytes, total_bytes=total, rate_bytes_s=rate, left_s=left
        )
        self._report()

    def _report(self) -> None:
        self._last_report_s = self._clock()
        if self._report_to:
            self._report_to(self.now)
