"""Slows down whoever guesses passwords: so many tries for a name and for an address, then one every few seconds.

What always holds: a try is taken before the password is looked at, so that many at once are no way around; one that was
right is given back; a name that nobody has is counted as one that somebody has. Held in memory, by each process for
itself, and never more than `MOST` names and addresses.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass

from bethink.errors import RateLimited
from bethink.server.accounts.values import Clock

MOST = 20_000


@dataclass(frozen=True, slots=True)
class Pace:
    """`n` tries at once, and another one every `every_s`."""

    n: int
    every_s: float


PER_NAME = Pace(8, 30.0)
PER_ADDRESS = Pace(30, 6.0)


class TooManyTries(RateLimited):
    code = "too_many_tries"


class Attempts:
    """For any thread."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._used: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, name: str, address: str) -> None:
        """Raises: TooManyTries."""
        now_s = self._clock.ticks_s()
        with self._lock:
            asked = [(key, pace, self._left(key, pace, now_s)) for key, pace in _counted(name, address)]
            wait_s = max((1 - left) * pace.every_s for _, pace, left in asked)
            if wait_s > 0:
                raise TooManyTries("too many tries", f"try again in {wait_s:.0f} s", retry_after_s=wait_s)
            for key, pace, left in asked:
                self._put(key, pace.n - left + 1, now_s)

    def give_back(self, name: str, address: str) -> None:
        """It was the right one. The name's count begins anew; the address has others' names to answer for, too."""
        now_s = self._clock.ticks_s()
        with self._lock:
            (by_name, _), (by_address, pace) = _counted(name, address)
            self._used.pop(by_name, None)
            self._put(by_address, max(0.0, pace.n - self._left(by_address, pace, now_s) - 1), now_s)

    def _left(self, key: tuple[str, str], pace: Pace, now_s: float) -> float:
        used, at_s = self._used.get(key, (0.0, now_s))
        return pace.n - max(0.0, used - (now_s - at_s) / pace.every_s)

    def _put(self, key: tuple[str, str], used: float, now_s: float) -> None:
        self._used[key] = (used, now_s)
        self._used.move_to_end(key)
        while len(self._used) > MOST:
            self._used.popitem(last=False)


def _counted(name: str, address: str) -> tuple[tuple[tuple[str, str], Pace], tuple[tuple[str, str], Pace]]:
    return (("name", name.casefold()), PER_NAME), (("address", _network(address)), PER_ADDRESS)


def _network(address: str) -> str:
    """A house has one address of IPv4, and 2^64 of IPv6."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((read, 64), strict=False)) if read.version == 6 else str(read)
