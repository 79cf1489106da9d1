"""What no engine can do, refused in the same words by all of them before any work begins.

Owns the one rule for "never fits": a start needs room for its ids and for `max_tokens` more, in the model's context and
in the engine's cache. Nothing is shortened silently; the controller clamps `max_tokens` itself from `EngineInfo`.
"""

from __future__ import annotations

from collections.abc import Sequence

from bethink.engine.protocol import EngineInfo
from bethink.errors import CapabilityMissing, ContextFull, UsageError
from bethink.types import Sampling


def refuse_the_impossible(info: EngineInfo, ids: Sequence[int], sampling: Sampling, n_vocab: int) -> None:
    """Raises: ContextFull, CapabilityMissing, UsageError (nothing to start from, or ids that are no tokens)."""
    if not ids:
        raise UsageError("a start needs at least one token", "Give the engine a rendered prompt.")
    if min(ids) < 0 or max(ids) >= n_vocab:
        odd = next(token for token in ids if not 0 <= token < n_vocab)
        raise UsageError(f"token id {odd} is outside the vocabulary of {n_vocab}", "Use the model's own tokenizer.")
    if sampling.max_tokens < 1:
        raise UsageError(f"max_tokens is {sampling.max_tokens}; it must be at least 1")
    _refuse_what_never_fits(info, len(ids), sampling.max_tokens)
    if sampling.logprobs and "logprobs" not in info.capabilities:
        raise CapabilityMissing(f"the {info.name} engine gives no logprobs", "Ask without them or use another engine.")
    if sampling.top_logprobs and "top_logprobs" not in info.capabilities:
        raise CapabilityMissing(
            f"the {info.name} engine knows the logprob of the sampled token only",
            "Ask for logprobs without top_logprobs, or use the llamacpp engine.",
        )
    if has_penalties(sampling) and "penalties" not in info.capabilities:
        raise CapabilityMissing(f"the {info.name} engine has no penalties", "Use the openvino or llamacpp engine.")
    if sampling.json_schema is not None and "json_schema" not in info.capabilities:
        raise CapabilityMissing(
            f"the {info.name} engine cannot hold an answer to a JSON schema", "Use the openvino or llamacpp engine."
        )


def has_penalties(sampling: Sampling) -> bool:
    return (sampling.presence_penalty, sampling.frequency_penalty, sampling.repetition_penalty) != (0, 0, 1)


def _refuse_what_never_fits(info: EngineInfo, n_ids: int, max_tokens: int) -> None:
    room = min(info.context_length, info.kv_tokens)
    if n_ids + max_tokens > room:
        kind = "context" if info.context_length <= info.kv_tokens else "cache"
        raise ContextFull(
            f"{n_ids} tokens and {max_tokens} more do not fit the {kind} of {room}",
            "Shorten the conversation or lower max_tokens.",
        )
