"""How a prepared model is run: its shape, the size of its cache, and the hints that a measurement chose.

Owns the arithmetic of the cache and the names of OpenVINO's properties. Everything here is a value; measuring is
`tune`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bethink.engine.openvino.reading import BLOCK_TOKENS
from bethink.errors import DoesNotFit
from bethink.store.fit import REPACKED, KvPrecision, kv_bytes_per_token, program_bytes
from bethink.store.shape import ModelShape
from bethink.wording import counted

MIN_KV_TOKENS = 2048
MAX_KV_TOKENS = 131_072
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured to be best on one kind of CPU for one model. `n_threads` 0 is OpenVINO's own choice."""

    precision_hint: str = "f32"
    kv_precision: KvPrecision = "u8"
    n_threads: int = 0
    max_batched_tokens: int = 256
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def properties(self) -> dict[str, Any]:
        """In OpenVINO's own words."""
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self.precision_hint,
            "KV_CACHE_PRECISION": self.kv_precision,
            **self.extra,
        }
        if self.n_threads:
            properties["INFERENCE_NUM_THREADS"] = self.n_threads
        return properties


@dataclass(frozen=True, slots=True)
class OpenVinoSettings:
    """`n_kv_blocks` blocks of cache are kept for all runs together."""

    shape: ModelShape
    n_kv_blocks: int
    tuning: Tuning = Tuning()

    @property
    def kv_bytes(self) -> int:
        return self.n_kv_blocks * BLOCK_TOKENS * kv_bytes_per_token(self.shape, self.tuning.kv_precision)

    def describe(self) -> str:
        tokens = self.n_kv_blocks * BLOCK_TOKENS
        cache = f"cache of {tokens:,} tokens ({self.kv_bytes / GIB:.1f} GiB, {self.tuning.kv_precision})"
        return f"{describe(self.tuning)}, {cache}"


def describe(tuning: Tuning) -> str:
    """In a few words."""
    threads = counted(tuning.n_threads, "thread") if tuning.n_threads else "all threads"
    return f"{tuning.precision_hint}, {threads}, prompts in pieces of {tuning.max_batched_tokens}"


def choose(
    shape: ModelShape,
    weights_bytes: int,
    available_bytes: int,
    *,
    tuning: Tuning = Tuning(),
    kv_gib: float | None = None,
) -> OpenVinoSettings:
    """Size the cache from the memory that is free before loading: half of what the weights leave, within reason.

    Raises: DoesNotFit, when not even the smallest useful cache fits beside the weights.
    """
    per_block = BLOCK_TOKENS * kv_bytes_per_token(shape, tuning.kv_precision)
    least = min(MIN_KV_TOKENS, shape.context_length)
    program = program_bytes(shape) + int(REPACKED * weights_bytes)
    left = available_bytes - program
    if kv_gib is not None:
        n_blocks = int(kv_gib * GIB) // per_block  # asked for: taken as it is
    else:
        most = max(MAX_KV_TOKENS, shape.context_length) // BLOCK_TOKENS
        n_blocks = min(most, int(max(left, 0) * 0.5) // per_block)
    needed = least // BLOCK_TOKENS
    if n_blocks < needed:
        need = program + 2 * needed * per_block
        raise DoesNotFit(
            f"the model needs {need / GIB:.1f} GiB with a cache of {least:,} tokens, "
            f"and {available_bytes / GIB:.1f} GiB are free",
            "`bethink models fit` names models that fit this machine",
        )
    return OpenVinoSettings(shape, n_blocks, tuning)
