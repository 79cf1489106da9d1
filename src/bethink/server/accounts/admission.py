"""Decides whether a request may begin now, by the limits of its key and of its workspace; in memory, in microseconds.

What always holds, however many requests come at once: within any minute no holder of a limit was let in more often
than it says, nor with more tokens than it says (as estimated; what a request used beyond its estimate counts from when
it ended), never more are under way than it says, and what is used, being used and asked for this month stays within it.
A request that is refused has taken nothing. Waiting `retry_after_s` is enough when nothing else happens meanwhile, but
for requests under way, whose end nobody knows.

Limits are held by one process: several servers on one database share the monthly ones (to within a second or so) and
nothing else.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from bethink.errors import LimitReached, QuotaExhausted, RateLimited, TooManyAtOnce
from bethink.server.accounts.values import Clock, Limits, as_time, as_us, month_of

MINUTE_S = 60.0
SLOT_S = 0.05
UNKNOWN_WAIT_S = 1.0
"""What to wait for the end of others, about which nothing is known."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A key or a workspace, as whose limits a request must keep. `label` is how messages name it."""

    id: str
    label: str
    limits: Limits


@dataclass(slots=True)
class _Slot:
    """What was taken within `SLOT_S`, leaving the window together with the last of it."""

    began_s: float
    last_s: float
    amount: int
    is_over: bool = False


class Window:
    """What was taken within the last minute. Not a token bucket: a bucket lets twice its limit through in some
    minutes. Holds at most 1,200 slots, whatever passes."""

    def __init__(self) -> None:
        self.total = 0
        self._slots: deque[_Slot] = deque()

    def take(self, amount: int, now_s: float) -> _Slot:
        self.total += amount
        if self._slots and now_s - self._slots[-1].began_s < SLOT_S:
            slot = self._slots[-1]
            slot.amount += amount
            slot.last_s = now_s
            return slot
        self._slots.append(_Slot(now_s, now_s, amount))
        return self._slots[-1]

    def give_back(self, slot: _Slot, amount: int) -> None:
        """What left the window with its slot is not given back twice."""
        if not slot.is_over:
            slot.amount -= amount
            self.total -= amount

    def wait_s(self, amount: int, limit: int, now_s: float) -> float:
        """0 where `amount` fits now; else how long until it does, or a minute if it never will."""
        while self._slots and now_s - self._slots[0].last_s >= MINUTE_S:
            self.total -= self._slots[0].amount
            self._slots.popleft().is_over = True
        if self.total + amount <= limit:
            return 0.0
        excess = self.total + amount - limit
        for slot in self._slots:
            excess -= slot.amount
            if excess <= 0:
                return slot.last_s + MINUTE_S - now_s
        return MINUTE_S


