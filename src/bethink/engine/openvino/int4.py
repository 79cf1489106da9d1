"""Four bits a weight without losing what the model knows: groups of a row share a scale, and each rounding error is
made up for by the weights that are still to be rounded.

Source: GPTQ (arXiv 2210.17323), algorithm 1 with its blocks. Departures: the factor of the inverse comes from one
Cholesky factorisation of the mirrored matrix; each group's range is chosen among five by the error of its rounding;
rows come a few thousand at a time, which changes nothing, because no row looks at another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

GROUPS = (128, 64)
LEVELS = 15
DAMPING = 0.01
"""Share of the mean of the diagonal that is added to it, for inputs that calibration hardly saw. Source: GPTQ, 3.3."""
SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8)
BLOCK = 128
SMALLEST_SCALE = np.float32(6e-8)


@dataclass(frozen=True, slots=True)
class Grouped:
    """`values` (rows, columns) from 0 to 15; `scales` and `zeros` (rows, groups, 1)."""

    values: Bytes
    scales: npt.NDArray[np.float16]
    zeros: Bytes


def group_of(n_columns: int) -> int | None:
    """How many columns share a scale, where a row can be divided so."""
    return next((group for group in GROUPS if n_columns % group == 0), None)


def inverse_factor(hessian: Floats) -> Floats:
    """The upper factor U of the damped inverse, U^T U = H^-1. (columns, columns)."""
    n = len(hessian)
    damped = hessian[::-1, ::-1].astype(np.float32)
    mean = float(np.trace(damped)) / n
    damped[np.arange(n), np.arange(n)] += np.float32(DAMPING * mean or 1.0)
    lower = np.linalg.cholesky(damped)
    return np.ascontiguousarray(np.linalg.inv(lower)[::-1, ::-1], dtype=np.float32)


def quantise_groups(rows: Floats, group: int, factor: Floats) -> Grouped:
    """Round `rows` (rows, columns) so that their products with the inputs behind `factor` change least."""
    n_rows, n_columns = rows.shape
    left = np.ascontiguousarray(rows.T, dtype=np.float32)  # column by column, what is still to be rounded
    values = np.empty((n_columns, n_rows), dtype=np.uint8)
    scales = np.empty((n_columns // group, n_rows), dtype=np.float32)
    zeros = np.empty_like(scales)
    for start in range(0, n_columns, BLOCK):
        end = min(start + BLOCK, n_columns)
        errors = np.empty((end - start, n_rows), dtype=np.float32)
        for at in range(start, end):
            g = at // group
            if at % group == 0:
                scales[g], zeros[g] = _ranges(left[at : at + group])
            levels = np.clip(np.rint(left[at] / scales[g] + zeros[g]), 0, LEVELS)
            values[at] = levels
            errors[at - start] = error = (left[at] - (levels - zeros[g]) * scales[g]) / factor[at, at]
            left[at + 1 : end] -= np.outer(factor[at, at + 1 : end], error)
        left[end:] -= factor[start:end, end:].T @ errors
    return Grouped(
        np.ascontiguousarray(values.T),
        np.ascontiguousarray(scales.T.astype(np.float16)[..., None]),
        np.ascontiguousarray(zeros.T.astype(np.uint8)[..., None]),
    )


def packed(values: Bytes) -> Bytes:
    """Two values a byte, the first in the low half, as OpenVINO keeps u4."""
    flat = values.reshape(-1)
    return np.bitwise_or(flat[0::2], np.left_shift(flat[1::2], np.uint8(4)), dtype=np.uint8)


def _ranges(columns: Floats) -> tuple[Floats, Floats]:
    """(scale, zero point) of each row of a group, (columns, rows): its whole range, or less of it if that errs less."""
    low, high = np.minimum(columns.min(axis=0), 0.0), np.maximum(columns.max(axis=0), 0.0)
    best_scale = best_zero = best_error = np.zeros(0, dtype=np.float32)
    for shrink in SHRINKS:
        exact = np.maximum((high - low) * np.float32(shrink / LEVELS), SMALLEST_SCALE)
        scale = np.maximum(exact.astype(np.float16).astype(np.float32), SMALLEST_SCALE)
        zero = np.clip(np.rint(-low * np.float32(shrink) / scale), 0, LEVELS).astype(np.float32)
        rounded = (np.clip(np.rint(columns / scale + zero), 0, LEVELS) - zero) * scale
        error = np.square(rounded - columns).sum(axis=0)
        if not best_error.size:
            best_scale, best_zero, best_error = scale, zero, error
            continue
        is_better = error < best_error
        best_scale, best_zero = np.where(is_better, scale, best_scale), np.where(is_better, zero, best_zero)
        best_error = np.minimum(error, best_error)
    return best_scale, best_zero
