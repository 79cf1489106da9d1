"""The graph computes what the architecture says: held against a forward pass in numpy, on models of random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from bethink.engine.openvino import network
from bethink.engine.openvino.assembly import Assembly, calibrate
from bethink.engine.openvino.recipes import recipe_of
from bethink.errors import CapabilityMissing
from bethink.store.gguf import read_header
from tests.unit.engine_openvino import tiny_models as tiny

IDS = [1, 44, 200, 7, 7, 255, 90, 13, 60]


@dataclass(frozen=True)
class Compiled:
    """The assembly must live as long as what was compiled from it."""

    assembly: Assembly
    request: ov.InferRequest


def compiled(gguf: Path, folder: Path, precision: str = "f16") -> Compiled:
    header = read_header(gguf)
    plan, recipe = network.plan_from_gguf(header), recipe_of(precision)
    folder.mkdir(exist_ok=True)
    if recipe.int4_suffixes:
        calibrate(gguf, header, plan, folder, lambda _stage, _done: None)
    made = Assembly(gguf, header, plan, folder, recipe, lambda _stage, _done: None)
    core: Any = ov.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    return Compiled(made, core.compile_model(made.model, "CPU", hints).create_infer_request())


def run(model: Compiled, ids: list[int], n_before: int = 0) -> tiny.Array:
    n_all = n_before + len(ids)
    inputs = {
        "input_ids": np.array([ids], dtype=np.int64),
        "attention_mask": np.ones((1, n_all), dtype=np.int64),
        "position_ids": np.arange(n_before, n_all, dtype=np.int64)[None],
        "beam_idx": np.zeros(1, dtype=np.int32),
    }
    return np.array(model.request.infer(inputs)["logits"][0])


@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("architecture", network.ARCHITECTURES)
def test_logits_are_those_of_the_architecture(tmp_path: Path, architecture: str, is_tied: bool) -> None:
    model = tiny.write_gguf(tiny.tiny_model(architecture, is_tied=is_tied), tmp_path / "m.gguf")
    found = run(compiled(tmp_path / "m.gguf", tmp_path / "w"), IDS)
    np.testing.assert_allclose(found, tiny.logits(model, IDS), atol=0.02)


def test_reading_in_pieces_is_reading_at_once(tmp_path: Path) -> None:
    model = tiny.write_gguf(tiny.tiny_model("qwen2"), tmp_path / "m.gguf")
    request = compiled(tmp_path / "m.gguf", tmp_path / "w")
    pieces = [run(request, IDS[:4]), run(request, IDS[4:5], 4), run(request, IDS[5:], 5)]
    np.testing.assert_allclose(np.concatenate(pieces), tiny.logits(model, IDS), atol=0.02)


def test_rope_factors_of_the_file_are_honoured(tmp_path: Path) -> None:
    factors = np.linspace(1.0, 8.0, tiny.HEAD // 2, dtype=np.float32)
    model = tiny.write_gguf(tiny.tiny_model("llama", rope_factors=factors), tmp_path / "m.gguf")
    found = run(compiled(tmp_path / "m.gguf", tmp_path / "w"), IDS)
    np.testing.assert_allclose(found, tiny.logits(model, IDS), atol=0.02)


def test_linear_rope_scaling_is_honoured(tmp_path: Path) -> None:
    said = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    model = tiny.write_gguf(tiny.tiny_model("llama", rope_scale=4.0, metadata=said), tmp_path / "m.gguf")
    found = run(compiled(tmp_path / "m.gguf", tmp_path / "w"), IDS)
    np.testing.assert_allclose(found, tiny.logits(model, IDS), atol=0.02)


def test_int8_stays_close(tmp_path: Path) -> None:
    model = tiny.write_gguf(tiny.tiny_model("llama"), tmp_path / "m.gguf")
    found, true = run(compiled(tmp_path / "m.gguf", tmp_path / "w", "int8"), IDS), tiny.logits(model, IDS)
    assert np.abs(found - true).max() < 0.1 * np.abs(true).max()
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.999


def test_mixed_int4_stays_close(tmp_path: Path) -> None:
    model = tiny.write_gguf(tiny.tiny_model("qwen2"), tmp_path / "m.gguf")
    found, true = run(compiled(tmp_path / "m.gguf", tmp_path / "w", "mixed"), IDS), tiny.logits(model, IDS)
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.98


@pytest.mark.parametrize(
    ("architecture", "metadata", "word"),
    [
        ("gemma2", {}, "architecture"),
        ("qwen2", {"qwen2.rope.scaling.type": "yarn"}, "yarn"),
    ],
)
def test_what_the_graph_does_not_know_is_refused(
    tmp_path: Path, architecture: str, metadata: dict[str, str], word: str
) -> None:
    tiny.write_gguf(tiny.tiny_model(architecture, metadata=metadata), tmp_path / "m.gguf")
    with pytest.raises(CapabilityMissing, match=word):
        network.plan_from_gguf(read_header(tmp_path / "m.gguf"))
