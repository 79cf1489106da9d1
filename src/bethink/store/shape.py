"""A model's shape: the few numbers that say how much memory it takes, read from a GGUF header or a config.json.

Owns the arithmetic's inputs only; refuses files that lack them, because a guess would be a wrong promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bethink.errors import InvalidModelFile
from bethink.store.gguf import GgufHeader


@dataclass(frozen=True, slots=True)
class ModelShape:
    """`key_size` and `value_size` are per head. `n_vocab` counts the rows of the output matrix."""

    n_layers: int
    n_heads: int
    n_kv_heads: int
    key_size: int
    value_size: int
    hidden_size: int
    n_vocab: int
    context_length: int


def shape_from_gguf(header: GgufHeader) -> ModelShape:
    """Raises: InvalidModelFile."""
    metadata, arch = header.metadata, header.architecture

    def number(key: str, default: int | None = None) -> int:
        value = metadata.get(f"{arch}.{key}", default)
        if not isinstance(value, int) or value < 1:
            raise InvalidModelFile(f"the model file does not say its {arch}.{key}", "pull it again, or ask its maker")
        return value

    hidden, n_heads = number("embedding_length"), number("attention.head_count")
    embedding = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None or len(embedding.shape) != 2:
        raise InvalidModelFile("the model file has no token_embd.weight", "it is no language model")
    return ModelShape(
        n_layers=number("block_count"),
        n_heads=n_heads,
        n_kv_heads=number("attention.head_count_kv", n_heads),
        key_size=number("attention.key_length", hidden // n_heads),
        value_size=number("attention.value_length", hidden // n_heads),
        hidden_size=hidden,
        n_vocab=embedding.shape[1],
        context_length=number("context_length"),
    )


def shape_from_config(config: Mapping[str, Any]) -> ModelShape:
    """From the `config.json` that published OpenVINO models carry. Raises: InvalidModelFile."""

    def number(key: str, default: int | None = None) -> int:
        value = config.get(key)
        value = default if value is None else value
        if not isinstance(value, int) or value < 1:
            raise InvalidModelFile(f"config.json does not say its {key}", "pull the model again, or ask its maker")
        return value

    hidden, n_heads = number("hidden_size"), number("num_attention_heads")
    head = number("head_dim", hidden // n_heads)
    return ModelShape(
        n_layers=number("num_hidden_layers"),
        n_heads=n_heads,
        n_kv_heads=number("num_key_value_heads", n_heads),
        key_size=head,
        value_size=head,
        hidden_size=hidden,
        n_vocab=number("vocab_size"),
        context_length=number("max_position_embeddings"),
    )
