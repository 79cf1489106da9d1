"""The arithmetic of memory, against what running models were measured to take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bethink.store.catalogue import Catalogue
from bethink.store.fit import GIB, Fitting, fitting, kv_bytes_per_token, largest, predict, predict_llamacpp
from bethink.store.shape import ModelShape

SMALL = ModelShape(24, 14, 2, 64, 64, 896, 151_936, 32_768)  # qwen2.5-coder:0.5b
MIDDLE = ModelShape(28, 12, 2, 128, 128, 1536, 151_936, 32_768)  # qwen2.5-coder:1.5b
TINY = ModelShape(30, 9, 3, 64, 64, 576, 49_152, 8192)  # smollm2:135m


@pytest.mark.parametrize(
    ("shape", "n_weights", "context", "paths", "measured"),
    [
        (SMALL, 494_000_000, 512, 1, 1087e6),
        (SMALL, 494_000_000, 360, 8, 1142e6),
        (SMALL, 494_000_000, 1024, 8, 1175e6),
        (MIDDLE, 1_543_000_000, 1024, 1, 2286e6),
        (MIDDLE, 1_543_000_000, 1024, 8, 2427e6),
        (TINY, 134_500_000, 2048, 1, 532e6),
        (TINY, 134_500_000, 2048, 8, 733e6),
    ],
)
def test_predictions_are_within_a_tenth_of_what_was_measured(  # by bench/memory.py
    shape: ModelShape, n_weights: int, context: int, paths: int, measured: float
) -> None:
    assert predict(shape, n_weights=n_weights, context=context, paths=paths).total == pytest.approx(measured, rel=0.1)


def test_the_cache_is_what_genai_reports() -> None:
    assert kv_bytes_per_token(SMALL) == 24 * 2 * (64 + 64 + 16)
    assert kv_bytes_per_token(SMALL, "f32") == 24 * 2 * 128 * 4


def test_more_paths_and_longer_contexts_take_more_up_to_the_models_own() -> None:
    def total(context: int, paths: int) -> int:
        return predict(SMALL, n_weights=494_000_000, context=context, paths=paths).total

    assert total(1000, 1) < total(2000, 1) < total(2000, 2)
    assert total(32_768, 1) == total(1_000_000, 1)


def test_the_largest_model_is_that_with_the_most_weights_in_its_finest_form() -> None:
    found = fitting(Catalogue.load(), 12 * GIB, context=4096, paths=8)
    best = largest(found)
    assert best is not None
    assert all((item.entry.parameters or 0) <= (best.entry.parameters or 0) for item in found if item.engine)
    same = [item for item in found if item.entry.parameters == best.entry.parameters and item.engine]
    assert (best.entry.approx_size or 0) == max(item.entry.approx_size or 0 for item in same)


def test_llamacpp_holds_what_openvino_cannot() -> None:
    with_it = fitting(Catalogue.load(), 12 * GIB, context=2048, paths=1, has_llamacpp=True)
    assert any(item.engine == "llamacpp" for item in with_it)
    assert not any(item.engine == "llamacpp" for item in fitting(Catalogue.load(), 12 * GIB, context=2048, paths=1))


def test_nothing_fits_into_nothing() -> None:
    assert largest(fitting(Catalogue.load(), 0, context=1, paths=1, has_llamacpp=True)) is None


def test_a_file_on_llamacpp_counts_as_it_is() -> None:
    assert predict_llamacpp(SMALL, file_size=491_400_064, context=100, paths=1).weights == 491_400_064


def test_a_fitting_without_an_engine_is_never_chosen() -> None:
    found = fitting(Catalogue.load(), 100 * GIB, context=1, paths=1)
    none: list[Fitting] = [replace(item, engine=None) for item in found]
    assert largest(none) is None
