"""The graph of a decoder-only transformer, written for OpenVINO from a GGUF's own description.

Owns what the llama, qwen2 and qwen3 families compute; the weights come from a callback, already in the form they are to
be stored in. The graph is stateful (its cache is a pair of variables a layer), which is what GenAI turns into paged
attention. Source: the architectures as openvino.genai 2026.4 reads them from GGUF (gguf_utils/building_blocks.cpp); the
shape of the cache and of the repeated key heads must stay as its SDPAToPagedAttention pass expects them. Departures: we
honour `rope_freqs` and linear rope scaling, refuse what we do not know, and write the causal mask as one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.opset13 as opset13

from bethink.errors import CapabilityMissing
from bethink.store.gguf import GgufHeader
from bethink.store.shape import ModelShape, shape_from_gguf

ops: Any = opset13  # its annotations are partly unknown, and those of Model are wrong
new_model: Any = ov.Model

ARCHITECTURES = ("llama", "qwen2", "qwen3")

Array = npt.NDArray[Any]
MakeWeight = Callable[[str, bool], Any]
"""(GGUF tensor name, whether it is the table of embeddings) -> a node that is this weight as float32, rows first."""
MakeConstant = Callable[[Path, tuple[int, int, int] | None], Any]
"""(`.npy` file, None or the shape of the u4 values that its bytes hold two by two) -> a constant."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the graph is built from. `rope_scale` divides every frequency; `has` names the tensors of the file."""

    architecture: str
    shape: ModelShape
    rms_eps: float
    rope_base: float
    rope_scale: float
    has: frozenset[str]

    @property
    def is_interleaved(self) -> bool:
        """llama files keep query and key rows interleaved, as their own rope wants them."""
        return self.architecture == "llama"


def plan_from_gguf(header: GgufHeader) -> Plan:
    """Raises: CapabilityMissing for what this graph does not know, InvalidModelFile."""
    metadata, arch = header.metadata, header.architecture
    hint = "`--engine llamacpp` runs the model file as it is"
    if arch not in ARCHITECTURES:
        raise CapabilityMissing(f"the OpenVINO engine does not know the architecture {arch!r}", hint)
    names = frozenset(tensor.name for tensor in header.tensors)
    if f"{arch}.expert_count" in metadata or any("_exps" in name for name in names):
        raise CapabilityMissing("the OpenVINO engine does not run mixtures of experts from GGUF", hint)
    scaling: object = metadata.get(f"{arch}.rope.scaling.type", "none")
    if scaling not in ("none", "linear"):
        raise CapabilityMissing(f"the OpenVINO engine does not know rope scaling {scaling!r}", hint)
    shape = shape_from_gguf(header)
    n_rotated: object = metadata.get(f"{arch}.rope.dimension_count", shape.key_size)
    if n_rotated != shape.key_size:
        raise CapabilityMissing(f"the OpenVINO engine does not rotate {n_rotated} of {shape.key_size} dimensions", hint)
    factor: object = metadata.get(f"{arch}.rope.scaling.factor", 1.0)
    return Plan(
        architecture=arch,
        shape=shape,
        rms_eps=float(metadata.get(f"{arch}.attention.layer_norm_rms_epsilon", 1e-6)),
        rope_base=float(metadata.get(f"{arch}.rope.freq_base", 10_000.0)),
        rope_scale=float(factor) if scaling == "linear" and isinstance(factor, int | float) else 1.0,
        has=names,
    )


def build(
    plan: Plan,
    weight: MakeWeight,
    vector: Callable[[str], Array],
    watch: Callable[[str, Any], None] = lambda _name, _node: None,
) -> ov.Model:
    """The model. `weight` gives matrices as nodes, `vector` gives norms, biases and rope factors as float32 arrays.

    `watch` is told of each layer's feed-forward input: (layer's name, node).
    """
    return _Builder(plan, weight, vector, watch).build()


def stored_weight(stored: StoredMatrix, constant: MakeConstant, name: str) -> Any:
    """A stored matrix as float32: (value - zero) * scale for each row or group, in the form OpenVINO keeps
    compressed."""
    groups = stored.group_shape
    values = constant(stored.values, groups)
    values.set_friendly_name(name)
    if stored.scales is None:
        return ops.convert(values, "f32")
    shifted = ops.convert(values, "f16")
    if stored.zeros is not None:
        one_a_group = (*groups[:2], 1) if groups else None
        shifted = ops.subtract(shifted, ops.convert(constant(stored.zeros, one_a_group), "f16"))
    scaled = ops.multiply(shifted, constant(stored.scales, None))
    if groups:
        scaled = ops.reshape(scaled, _i64([groups[0], groups[1] * groups[2]]), False)
    return ops.convert(scaled, "f32")


