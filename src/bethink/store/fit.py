"""How much memory a model takes before it is loaded, and which known models this much memory can hold.

Owns the arithmetic that the engine sizes its cache with and that `bethink models fit` shows. Every constant was
measured on running models (`bench/memory.py`); what is predicted is the resident memory of bethink and its
worker together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bethink.store.catalogue import Catalogue, CatalogueEntry
from bethink.store.gguf import GgufHeader
from bethink.store.shape import ModelShape

KvPrecision = Literal["u8", "f16", "f32"]
EngineName = Literal["openvino", "llamacpp"]
MIB, GIB = 1 << 20, 1 << 30
PROGRAM_BYTES, PROGRAM_TOKEN_BYTES = 60_000_000, 940
"""bethink itself, and what its tokenizer keeps of each token of the vocabulary."""
WORKER_BYTES, WORKER_TOKEN_BYTES = 185_000_000, 1_270
"""OpenVINO's libraries, its compiled code and the room of a step, in the worker, and GenAI's own tokenizer."""
REPACKED = 1.1
"""OpenVINO repacks weights for its kernels."""
BITS_PER_WEIGHT = {"int8": 8.03, "mixed": 6.15, "f16": 16.0}
RESERVE = 0.1
"""Share of free memory that stays free."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of resident memory, predicted. `cache` is for the asked context and paths, all of them full."""

    weights: int
    cache: int
    program: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.program


@dataclass(frozen=True, slots=True)
class Fitting:
    """A catalogue entry, how it would be run here, and what that takes. `engine` None: no way fits, either because of
    the memory or because the model `is_short`: its own context is shorter than what was asked for.
    """

    entry: CatalogueEntry
    engine: EngineName | None
    footprint: Footprint
    is_short: bool = False


def kv_bytes_per_token(shape: ModelShape, precision: KvPrecision = "u8") -> int:
    """Of the cache, over all layers, keys and values. u8 keeps a scale and a zero point (8 bytes) a head."""
    size = {"u8": 1, "f16": 2, "f32": 4}[precision]
    overhead = 16 if precision == "u8" else 0
    return shape.n_layers * shape.n_kv_heads * ((shape.key_size + shape.value_size) * size + overhead)


def predict(
    shape: ModelShape,
    *,
    n_weights: int,
    context: int,
    paths: int,
    precision: str = "int8",
    kv_precision: KvPrecision = "u8",
) -> Footprint:
    """On OpenVINO: the memory of `paths` paths of `context` tokens each, none of them shared.

    `n_weights` are those that are multiplied with (`matrix_weights`); the table of embeddings stays on disk. `context`
    is bounded by the model's own.
    """
    return Footprint(
        weights=int(REPACKED * n_weights * BITS_PER_WEIGHT.get(precision, 16.0) / 8),
        cache=min(context, shape.context_length) * paths * kv_bytes_per_token(shape, kv_precision),
        program=program_bytes(shape),
    )


def predict_llamacpp(shape: ModelShape, *, file_size: int, context: int, paths: int) -> Footprint:
    """On llama.cpp, which keeps the file as it is and its cache in f16."""
    cache = min(context, shape.context_length) * paths * kv_bytes_per_token(shape, "f16")
    return Footprint(file_size, cache, program_bytes(shape))


def program_bytes(shape: ModelShape) -> int:
    """What there is beside weights and cache, in bethink and its worker."""
    return PROGRAM_BYTES + WORKER_BYTES + (PROGRAM_TOKEN_BYTES + WORKER_TOKEN_BYTES) * shape.n_vocab


def matrix_weights(header: GgufHeader) -> int:
    """The weights of a file that a token is multiplied with: all matrices, of the embeddings only the output's."""
    names = {tensor.name for tensor in header.tensors}
    skipped = "token_embd.weight" if "output.weight" in names else ""
    return sum(t.n_elements for t in header.tensors if len(t.shape) > 1 and t.name != skipped)


def shape_of_entry(entry: CatalogueEntry) -> ModelShape | None:
    """What the catalogue knows of a model's shape; None where it knows too little.

    Vocabulary and hidden size hardly matter for memory and are taken as those of the common large models.
    """
    if entry.n_layers is None or entry.n_kv_heads is None or entry.head_dim is None or entry.parameters is None:
        return None
    return ModelShape(
        n_layers=entry.n_layers,
        n_heads=entry.n_kv_heads,
        n_kv_heads=entry.n_kv_heads,
        key_size=entry.head_dim,
        value_size=entry.head_dim,
        hidden_size=1,
        n_vocab=151_936,
        context_length=entry.context_length or 32_768,
    )


def fitting(
    catalogue: Catalogue, available: int, *, context: int, paths: int, has_llamacpp: bool = False
) -> tuple[Fitting, ...]:
    """Every catalogue entry whose memory can be predicted, in the catalogue's order, with the engine that can hold
    it.
    """
    found: list[Fitting] = []
    room = available * (1 - RESERVE)
    for entry in catalogue.entries.values():
        shape = shape_of_entry(entry)
        if shape is None or entry.parameters is None:
            continue
        footprint = predict(
            shape, n_weights=entry.parameters, context=context, paths=paths, precision=entry.default_precision
        )
        is_short = context > shape.context_length
        engine: EngineName | None = "openvino" if footprint.total <= room and not is_short else None
        if engine is None and not is_short and has_llamacpp and entry.approx_size is not None:
            other = predict_llamacpp(shape, file_size=entry.approx_size, context=context, paths=paths)
            if other.total <= room:
                engine, footprint = "llamacpp", other
        found.append(Fitting(entry, engine, footprint, is_short))
    return tuple(found)


def largest(found: Sequence[Fitting]) -> Fitting | None:
    """The one to choose: of what fits, the most weights, and of these the finest quantisation."""
    return max(
        (item for item in found if item.engine is not None),
        key=lambda item: (item.entry.parameters or 0, item.entry.approx_size or 0),
        default=None,
    )
