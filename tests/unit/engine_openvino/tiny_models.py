"""Language models of a few thousand random weights, as GGUF files, and what they compute, written plainly in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize

from bethink.prompt.tokenizer import byte_alphabet

Array = npt.NDArray[np.float32]
N_VOCAB, HIDDEN, HEADS, KV_HEADS, HEAD, FFN, LAYERS = 288, 64, 4, 2, 16, 96, 2
EPS, BASE = 1e-5, 10_000.0


@dataclass(frozen=True, slots=True)
class TinyModel:
    """`weights` are in the order in which the mathematics wants them; the file may keep them otherwise."""

    architecture: str
    weights: Mapping[str, Array]
    rope_factors: Array | None = None
    rope_scale: float = 1.0
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


def tiny_model(architecture: str, *, is_tied: bool = False, seed: int = 0, **options: Any) -> TinyModel:
    random = np.random.default_rng(seed)

    def matrix(n_rows: int, n_columns: int) -> Array:
        return (random.standard_normal((n_rows, n_columns)) / np.sqrt(n_columns)).astype(np.float32)

    def vector(n: int, around: float) -> Array:
        return (around + 0.2 * random.standard_normal(n)).astype(np.float32)

    weights = {"token_embd.weight": matrix(N_VOCAB, HIDDEN) * 4, "output_norm.weight": vector(HIDDEN, 1.0)}
    if not is_tied:
        weights["output.weight"] = matrix(N_VOCAB, HIDDEN) * 2
    for layer in range(LAYERS):
        name = f"blk.{layer}"
        for part, rows in (("q", HEADS * HEAD), ("k", KV_HEADS * HEAD), ("v", KV_HEADS * HEAD)):
            weights[f"{name}.attn_{part}.weight"] = matrix(rows, HIDDEN)
            if architecture == "qwen2":
                weights[f"{name}.attn_{part}.bias"] = vector(rows, 0.0)
        if architecture == "qwen3":
            weights[f"{name}.attn_q_norm.weight"] = vector(HEAD, 1.0)
            weights[f"{name}.attn_k_norm.weight"] = vector(HEAD, 1.0)
        weights[f"{name}.attn_output.weight"] = matrix(HIDDEN, HEADS * HEAD)
        weights[f"{name}.attn_norm.weight"], weights[f"{name}.ffn_norm.weight"] = vector(HIDDEN, 1.0), vector(HIDDEN, 1)
        weights[f"{name}.ffn_gate.weight"], weights[f"{name}.ffn_up.weight"] = matrix(FFN, HIDDEN), matrix(FFN, HIDDEN)
        weights[f"{name}.ffn_down.weight"] = matrix(HIDDEN, FFN)
    return TinyModel(architecture, weights, **options)


def write_gguf(model: TinyModel, path: Path, kind: GGMLQuantizationType = GGMLQuantizationType.F32) -> TinyModel:
    """Write it with its matrices as `kind`. Returns the model that the file really holds."""
    arch = model.architecture
    writer = GGUFWriter(path, arch)
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(EPS)
    writer.add_rope_freq_base(BASE)
    for key, value in model.metadata.items():
        writer.add_string(key, value) if isinstance(value, str) else writer.add_float32(key, value)
    _add_vocabulary(writer)
    kept: dict[str, Array] = {}
    for name, weight in model.weights.items():
        stored = interleaved(name, weight) if arch == "llama" else weight
        if weight.ndim == 1 or kind == GGMLQuantizationType.F32:
            writer.add_tensor(name, stored)
            kept[name] = weight
        else:
            raw = quantize(stored, kind)
            writer.add_tensor(name, raw, raw_dtype=kind)
            read = dequantize(raw, kind)
            kept[name] = straight(name, read) if arch == "llama" else read
    if model.rope_factors is not None:
        writer.add_tensor("rope_freqs.weight", model.rope_factors)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return TinyModel(arch, kept, model.rope_factors, model.rope_scale, model.metadata)


def interleaved(name: str, weight: Array) -> Array:
    """As llama files keep query and key rows. Source: llama.cpp, convert_hf_to_gguf.py, `LlamaModel.permute`."""
    if ".attn_q." not in name and ".attn_k." not in name:
        return weight
    n_heads = weight.shape[0] // HEAD
    return np.ascontiguousarray(weight.reshape(n_heads, 2, HEAD // 2, -1).swapaxes(1, 2).reshape(weight.shape))


def straight(name: str, weight: Array) -> Array:
    if ".attn_q." not in name and ".attn_k." not in name:
        return weight
    n_heads = weight.shape[0] // HEAD
    return np.ascontiguousarray(weight.reshape(n_heads, HEAD // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape))


def logits(model: TinyModel, ids: list[int]) -> Array:
    """(tokens, vocabulary). The whole forward pass, nothing shared with what is tested."""
    weights = model.weights
    x = weights["token_embd.weight"][ids]
    cos, sin = _waves(model, len(ids))
    for layer in range(LAYERS):
        name = f"blk.{layer}"
        normed = _rms(x, weights[f"{name}.attn_norm.weight"])
        q, k, v = (_projected(model, name, part, normed) for part in "qkv")
        q, k = (heads * cos + _turned(heads) * sin for heads in (q, k))
        k, v = (np.repeat(heads, HEADS // KV_HEADS, axis=0) for heads in (k, v))
        scores = q @ k.swapaxes(1, 2) / np.sqrt(HEAD) + np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        context = (shares / shares.sum(axis=-1, keepdims=True)) @ v
        x = x + context.swapaxes(0, 1).reshape(len(ids), -1) @ weights[f"{name}.attn_output.weight"].T
        normed = _rms(x, weights[f"{name}.ffn_norm.weight"])
        gate, up = (normed @ weights[f"{name}.ffn_{part}.weight"].T for part in ("gate", "up"))
        x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[f"{name}.ffn_down.weight"].T
    head = weights.get("output.weight", weights["token_embd.weight"])
    return _rms(x, weights["output_norm.weight"]) @ head.T


def _projected(model: TinyModel, name: str, part: str, x: Array) -> Array:
    """(heads, tokens, head size)."""
    y = x @ model.weights[f"{name}.attn_{part}.weight"].T + model.weights.get(f"{name}.attn_{part}.bias", 0.0)
    heads = y.reshape(len(x), -1, HEAD)
    norm = model.weights.get(f"{name}.attn_{part}_norm.weight")
    return (heads if norm is None else _rms(heads, norm)).swapaxes(0, 1)


def _waves(model: TinyModel, n_tokens: int) -> tuple[Array, Array]:
    frequencies = BASE ** -(np.arange(HEAD // 2) * 2 / HEAD) / model.rope_scale
    if model.rope_factors is not None:
        frequencies = frequencies / model.rope_factors
    angles = np.outer(np.arange(n_tokens), frequencies)
    both = np.concatenate([angles, angles], axis=-1).astype(np.float32)
    return np.cos(both), np.sin(both)


def _turned(x: Array) -> Array:
    return np.concatenate([-x[..., HEAD // 2 :], x[..., : HEAD // 2]], axis=-1)


def _rms(x: Array, weight: Array) -> Array:
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS) * weight


def _add_vocabulary(writer: GGUFWriter) -> None:
    """One token a byte, one of two letters, and markup to fill the rest."""
    symbols = sorted(byte_alphabet(), key=byte_alphabet().__getitem__)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|{n}|>" for n in range(N_VOCAB - 260))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*symbols, "Ġt", *special])
    writer.add_token_types([1] * 257 + [3] * (N_VOCAB - 257))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(259)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
