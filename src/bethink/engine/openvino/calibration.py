"""What a model's layers see when it reads: the second moments of their inputs, which `int4` rounds by.

The text is calibration.txt, written by bench/calibration_text.py; nothing is fetched and nothing of the user's is read.
The model runs once in int8 over it, up to its last feed-forward. Each layer's moments are kept in the work folder under
their names only when they are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from bethink.engine.openvino.network import new_model, ops
from bethink.prompt import Tokenizer

SEPARATOR = "\n\n-----\n\n"
MAX_TOKENS = 512
"""Of each text; the whole is about 9,000 tokens."""


def moments_file(folder: Path, name: str) -> Path:
    """Where the moments of the feed-forward inputs of a layer (or of a weight's layer) stand."""
    return folder / f"{name.split('.ffn_', 1)[0]}.ffn.moments.npy"


def texts() -> tuple[str, ...]:
    source = resources.files("bethink.engine.openvino").joinpath("calibration.txt").read_text(encoding="utf-8")
    return tuple(source.split(SEPARATOR))


def watch(
    model: ov.Model,
    watched: Sequence[tuple[str, Any]],
    tokenizer: Tokenizer,
    folder: Path,
    tell: Callable[[float], None],
) -> None:
    """Run the text through `model` and keep X^T X, (columns, columns), of every watched (layer's name, node)."""
    request = _compiled(model, [node for _, node in watched])
    sums: list[Any] = [0.0] * len(watched)
    all_texts = texts()
    for at, text in enumerate(all_texts):
        tell(at / len(all_texts))
        ids = tokenizer.encode(text, parse_special=False)[:MAX_TOKENS]
        n = len(ids)
        request.reset_state()
        request.infer(
            {
                "input_ids": np.array([ids], dtype=np.int64),
                "attention_mask": np.ones((1, n), dtype=np.int64),
                "position_ids": np.arange(n, dtype=np.int64)[None],
                "beam_idx": np.zeros(1, dtype=np.int32),
            }
        )
        for index in range(len(watched)):
            seen = request.get_output_tensor(index).data.reshape(n, -1)
            sums[index] = sums[index] + seen.T @ seen
    for (name, _), moments in zip(watched, sums, strict=True):
        target = moments_file(folder, name)
        part = target.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, moments)
        part.replace(target)


def _compiled(model: Any, nodes: Sequence[Any]) -> Any:
    """Only what leads to `nodes` is computed: no logits."""
    results = [ops.result(node) for node in nodes]
    cut = new_model(results, model.get_sinks(), model.get_parameters(), "calibration")
    core: Any = ov.Core()
    return core.compile_model(cut, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
