"""Whose prompt is being read, and who waits because those words are being read already.

GenAI's cache gives what a run has read to runs that are added after it. Runs with one prompt that are added together
each read it whole, so eight paths of a long question would read it eight times. Here the first reads, and the others
are added when it is done. What always holds: whoever waits, waits for a run that reads, and is let go when that run has
brought a token or has ended in any way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

BLOCK_TOKENS = 32
"""What GenAI's cache on CPUs works in. Source: openvino.genai 2026.4, kv_cache_manager.hpp, `cpu_block_size`."""

WORTH = 0.5
"""The least part of what a run has still to read that makes it wait for another."""


@dataclass(slots=True)
class Reading:
    """The runs whose prompts are being read, and the runs behind them. Not for several threads."""

    _readers: dict[int, Sequence[int]] = field(default_factory=dict[int, Sequence[int]])
    _waiting: dict[int, tuple[int, Sequence[int]]] = field(default_factory=dict[int, tuple[int, Sequence[int]]])
    """Run -> whom it waits for, and its ids."""

    def begin(self, run: int, ids: Sequence[int], *, n_read: int = 0) -> bool:
        """Whether `run` is to be added now; else a later `end` names it. The first `n_read` ids are in the cache."""
        for reader, read in self._readers.items():
            if shared_tokens(ids, read) - n_read >= WORTH * (len(ids) - n_read):
                self._waiting[run] = reader, ids
                return False
        self._readers[run] = ids
        return True

    def end(self, run: int, *, has_read: bool) -> list[int]:
        """`run` has read its prompt, or ended before. Returns who is to be added now, in the order of their starts."""
        self._waiting.pop(run, None)
        read = self._readers.pop(run, None)
        if read is None:
            return []
        behind = [(waiter, ids) for waiter, (reader, ids) in self._waiting.items() if reader == run]
        for waiter, _ in behind:
            del self._waiting[waiter]
        return [
            waiter for waiter, ids in behind if self.begin(waiter, ids, n_read=has_read and shared_tokens(ids, read))
        ]


def shared_tokens(ids: Sequence[int], others: Sequence[int]) -> int:
    """How many of the first `ids` a run could take from the cache of `others`: whole blocks, and never the last id,
    which is always computed."""
    low, high = 0, min(len(ids) - 1, len(others)) // BLOCK_TOKENS
    while low < high:
        middle = (low + high + 1) // 2
        start, end = low * BLOCK_TOKENS, middle * BLOCK_TOKENS
        low, high = (middle, high) if ids[start:end] == others[start:end] else (low, middle - 1)
    return low * BLOCK_TOKENS