class MonthlyUse:
    """Tokens used this month by key and by workspace: what the database last said, and what it is still being told.

    The thread that writes the ledger calls `committed` after each commit and `replace` with what it then read, so that
    nothing is counted twice or forgotten between the two.
    """

    def __init__(self, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self._month = ""
        self._ends_us = 0
        self._kept: dict[str, int] = {}
        self._pending: Counter[tuple[str, str]] = Counter()

    @property
    def month(self) -> str:
        self._turn()
        return self._month

    def used(self, scope_id: str) -> int:
        self._turn()
        return self._kept.get(scope_id, 0) + self._pending[self._month, scope_id]

    def seconds_left(self) -> float:
        self._turn()
        return max((self._ends_us - self._clock.now_us()) / 1e6, 0.0)

    def submitted(self, scope_ids: Iterable[str], month: str, n_tokens: int) -> None:
        with self.lock:
            for scope_id in scope_ids:
                self._pending[month, scope_id] += n_tokens

    def committed(self, scope_ids: Iterable[str], month: str, n_tokens: int, *, is_kept: bool) -> None:
        """`is_kept` False: it was not written after all, or had been written before."""
        with self.lock:
            self._turn()
            for scope_id in scope_ids:
                self._pending[month, scope_id] -= n_tokens
                if not self._pending[month, scope_id]:
                    del self._pending[month, scope_id]
                if is_kept and month == self._month:
                    self._kept[scope_id] = self._kept.get(scope_id, 0) + n_tokens

    def replace(self, month: str, totals: Mapping[str, int]) -> None:
        with self.lock:
            self._turn()
            if month == self._month:
                self._kept = dict(totals)

    def _turn(self) -> None:
        now_us = self._clock.now_us()
        if now_us >= self._ends_us:
            with self.lock:
                self._month, self._kept = month_of(now_us), {}
                first = as_time(now_us).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
                self._ends_us = as_us((first + timedelta(days=32)).replace(day=1))


@dataclass(slots=True)
class _Meter:
    requests: Window = field(default_factory=Window)
    tokens: Window = field(default_factory=Window)
    n_running: int = 0
    reserved: int = 0


@dataclass(slots=True)
class Hold:
    """What one admitted request has taken, until it is given back."""

    holders: tuple[Holder, ...]
    estimated: int
    slots: list[tuple[_Meter, _Slot]]
    is_held: bool = True


class Admission:
    """The counters of all limits. May be called from any thread."""

    def __init__(self, clock: Clock, use: MonthlyUse) -> None:
        self._clock = clock
        self._use = use
        self._lock = use.lock
        self._meters: dict[str, _Meter] = {}

    def admit(self, holders: Sequence[Holder], estimated: int) -> Hold:
        """All limits of all holders, or nothing is taken.

        Raises: LimitReached: of those that refuse, the one to be waited for longest.
        """
        if estimated < 0:
            raise ValueError(f"estimated tokens are {estimated}")
        with self._lock:
            now_s = self._clock.ticks_s()
            meters = [self._meter(holder.id) for holder in holders]
            refusals = [
                refusal
                for holder, meter in zip(holders, meters, strict=True)
                for refusal in self._refusals(holder, meter, estimated, now_s)
            ]
            if refusals:
                raise max(refusals, key=lambda refusal: refusal.retry_after_s)
            slots: list[tuple[_Meter, _Slot]] = []
            for holder, meter in zip(holders, meters, strict=True):
                meter.n_running += 1
                meter.reserved += estimated
                if holder.limits.requests_per_minute is not None:
                    meter.requests.take(1, now_s)
                if holder.limits.tokens_per_minute is not None:
                    slots.append((meter, meter.tokens.take(estimated, now_s)))
            return Hold(tuple(holders), estimated, slots)

    def end(self, hold: Hold, used_tokens: int) -> None:
        """Give back what was reserved and take what was used instead. A second time does nothing."""
        with self._lock:
            if not hold.is_held:
                return
            hold.is_held = False
            now_s = self._clock.ticks_s()
            for holder in hold.holders:
                meter = self._meter(holder.id)
                meter.n_running -= 1
                meter.reserved -= hold.estimated
            for meter, slot in hold.slots:
                if used_tokens <= hold.estimated:
                    meter.tokens.give_back(slot, hold.estimated - used_tokens)
                else:
                    meter.tokens.take(used_tokens - hold.estimated, now_s)

    def running(self, holder_id: str) -> int:
        return self._meter(holder_id).n_running

    def _meter(self, holder_id: str) -> _Meter:
        meter = self._meters.get(holder_id)
        if meter is None:
            meter = self._meters[holder_id] = _Meter()
        return meter

    def _refusals(self, holder: Holder, meter: _Meter, estimated: int, now_s: float) -> Iterator[LimitReached]:
        limits, label = holder.limits, holder.label
        if limits.tokens_per_month is not None:
            yield from self._monthly(holder, limits.tokens_per_month, meter, estimated)
        if limits.concurrency is not None and meter.n_running >= limits.concurrency:
            what, verb = ("request", "is") if meter.n_running == 1 else ("requests", "are")
            yield TooManyAtOnce(
                f"{meter.n_running} {what} of {label} {verb} under way, which is its limit",
                f"wait until one has ended; the limit is {limits.concurrency} at once for {label}",
                retry_after_s=UNKNOWN_WAIT_S,
            )
        if limits.requests_per_minute is not None:
            wait_s = meter.requests.wait_s(1, limits.requests_per_minute, now_s)
            if wait_s:
                yield _too_fast("requests", limits.requests_per_minute, label, wait_s)
        if limits.tokens_per_minute is not None:
            wait_s = meter.tokens.wait_s(estimated, limits.tokens_per_minute, now_s)
            if wait_s and estimated > limits.tokens_per_minute:
                yield RateLimited(
                    f"this request alone may take {estimated:,} tokens",
                    f"the limit is {limits.tokens_per_minute:,} tokens per minute for {label}: ask for fewer",
                    retry_after_s=wait_s,
                )
            elif wait_s:
                yield _too_fast("tokens", limits.tokens_per_minute, label, wait_s)

    def _monthly(self, holder: Holder, limit: int, meter: _Meter, estimated: int) -> Iterator[LimitReached]:
        used = self._use.used(holder.id)
        if used + meter.reserved + estimated <= limit:
            return
        is_passing = used + estimated <= limit
        reason = (
            f"requests under way may use the rest ({meter.reserved:,})"
            if is_passing
            else "it ends with the month (UTC)"
        )
        yield QuotaExhausted(
            f"{holder.label} has used {used:,} of {limit:,} tokens this month, and this request may take {estimated:,}",
            f"the limit is {limit:,} tokens per month for {holder.label}; {reason}",
            retry_after_s=UNKNOWN_WAIT_S if is_passing else max(self._use.seconds_left(), UNKNOWN_WAIT_S),
        )


def _too_fast(what: str, limit: int, label: str, wait_s: float) -> RateLimited:
    return RateLimited(
        f"{label} has reached its {limit:,} {what} per minute",
        f"wait {wait_s:.1f} s; the limit is {limit:,} {what} per minute for {label}",
        retry_after_s=wait_s,
    )
