"""A prepared model of random weights: the real engine, loaded in a second or two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from bethink.engine.openvino.engine import OpenVinoEngine
from bethink.engine.openvino.loading import shape_of_folder
from bethink.engine.openvino.prepare import prepare
from bethink.engine.openvino.settings import OpenVinoSettings, Tuning
from bethink.store import LocalModel
from tests.unit.engine_openvino import tiny_models as tiny
from tests.unit.engine_openvino.test_prepare import Pulled


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny.write_gguf(tiny.tiny_model("qwen2"), folder / "m.gguf")
    return prepare(cast("LocalModel", Pulled(folder / "m.gguf")), folder / "prepared", "int8")


@pytest.fixture
def engine(tiny_folder: Path) -> Iterator[OpenVinoEngine]:
    """With a cache of 640 tokens; the model's context is 512."""
    opened = OpenVinoEngine(tiny_folder, "0" * 64, OpenVinoSettings(shape_of_folder(tiny_folder), 20, Tuning()))
    opened.wait_until_loaded()
    yield opened
    opened.close()
