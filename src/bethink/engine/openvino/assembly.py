"""A model assembled from the pieces of a preparation, with the calibration that some pieces wait for.

Owns the way from files of weights to an OpenVINO model in memory. Pieces are mapped, not read, so that a model of any
size is assembled in little memory; what holds them open lives as long as the model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from bethink.engine.openvino import network
from bethink.engine.openvino.calibration import moments_file, watch
from bethink.engine.openvino.network import Plan
from bethink.engine.openvino.recipes import Recipe, recipe_of
from bethink.engine.openvino.weights import WeightFiles
from bethink.prompt import tokenizer_from_gguf
from bethink.store.gguf import GgufHeader

Tell = Callable[[str, float | None], None]


class Assembly:
    """`model`, and `watched`: each layer's name with the node that its feed-forward part reads."""

    def __init__(self, gguf: Path, header: GgufHeader, plan: Plan, pieces: Path, recipe: Recipe, tell: Tell) -> None:
        self.watched: list[tuple[str, Any]] = []
        self._arrays: list[Any] = []
        files = WeightFiles(gguf, header, plan, pieces, recipe)
        sizes = {tensor.name: tensor.n_elements for tensor in header.tensors if len(tensor.shape) > 1}
        total, done = sum(sizes.values()), 0

        def weight(name: str, is_table: bool) -> Any:
            nonlocal done
            stored = files.table(name) if is_table else files.matrix(name)
            done += sizes[name]
            tell("weights", min(done / total, 1.0))
            return network.stored_weight(stored, self._constant, name)

        def note(layer: str, node: Any) -> None:
            self.watched.append((layer, node))

        self.model: Any = network.build(plan, weight, files.vector, note)

    def _constant(self, path: Path, u4_shape: tuple[int, int, int] | None) -> Any:
        # Copy-on-write, because OpenVINO wants arrays it may write to; nothing writes, so nothing is copied.
        array = np.load(path, mmap_mode="c")
        if u4_shape is None:
            return network.ops.constant(array, shared_memory=True)
        self._arrays.append(array)  # a u4 tensor does not keep its bytes alive
        constant: Any = ov.op.Constant
        return constant(ov.Tensor(array, ov.Shape(u4_shape), ov.Type.u4))


def calibrate(gguf: Path, header: GgufHeader, plan: Plan, pieces: Path, tell: Tell) -> None:
    """Leave the moments of every layer in `pieces`, unless an earlier run did."""
    if all(moments_file(pieces, f"blk.{layer}").exists() for layer in range(plan.shape.n_layers)):
        return
    whole = Assembly(gguf, header, plan, pieces, recipe_of("int8"), tell)
    tokenizer = tokenizer_from_gguf(header.metadata)
    watch(whole.model, whole.watched, tokenizer, pieces, lambda done: tell("calibrating", done))


def quantised_together(header: GgufHeader) -> int:
    """How many activations OpenVINO rounds to int8 with one scale: as many as every matrix can be divided by.

    128 is as exact as OpenVINO's own 32 and up to a fifth faster (docs/guide/engines.md).
    """
    widths = {tensor.shape[0] for tensor in header.tensors if len(tensor.shape) > 1}
    return next((n for n in (128, 64) if all(width % n == 0 for width in widths)), 32)