def rows_in_order(rows: Array, n_heads: int) -> Array:
    """Undo the interleaving of a llama file's query or key rows: (heads, half, 2) back to (heads, 2, half)."""
    return rows.reshape(n_heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """What stands for one matrix on disk. `scales` and `zeros` are one a row, where there are any.

    With `group_shape` (rows, groups, columns of a group) values and zeros are packed u4, scales one a group.
    """

    values: Path
    scales: Path | None = None
    zeros: Path | None = None
    group_shape: tuple[int, int, int] | None = None


@dataclass(slots=True)
class _Shared:
    """What every layer uses, made once."""

    batch: Any
    beam_idx: Any
    cos: Any
    sin: Any
    out_shape: Any
    mask: Any = None


class _Builder:
    def __init__(
        self, plan: Plan, weight: MakeWeight, vector: Callable[[str], Array], watch: Callable[[str, Any], None]
    ) -> None:
        self.plan, self.shape, self.weight, self.vector, self.watch = plan, plan.shape, weight, vector, watch
        self.sinks: list[Any] = []

    def build(self) -> ov.Model:
        input_ids = _parameter("input_ids", [-1, -1])
        attention_mask = _parameter("attention_mask", [-1, -1])
        position_ids = _parameter("position_ids", [-1, -1])
        beam_idx = _parameter("beam_idx", [-1], np.int32)
        hidden = ops.gather(self.weight("token_embd.weight", True), ops.convert(input_ids, "i32"), _i32(0))
        shared = self._shared(input_ids, position_ids, beam_idx)
        self.attention_mask = attention_mask
        for layer in range(self.shape.n_layers):
            hidden = self._layer(f"blk.{layer}", layer, hidden, shared)
        hidden = self._norm(hidden, "output_norm.weight")
        head = "output.weight" if "output.weight" in self.plan.has else "token_embd.weight"
        logits = ops.result(ops.matmul(hidden, self.weight(head, False), False, True))
        logits.output(0).set_names({"logits"})
        logits.set_friendly_name("logits")
        return new_model([logits], self.sinks, [input_ids, attention_mask, position_ids, beam_idx], "bethink")

    def _shared(self, input_ids: Any, position_ids: Any, beam_idx: Any) -> _Shared:
        shape = ops.shape_of(input_ids, "i64")
        batch = ops.gather(shape, _i64([0]), _i64(0))
        n_new = ops.gather(shape, _i64([1]), _i64(0))
        target = ops.concat([batch, _i64([1]), _i64([1])], 0)
        frequencies = ops.broadcast(ops.constant(self._frequencies()), target, broadcast_spec="BIDIRECTIONAL")
        positions = ops.convert(ops.unsqueeze(position_ids, _i64(1)), "f32")
        angles = ops.transpose(ops.matmul(frequencies, positions, False, False), _i32([0, 2, 1]))
        both = ops.concat([angles, angles], -1)
        cos, sin = (ops.unsqueeze(wave, _i64(1)) for wave in (ops.cos(both), ops.sin(both)))
        return _Shared(batch, beam_idx, cos, sin, ops.concat([batch, n_new, _i64([-1])], 0))

    def _frequencies(self) -> Array:
        """(1, half a head, 1). Source: RoFormer (arXiv 2104.09864), with Llama 3.1's factors if the file has any."""
        half = self.shape.key_size // 2
        exponents = np.arange(half, dtype=np.float64) * 2 / self.shape.key_size
        frequencies = 1.0 / (self.plan.rope_base**exponents * self.plan.rope_scale)
        if "rope_freqs.weight" in self.plan.has:
            frequencies = frequencies / self.vector("rope_freqs.weight")
        return frequencies.astype(np.float32).reshape(1, half, 1)

    def _layer(self, name: str, layer: int, hidden: Any, shared: _Shared) -> Any:
        attended = self._attention(name, layer, self._norm(hidden, f"{name}.attn_norm.weight"), shared)
        hidden = ops.add(hidden, self._linear(attended, f"{name}.attn_output"))
        normed = self._norm(hidden, f"{name}.ffn_norm.weight")
        self.watch(name, normed)
        gate = ops.swish(self._linear(normed, f"{name}.ffn_gate"))
        up = self._linear(normed, f"{name}.ffn_up")
        return ops.add(hidden, self._linear(ops.multiply(gate, up), f"{name}.ffn_down"))

    def _attention(self, name: str, layer: int, x: Any, shared: _Shared) -> Any:
        shape = self.shape
        query = self._heads(self._linear(x, f"{name}.attn_q"), shape.n_heads, f"{name}.attn_q_norm.weight")
        key = self._heads(self._linear(x, f"{name}.attn_k"), shape.n_kv_heads, f"{name}.attn_k_norm.weight")
        value = self._heads(self._linear(x, f"{name}.attn_v"), shape.n_kv_heads)
        query, key = self._rotate(query, shared), self._rotate(key, shared)
        keys = self._cached(f"past_key_values.{layer}.keypresent.{layer}.key", key, shape.key_size, shared)
        values = self._cached(f"past_key_values.{layer}.valuepresent.{layer}.key", value, shape.value_size, shared)
        if shared.mask is None:
            shared.mask = self._mask(x, keys)
        keys, values = (
            self._repeated(keys, shape.key_size, shared),
            self._repeated(values, shape.value_size, shared),
        )
        context = ops.scaled_dot_product_attention(query, keys, values, shared.mask, causal=False)
        return ops.reshape(ops.transpose(context, _i32([0, 2, 1, 3])), shared.out_shape, False)

    def _linear(self, x: Any, name: str) -> Any:
        y = ops.matmul(x, self.weight(f"{name}.weight", False), False, True)
        if f"{name}.bias" not in self.plan.has:
            return y
        return ops.add(y, ops.constant(self.vector(f"{name}.bias").reshape(1, 1, -1)))

    def _norm(self, x: Any, name: str) -> Any:
        scale = self.vector(name)
        ones = [1] * (len(x.get_output_partial_shape(0)) - 1)
        mean = ops.reduce_mean(ops.power(x, _f32(2.0, [*ones, 1])), _i32([-1]), True)
        root = ops.sqrt(ops.add(mean, _f32(self.plan.rms_eps, [*ones, 1])))
        normed = ops.multiply(ops.divide(_f32(1.0, [*ones, 1]), root), x)
        return ops.multiply(normed, ops.constant(scale.reshape(*ones, -1)))

    def _heads(self, x: Any, n_heads: int, norm: str = "") -> Any:
        split = ops.reshape(x, _i64([0, 0, n_heads, self.shape.key_size]), True)
        if norm in self.plan.has:
            split = self._norm(split, norm)
        return ops.transpose(split, _i32([0, 2, 1, 3]))

    def _rotate(self, x: Any, shared: _Shared) -> Any:
        half, end, step, axis = _i64([self.shape.key_size // 2]), _i64([2**63 - 1]), _i64([1]), _i64([3])
        turned = ops.multiply(ops.slice(x, half, end, step, axis), _f32(-1.0, [1, 1, 1, 1]))
        swapped = ops.concat([turned, ops.slice(x, _i64([0]), half, step, axis)], -1)
        return ops.add(ops.multiply(x, shared.cos), ops.multiply(swapped, shared.sin))

    def _cached(self, name: str, new: Any, size: int, shared: _Shared) -> Any:
        """Everything of this layer so far, the new included; the state is kept by name."""
        n_heads = self.shape.n_kv_heads
        empty_shape = ops.concat([shared.batch, _i64([n_heads]), _i64([0]), _i64([size])], 0)
        empty = ops.broadcast(_f32(0.0, []), empty_shape)
        state = ops.read_value(empty, name, np.float32, ov.PartialShape([-1, n_heads, -1, size]))
        joined = ops.concat([ops.gather(state, shared.beam_idx, _i64(0)), new], 2)
        self.sinks.append(ops.assign(joined, name))
        return joined

    def _repeated(self, x: Any, size: int, shared: _Shared) -> Any:
        """Each key (value) head once for every query head that shares it."""
        n_heads, n_kv = self.shape.n_heads, self.shape.n_kv_heads
        if n_heads == n_kv:
            return x
        target = ops.concat([shared.batch, _i64([n_kv]), _i64([n_heads // n_kv]), _i64([0]), _i64([size])], 0)
        repeated = ops.broadcast(ops.unsqueeze(x, _i64(2)), target, broadcast_spec="BIDIRECTIONAL")
        return ops.reshape(repeated, _i64([0, n_heads, -1, size]), True)

    def _mask(self, x: Any, keys: Any) -> Any:
        """True where a new token may look: at itself, at what stands before it, and never at padding."""
        n_all = ops.squeeze(ops.gather(ops.shape_of(keys, "i64"), _i64([2]), _i64(0)), _i64([0]))
        n_new = ops.squeeze(ops.gather(ops.shape_of(x, "i64"), _i64([1]), _i64(0)), _i64([0]))
        rows = ops.unsqueeze(ops.range(ops.subtract(n_all, n_new), n_all, _i64(1), "i64"), _i64([0, 1, 3]))
        columns = ops.unsqueeze(ops.range(_i64(0), n_all, _i64(1), "i64"), _i64([0, 1, 2]))
        is_text = ops.unsqueeze(ops.not_equal(self.attention_mask, _i64(0)), _i64([1, 2]))
        return ops.logical_and(ops.less_equal(columns, rows), is_text)


def _parameter(name: str, shape: list[int], kind: type[np.generic] = np.int64) -> Any:
    parameter = ops.parameter(shape, kind)
    parameter.set_friendly_name(name)  # GenAI finds its inputs by it
    parameter.output(0).set_names({name})
    return parameter


def _i64(value: int | list[int]) -> Any:
    return ops.constant(np.array(value, dtype=np.int64))


def _i32(value: int | list[int]) -> Any:
    return ops.constant(np.array(value, dtype=np.int32))


def _f32(value: float, shape: list[int]) -> Any:
    return ops.constant(np.full(shape, value, dtype=np.float32))
