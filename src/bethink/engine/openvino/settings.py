"""How a prepared model is run: its shape, the size of its cache, and the hints that a measurement chose.

Owns the arithmetic of the cache and the names of OpenVINO's properties. Everything here is a value; measuring is
`tune`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bethink.errors import DoesNotFit
from bethink.store.shape import ModelShape

KV_BLOCK_TOKENS = 32
"""What GenAI's cache on CPUs works in. Source: openvino.genai 2026.4, kv_cache_manager.hpp, `cpu_block_size`."""

KvPrecision = Literal["u8", "f16", "f32"]
MIN_KV_TOKENS = 2048
MAX_KV_TOKENS = 262_144
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured to be best on one kind of CPU for one model. `n_threads` 0 is OpenVINO's own choice."""

    precision_hint: str = "f32"
    kv_precision: KvPrecision = "u8"
    n_threads: int = 0
    max_batched_tokens: int = 256
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class OpenVinoSettings:
    """`n_kv_blocks` blocks of cache are kept for all runs together."""

    shape: ModelShape
    n_kv_blocks: int
    tuning: Tuning = Tuning()

    @property
    def max_batched_tokens(self) -> int:
        return self.tuning.max_batched_tokens

    @property
    def kv_bytes(self) -> int:
        return self.n_kv_blocks * KV_BLOCK_TOKENS * kv_bytes_per_token(self.shape, self.tuning.kv_precision)

    def properties(self) -> dict[str, Any]:
        tuning = self.tuning
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": tuning.precision_hint,
            "KV_CACHE_PRECISION": tuning.kv_precision,
            **tuning.extra,
        }
        if tuning.n_threads:
            properties["INFERENCE_NUM_THREADS"] = tuning.n_threads
        return properties

    def describe(self) -> str:
        tuning = self.tuning
        threads = f"{tuning.n_threads} threads" if tuning.n_threads else "all threads"
        tokens = self.n_kv_blocks * KV_BLOCK_TOKENS
        cache = f"cache of {tokens:,} tokens ({self.kv_bytes / GIB:.1f} GiB, {tuning.kv_precision})"
        return f"{tuning.precision_hint}, {threads}, {cache}"


def kv_bytes_per_token(shape: ModelShape, precision: KvPrecision) -> int:
    """Over all layers, keys and values. u8 keeps a scale and a zero point (8 bytes) a head."""
    size = {"u8": 1, "f16": 2, "f32": 4}[precision]
    overhead = 8 if precision == "u8" else 0
    per_head = (shape.key_size + shape.value_size) * size + 2 * overhead
    return shape.n_layers * shape.n_kv_heads * per_head


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
    per_block = KV_BLOCK_TOKENS * kv_bytes_per_token(shape, tuning.kv_precision)
    least = min(MIN_KV_TOKENS, shape.context_length)
    left = available_bytes - weights_bytes - overhead_bytes(shape, tuning.max_batched_tokens)
    if kv_gib is not None:
        n_blocks = int(kv_gib * GIB) // per_block
    else:
        most = max(MAX_KV_TOKENS, shape.context_length) // KV_BLOCK_TOKENS
        n_blocks = min(most, int(max(left, 0) * 0.5) // per_block)
    needed = least // KV_BLOCK_TOKENS
    if n_blocks < needed:
        need = weights_bytes + overhead_bytes(shape, tuning.max_batched_tokens) + 2 * needed * per_block
        raise DoesNotFit(
            f"the model needs {need / GIB:.1f} GiB with a cache of {least:,} tokens, "
            f"and {available_bytes / GIB:.1f} GiB are free",
            "`bethink models fit` names models that fit this machine",
        )
    return OpenVinoSettings(shape, n_blocks, tuning)


def overhead_bytes(shape: ModelShape, max_batched_tokens: int) -> int:
    """What running takes beside weights and cache: the libraries, activations and logits of one batch."""
    logits = max_batched_tokens * shape.n_vocab * 4
    return 450 * (1 << 20) + logits
