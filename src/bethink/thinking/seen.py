"""`Seen`: what a policy may see of a path (`decisions.View`), read off the path's own state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bethink.thinking.chain import Chain
from bethink.types import Phase


class Seen:
    """The reading side of a path, which owns the fields below."""

    __slots__ = ()

    chain: Chain
    started_at: float
    n_read: int
    first_read_at: float

    @property
    def phase(self) -> Phase:
        return self.chain.phase

    @property
    def phase_ids(self) -> Sequence[int]:
        return self.chain.phase_ids

    @property
    def last_id(self) -> int:
        return self.chain.last.id

    @property
    def n_thinking_spent(self) -> int:
        return self.chain.n_thinking_spent

    @property
    def n_answer(self) -> int:
        return self.chain.n_answer

    @property
    def has_answer(self) -> bool:
        return self.chain.has_answer

    @property
    def elapsed_s(self) -> float:
        return now() - self.started_at

    @property
    def rate(self) -> float | None:
        if self.n_read < 4:
            return None
        return (self.n_read - 1) / max(1e-6, now() - self.first_read_at)


def now() -> float:
    """Seconds on the event loop's clock, so that tests may turn it."""
    return asyncio.get_running_loop().time()
