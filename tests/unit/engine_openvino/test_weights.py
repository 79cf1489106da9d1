"""Weights keep their values: every type of a file, the order of a llama file's rows, and what was done already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bethink.engine.openvino import network
from bethink.engine.openvino.recipes import recipe_of
from bethink.engine.openvino.weights import WeightFiles, as_floats, quantise_rows, quantise_rows_signed
from bethink.errors import CapabilityMissing
from bethink.store.gguf import read_header
from tests.unit.engine_openvino import tiny_models as tiny

ROWS = arrays.arrays(np.float32, (3, 32), elements=st.floats(-100, 100, width=32))


@given(ROWS)
def test_a_quantised_row_is_within_a_step_of_itself(rows: tiny.Array) -> None:
    values, scales, zeros = quantise_rows(rows)
    back = (values.astype(np.float32) - zeros) * scales.astype(np.float32)
    step = np.maximum(scales.astype(np.float32), 1e-7)
    assert (np.abs(back - rows) <= 1.1 * step + 1e-6 * np.abs(rows)).all()


@given(ROWS)
def test_a_signed_row_is_within_a_step_of_itself(rows: tiny.Array) -> None:
    values, scales = quantise_rows_signed(rows)
    back = values.astype(np.float32) * scales.astype(np.float32)
    assert (np.abs(back - rows) <= 1.1 * scales.astype(np.float32) + 1e-6 * np.abs(rows)).all()


def test_a_zero_stays_a_zero() -> None:
    values, scales, zeros = quantise_rows(np.array([[0.0, 3.0, -1.0], [0.0, 5.0, 6.0]], dtype=np.float32))
    assert ((values.astype(np.float32) - zeros) * scales)[:, 0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["F32", "F16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "BF16"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_a_matrix_is_what_the_file_holds(tmp_path: Path, architecture: str, name: str) -> None:
    model = tiny.write_gguf(tiny.tiny_model(architecture), tmp_path / "m.gguf", GGMLQuantizationType[name])
    header = read_header(tmp_path / "m.gguf")
    files = WeightFiles(tmp_path / "m.gguf", header, network.plan_from_gguf(header), tmp_path, recipe_of("f16"))
    for tensor in ("blk.0.attn_q.weight", "blk.1.attn_k.weight", "blk.0.ffn_down.weight", "output.weight"):
        stored = np.load(files.matrix(tensor).values)
        np.testing.assert_allclose(stored, model.weights[tensor], rtol=2e-3, atol=1e-4)


def test_what_was_made_is_not_made_again(tmp_path: Path) -> None:
    tiny.write_gguf(tiny.tiny_model("qwen2"), tmp_path / "m.gguf")
    header = read_header(tmp_path / "m.gguf")
    files = WeightFiles(tmp_path / "m.gguf", header, network.plan_from_gguf(header), tmp_path, recipe_of("int8"))
    made = files.matrix("output.weight").values
    before = made.stat().st_mtime_ns
    assert files.matrix("output.weight").values == made
    assert made.stat().st_mtime_ns == before


def test_a_matrix_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    tiny.write_gguf(tiny.tiny_model("qwen2"), tmp_path / "m.gguf")
    header = read_header(tmp_path / "m.gguf")
    files = WeightFiles(tmp_path / "m.gguf", header, network.plan_from_gguf(header), tmp_path, recipe_of("int8"))
    (tmp_path / "output.weight.part").write_bytes(b"half of it")
    assert np.load(files.matrix("output.weight").values).shape == (tiny.N_VOCAB, tiny.HIDDEN)


def test_a_type_that_nobody_can_read_is_refused() -> None:
    with pytest.raises(CapabilityMissing, match="Q8_K"):
        as_floats(np.zeros((1, 292), dtype=np.uint8), "Q8_K")
