"""How likely a prepared model finds given texts: its perplexity, for comparing precisions.

The model is run plainly, a text at a time, with the arithmetic and the kind of cache that the engine uses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov


def perplexity(folder: Path, texts: Sequence[tuple[Sequence[int], int]]) -> float:
    """Of all tokens behind the first `n_given` of each text. `texts` are (ids, n_given)."""
    total, n_tokens = 0.0, 0
    for value in _losses(folder, texts):
        total += float(value.sum())
        n_tokens += len(value)
    return math.exp(total / max(1, n_tokens))


def _losses(folder: Path, texts: Sequence[tuple[Sequence[int], int]]) -> Iterator[Any]:
    core: Any = ov.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "u8"}
    request = core.compile_model(folder / "openvino_model.xml", "CPU", hints).create_infer_request()
    for ids, n_given in texts:
        request.reset_state()
        n = len(ids)
        outputs = request.infer(
            {
                "input_ids": np.array([ids], dtype=np.int64),
                "attention_mask": np.ones((1, n), dtype=np.int64),
                "position_ids": np.arange(n, dtype=np.int64)[None],
                "beam_idx": np.zeros(1, dtype=np.int32),
            }
        )
        logits = outputs["logits"][0, n_given - 1 : -1].astype(np.float64)
        top = logits.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(logits - top).sum(axis=-1)) + top[:, 0]
        yield log_sum - logits[np.arange(len(logits)), list(ids[n_given:])]
