"""Weights on their way from a GGUF file to an OpenVINO model: dequantised, quantised anew, and kept as small files.

Owns the bytes of one matrix at a time: never more than a few megabytes are held as floats, whatever the size of the
model. Every matrix becomes an `.npy` file in a work folder with its final name only when it is complete, so that a
preparation that was killed goes on where it stopped, and so that the graph can refer to files instead of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from bethink.engine.openvino.calibration import moments_file
from bethink.engine.openvino.int4 import group_of, inverse_factor, packed, quantise_groups
from bethink.engine.openvino.network import Array, Plan, StoredMatrix, rows_in_order
from bethink.engine.openvino.recipes import Recipe
from bethink.errors import CapabilityMissing
from bethink.store.gguf import GgufHeader, TensorInfo

Kind = Literal["f16", "u8", "i8"]
CHUNK_VALUES = 4 << 20
_DTYPES: dict[Kind, type[np.generic]] = {"f16": np.float16, "u8": np.uint8, "i8": np.int8}


class WeightFiles:
    """Reads matrices of `gguf` and keeps them in `folder` as `recipe` wants them."""

    def __init__(self, gguf: Path, header: GgufHeader, plan: Plan, folder: Path, recipe: Recipe) -> None:
        self._plan, self._folder, self._kind, self._int4 = plan, folder, recipe.kind, recipe.int4_suffixes
        self._tensors = {tensor.name: tensor for tensor in header.tensors}
        self._bytes: npt.NDArray[np.uint8] = np.memmap(gguf, dtype=np.uint8, mode="r")

    def vector(self, name: str) -> Array:
        """A norm, a bias or a list of factors, as float32; query and key biases in their true order."""
        tensor = self._tensors[name]
        values = next(self._chunks(tensor)).reshape(-1)
        return np.ascontiguousarray(self._in_order(name, values))

    def matrix(self, name: str) -> StoredMatrix:
        """The stored form of a matrix that is multiplied with, made now unless an earlier run made it."""
        tensor = self._tensors[name]
        if name.endswith(self._int4) and self._int4 and (group := group_of(tensor.shape[0])):
            return self._grouped(tensor, group)
        return self._form(name, name, "u8")

    def table(self, name: str) -> StoredMatrix:
        """The stored form of the embeddings, of which single rows are read.

        Signed, so that it never equals the output matrix: OpenVINO merges what is equal and then unpacks it to floats.
        """
        return self._form(name, f"{name}.table", "i8")

    def _grouped(self, tensor: TensorInfo, group: int) -> StoredMatrix:
        """In int4, rounded by the moments that `calibration` left in the folder."""
        values, scales, zeros = (self._folder / f"{tensor.name}.int4{part}.npy" for part in ("", ".scales", ".zeros"))
        n_columns, n_rows = tensor.shape
        if not values.exists():
            factor = inverse_factor(np.load(moments_file(self._folder, tensor.name)))
            made = [quantise_groups(rows, group, factor) for rows in self._chunks(tensor)]
            np.save(scales, np.concatenate([part.scales for part in made]))
            np.save(zeros, packed(np.concatenate([part.zeros for part in made])))
            unfinished = values.with_suffix(".part")
            with unfinished.open("wb") as file:
                np.save(file, np.concatenate([packed(part.values) for part in made]))
            unfinished.replace(values)
        return StoredMatrix(values, scales, zeros, (n_rows, n_columns // group, group))

    def _form(self, name: str, file: str, kind: Literal["u8", "i8"]) -> StoredMatrix:
        values, scales, zeros = (self._folder / f"{file}{part}.npy" for part in ("", ".scales", ".zeros"))
        if not values.exists():
            self._make(self._tensors[name], values, scales, zeros, "f16" if self._kind == "f16" else kind)
        if self._kind == "f16":
            return StoredMatrix(values)
        return StoredMatrix(values, scales, zeros if kind == "u8" else None)

    def _make(self, tensor: TensorInfo, values: Path, scales: Path, zeros: Path, kind: Kind) -> None:
        n_columns, n_rows = tensor.shape
        part = values.with_suffix(".part")
        target: Any = np.lib.format.open_memmap(part, mode="w+", dtype=_DTYPES[kind], shape=(n_rows, n_columns))
        row_scales = np.zeros((n_rows, 1), dtype=np.float16)
        row_zeros = np.zeros((n_rows, 1), dtype=np.uint8)
        at = 0
        for rows in self._chunks(tensor):
            span = slice(at, at + len(rows))
            at += len(rows)
            if kind == "f16":
                target[span] = rows
            elif kind == "u8":
                target[span], row_scales[span], row_zeros[span] = quantise_rows(rows)
            else:
                target[span], row_scales[span] = quantise_rows_signed(rows)
        self._put_in_order(tensor.name, target, row_scales, row_zeros)
        target.flush()
        del target
        if kind != "f16":
            np.save(scales, row_scales)
            np.save(zeros, row_zeros)
        part.replace(values)

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
    scales = _rounded_up((high - low) / 255.0)
    exact = scales.astype(np.float32)
    zeros = np.clip(np.rint(-low / exact), 0, 255)
    values = np.clip(np.rint(rows / exact + zeros), 0, 255)
    return values.astype(np.uint8), scales, zeros.astype(np.uint8)


def quantise_rows_signed(rows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], Array]:
    """Each row to 255 levels around 0: (values, scales f16)."""
    greatest = np.abs(rows).max(axis=1, keepdims=True)
    scales = _rounded_up(greatest / 127.0)
    values = np.clip(np.rint(rows / scales.astype(np.float32)), -127, 127)
    return values.astype(np.int8), scales


def _rounded_up(scales: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """As f16, never below what they were (else the greatest value of a row is cut) and never 0."""
    rounded = np.maximum(scales, np.float32(6e-8)).astype(np.float16)
    return np.where(rounded.astype(np.float32) < scales, np.nextafter(rounded, np.float16(np.inf)), rounded)
