"""The seam between thinking and hardware: one verb, `start(ids, sampling)`, and a stream that can be cancelled.

Everything the controller does is built from starting, reading and cancelling lists of token ids. What always holds:

- a stream yields each sampled token once, in order, the stop token included, and then ends; `finish` says why;
- `cancel` is idempotent, may come from any thread, and ends the stream at the next token at the latest;
- `start` may be called from any task or thread; the stream is read in the event loop that iterates it;
- a start that does not fit now waits in a queue; one that can never fit raises `ContextFull`;
- a capability that is missing is an error (`CapabilityMissing`), never a silent drop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from bethink.types import Sampling

StreamFinish = Literal["stop", "length", "cancelled"]
Capability = Literal["logprobs", "top_logprobs", "json_schema", "penalties"]


@dataclass(frozen=True, slots=True)
class Token:
    """One sampled token. `logprob` is natural-log and given only when asked for, as are the likeliest ids of its place
    with theirs, best first."""

    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is loaded. `context_length` in tokens; `kv_tokens` is how many tokens the cache holds over all streams."""

    name: str
    model_sha256: str
    context_length: int
    kv_tokens: int
    capabilities: frozenset[Capability]
    settings: str = ""


@runtime_checkable
class TokenStream(Protocol):
    def __aiter__(self) -> AsyncIterator[Token]: ...

    def cancel(self) -> None: ...

    @property
    def finish(self) -> StreamFinish | None:
        """Why the stream ended, or None while it runs."""
        ...

    @property
    def n_cached(self) -> int:
        """How many of the ids it started from were in the cache, known with the first token; 0 where nobody says."""
        ...


@runtime_checkable
class Engine(Protocol):
    @property
    def info(self) -> EngineInfo: ...

    def start(self, ids: Sequence[int], sampling: Sampling) -> TokenStream:
        """Begin to sample after `ids` (the whole context, special tokens included; nothing is added).

        Raises: ContextFull, CapabilityMissing, EngineClosed.
        """
        ...

    def close(self) -> None:
        """Free everything. Idempotent. Streams that still run raise `EngineClosed` to their readers."""
        ...
