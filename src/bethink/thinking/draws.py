"""`Draws`: how the next tokens of one path are drawn: a seed for each start, hot and without one token after an
escape."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bethink.thinking.decisions import RollBack
from bethink.types import Sampling

MAX_REJECTIONS = 8
"""A banned first token is sampled again at most so often, hotter each time."""
SEED_STEP = 7919


@dataclass(slots=True)
class Draws:
    """`base` is how the path is drawn when nothing is wrong."""

    base: Sampling
    _n_starts: int = 0
    _ban: frozenset[int] = frozenset()
    _n_rejected: int = 0
    _hot: tuple[float, int] | None = None

    def next(self, left: int, json_schema: str | None) -> Sampling:
        """For the next start, of at most `left` tokens."""
        temperature = self.base.temperature
        if self._hot is not None:
            temperature, left = max(temperature, self._hot[0]), min(left, self._hot[1])
        if self._ban:
            temperature = max(temperature, 1.0) * (1 + 0.25 * self._n_rejected)
        seed = (self.base.seed + SEED_STEP * self._n_starts) & 0x7FFFFFFF
        self._n_starts += 1
        return replace(self.base, temperature=temperature, seed=seed, max_tokens=max(1, left), json_schema=json_schema)

    def is_rejected(self, token_id: int) -> bool:
        """A banned token is drawn again: exact rejection sampling, so that no engine needs to know about bans."""
        banned, self._ban = self._ban, frozenset()
        if token_id not in banned:
            self._n_rejected = 0
            return False
        self._n_rejected += 1
        if self._n_rejected >= MAX_REJECTIONS:
            self._n_rejected = 0
            return False
        self._ban = banned
        return True

    def count(self) -> None:
        """One token was taken."""
        if self._hot is not None:
            temperature, left = self._hot
            self._hot = (temperature, left - 1) if left > 1 else None

    def escape(self, decision: RollBack) -> None:
        self._ban = frozenset() if decision.ban is None else frozenset({decision.ban})
        if decision.temperature is not None and decision.hot_tokens:
            self._hot = (decision.temperature, decision.hot_tokens)

    def cool(self) -> None:
        self._hot, self._ban = None, frozenset()
