"""Weights on their way from a GGUF file to an OpenVINO model: dequantised, quantised anew, and kept as small files.

Owns the bytes of one matrix at a time: never more than a few megabytes are held as floats, whatever the size of the
model. Every matrix becomes an `.npy` file in a work folder with its final name only when it is complete, so that a
preparation that was killed goes on where it stopped, and so that the graph can refer to files instead of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from bethink.engine.openvino.network import Array, Plan, StoredMatrix, rows_in_order
from bethink.engine.openvino.recipes import Recipe
from bethink.errors import CapabilityMissing
from bethink.store.gguf import GgufHeader, TensorInfo

CHUNK_VALUES = 4 << 20


class WeightFiles:
    """Reads matrices of `gguf` and keeps them in `folder` as `recipe` wants them."""

    def __init__(self, gguf: Path, header: GgufHeader, plan: Plan, folder: Path, recipe: Recipe) -> None:
        self._plan, self._folder, self._kind = plan, folder, recipe.kind
        self._tensors = {tensor.name: tensor for tensor in header.tensors}
        self._bytes: npt.NDArray[np.uint8] = np.memmap(gguf, dtype=np.uint8, mode="r")

    def vector(self, name: str) -> Array:
        """A norm, a bias or a list of factors, as float32; query and key biases in their true order."""
        tensor = self._tensors[name]
        values = next(self._chunks(tensor)).reshape(-1)
        return np.ascontiguousarray(self._in_order(name, values))

    def matrix(self, name: str) -> StoredMatrix:
        """The stored form of a matrix, made now unless an earlier run made it."""
        stored = self._stored(name)
        if not stored.values.exists():
            self._make(name, stored)
        return stored

    def _stored(self, name: str) -> StoredMatrix:
        values = self._folder / f"{name}.npy"
        if self._kind == "f16":
            return StoredMatrix(values)
        return StoredMatrix(values, self._folder / f"{name}.scales.npy", self._folder / f"{name}.zeros.npy")

    def _make(self, name: str, stored: StoredMatrix) -> None:
        tensor = self._tensors[name]
        n_columns, n_rows = tensor.shape
        part = self._folder / f"{name}.part"
        kind = np.float16 if self._kind == "f16" else np.uint8
        target: Any = np.lib.format.open_memmap(part, mode="w+", dtype=kind, shape=(n_rows, n_columns))
        scales = np.empty((n_rows, 1), dtype=np.float16)
        zeros = np.empty((n_rows, 1), dtype=np.uint8)
        at = 0
        for rows in self._chunks(tensor):
            span = slice(at, at + len(rows))
            if self._kind == "f16":
                target[span] = rows
            else:
                target[span], scales[span], zeros[span] = quantise_rows(rows)
            at += len(rows)
        self._put_in_order(name, target, scales, zeros)
        target.flush()
        del target
        if stored.scales is not None and stored.zeros is not None:
            np.save(stored.scales, scales)
            np.save(stored.zeros, zeros)
        part.replace(stored.values)

    def _put_in_order(self, name: str, *arrays: Any) -> None:
        for array in arrays:
            ordered = self._in_order(name, array)
            if ordered is not array:
                array[:] = ordered

    def _in_order(self, name: str, rows: Array) -> Array:
        if not self._plan.is_interleaved:
            return rows
        shape = self._plan.shape
        if ".attn_q." in name:
            return rows_in_order(rows, shape.n_heads)
        return rows_in_order(rows, shape.n_kv_heads) if ".attn_k." in name else rows

    def _chunks(self, tensor: TensorInfo) -> Iterator[npt.NDArray[np.float32]]:
        """Rows as float32, a few megabytes at a time."""
        n_columns = tensor.shape[0]
        n_rows = tensor.n_elements // n_columns
        row_bytes = tensor.n_bytes // n_rows
        at_once = max(1, CHUNK_VALUES // n_columns)
        raw = self._bytes[tensor.offset : tensor.offset + tensor.n_bytes].reshape(n_rows, row_bytes)
        for start in range(0, n_rows, at_once):
            yield as_floats(raw[start : start + at_once], tensor.type)


def as_floats(raw: npt.NDArray[np.uint8], type_name: str) -> npt.NDArray[np.float32]:
    """Rows of bytes as float32. Raises: CapabilityMissing for a type that the gguf package cannot read."""
    if type_name == "F32":
        return raw.view(np.float32)
    if type_name == "F16":
        return raw.view(np.float16).astype(np.float32)
    try:
        return dequantize(raw, GGMLQuantizationType[type_name])
    except (KeyError, NotImplementedError):
        raise CapabilityMissing(
            f"weights of type {type_name} cannot be prepared for OpenVINO",
            "pull another quantisation, or use `--engine llamacpp`",
        ) from None


def quantise_rows(rows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], Array, Array]:
    """Each row to 256 levels between its least and its greatest value: (values, scales f16, zero points u8).

    The range always holds 0, so that a zero stays one.
    """
    low = np.minimum(rows.min(axis=1, keepdims=True), 0.0)
    high = np.maximum(rows.max(axis=1, keepdims=True), 0.0)
    scales = np.maximum((high - low) / 255.0, np.float32(6e-8)).astype(np.float16)
    exact = scales.astype(np.float32)
    zeros = np.clip(np.rint(-low / exact), 0, 255)
    values = np.clip(np.rint(rows / exact + zeros), 0, 255)
    return values.astype(np.uint8), scales, zeros.astype(np.uint8)
