"""How llama.cpp is run: plain numbers, fixed before the model is loaded.

The defaults are the best of what was measured on CPUs (docs/lab-log.md): one thread a core, flash attention where
llama.cpp chooses it, one cache that all paths share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from bethink.errors import DoesNotFit
from bethink.store.shape import ModelShape
from bethink.wording import counted

SLACK_TOKENS = 256
"""llama.cpp stops a little before its cache is full; what we promise lies this far inside of it."""


@dataclass(frozen=True, slots=True)
class LlamaCppSettings:
    """`kv_tokens` over all paths; `n_parallel` paths run at once, the rest waits.

    `is_kv_shared` lets any path use all of the cache; without it each has its equal part, which is faster on CPUs at
    many paths (attention then reads one path's cache, not everybody's) and bounds a path to `kv_tokens / n_parallel`.
    """

    kv_tokens: int
    n_parallel: int = 32
    n_threads: int = 0
    is_kv_shared: bool = True
    n_ubatch: int = 512
    n_gpu_layers: int = -1

    @property
    def path_tokens(self) -> int:
        return self.kv_tokens if self.is_kv_shared else self.kv_tokens // self.n_parallel

    def describe(self) -> str:
        threads = self.n_threads or n_cores()
        shared = "shared" if self.is_kv_shared else "divided"
        at_once = f"{counted(threads, 'thread')}, {counted(self.n_parallel, 'path')} at once"
        return f"{at_once}, {self.kv_tokens:,} tokens of {shared} cache"


def choose(shape: ModelShape, *, kv_gb: float | None, free_gb: float) -> LlamaCppSettings:
    """As many tokens of cache as `kv_gb` holds; else a context or a thousand tokens for each of 32 paths, whichever is
    more, in at most 2 GB and a quarter of the free memory.

    Raises: DoesNotFit when that is less than a thousand tokens.
    """
    gb = kv_gb if kv_gb is not None else min(free_gb / 4, 2.0)
    bytes_per_token = 2 * shape.n_layers * shape.n_kv_heads * (shape.key_size + shape.value_size)
    fits = int(gb * 1e9 / bytes_per_token)
    kv_tokens = (fits if kv_gb is not None else min(fits, max(shape.context_length, 32_768))) // 256 * 256
    if kv_tokens < 1024:
        raise DoesNotFit(
            f"{gb:.1f} GB hold a cache of {kv_tokens} tokens; a thought needs at least 1024", "Use a smaller model."
        )
    return LlamaCppSettings(kv_tokens)


def n_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
