"""Settings are chosen by a measurement, kept for machines of the kind, and never measured twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bethink.engine.openvino import tune as tuning
from bethink.engine.openvino.reading import BLOCK_TOKENS
from bethink.engine.openvino.settings import Tuning, choose
from bethink.errors import DoesNotFit, EngineError
from bethink.machine import Cpu
from bethink.store.shape import ModelShape

SHAPE = ModelShape(24, 14, 2, 64, 64, 896, 151_936, 32_768)
PLAIN = Cpu("Plain", "x86_64", 2, 2, ("AVX2", "FMA"))
SERVER = Cpu("Server", "x86_64", 8, 4, ("AVX2", "AVX-512", "AVX-512 BF16", "AMX", "AMX-BF16"))


def test_hints_that_would_be_emulated_are_not_tried() -> None:
    assert {choice.precision_hint for choice in tuning.candidates(PLAIN)} == {"f32"}
    assert {(c.precision_hint, c.n_threads) for c in tuning.candidates(SERVER)} == {
        ("f32", 4), ("f32", 8), ("bf16", 4), ("bf16", 8)
    }  # fmt: skip


@pytest.mark.parametrize(("rate", "piece"), [(5000, 512), (200, 128), (64, 64), (3, 32)])
def test_no_piece_of_a_prompt_takes_much_longer_than_a_second(rate: float, piece: int) -> None:
    assert tuning.piece_for(rate) == piece


def test_the_best_is_kept_and_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Tuning] = []

    def measure(_folder: Path, choice: Tuning, paths: tuple[int, ...] = (1, 8)) -> tuning.Measured:
        measured.append(choice)
        if choice.precision_hint == "bf16" and choice.n_threads == 8:
            raise EngineError("it does not load so")
        speed = 2.0 if choice == Tuning("bf16", n_threads=4) else 1.0
        return tuning.Measured(choice, dict.fromkeys(paths, speed), 300.0)

    monkeypatch.setattr(tuning, "measure", measure)
    best = tuning.tune(tmp_path, cpu=SERVER)
    assert (best.precision_hint, best.n_threads, best.max_batched_tokens) == ("bf16", 4, 256)
    assert tuning.tune(tmp_path, cpu=SERVER) == best
    assert len(measured) == 4
    tuning.tune(tmp_path, cpu=PLAIN)
    assert len(measured) == 5
    assert len(json.loads((tmp_path / "tuning.json").read_text())) == 2


def test_a_spoilt_record_is_measured_anew(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text("{")
    assert tuning.kept_tuning(tmp_path, PLAIN) is None


def test_a_real_measurement_of_a_small_model(tiny_folder: Path) -> None:
    measured = tuning.measure(tiny_folder, Tuning(n_threads=1))
    assert set(measured.tokens_per_s) == {1, 8}
    assert measured.prompt_tokens_per_s > 0
    assert measured.tokens_per_s[1] > 0  # eight paths of so small a model may end within one tick of a busy machine


def test_the_cache_takes_half_of_what_the_weights_leave() -> None:
    settings = choose(SHAPE, 500 << 20, 2 << 30)
    assert 0.1 * (1 << 30) < settings.kv_bytes < 0.55 * (1 << 30)
    assert settings.n_kv_blocks * BLOCK_TOKENS < choose(SHAPE, 500 << 20, 3 << 30).n_kv_blocks * BLOCK_TOKENS


def test_a_model_that_leaves_no_room_for_a_thought_is_refused() -> None:
    with pytest.raises(DoesNotFit, match="GiB"):
        choose(SHAPE, 500 << 20, 700 << 20)


def test_the_cache_that_was_asked_for_is_taken() -> None:
    assert choose(SHAPE, 500 << 20, 8 << 30, kv_gib=1.0).kv_bytes == pytest.approx(1 << 30, rel=0.01)
