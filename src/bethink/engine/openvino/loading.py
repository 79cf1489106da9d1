"""Open a folder that OpenVINO can read: its shape, this machine's free memory and its tuning become an engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from bethink.engine.openvino.engine import OpenVinoEngine
from bethink.engine.openvino.prepare import Preparing
from bethink.engine.openvino.settings import OpenVinoSettings, Tuning, choose
from bethink.engine.openvino.tune import tune
from bethink.errors import InvalidModelFile
from bethink.machine import read_memory
from bethink.store.shape import ModelShape, shape_from_config


def load_openvino(
    folder: Path,
    sha256: str,
    on_progress: Callable[[object], None] | None = None,
    *,
    kv_gib: float | None = None,
    tuning: Tuning | None = None,
) -> OpenVinoEngine:
    """Begin to load; the engine's `wait_until_loaded` waits for the end of it.

    Raises: DoesNotFit, InvalidModelFile.
    """
    chosen = tuning or tune(
        folder, lambda done: on_progress(Preparing(folder.name, "tuning", done)) if on_progress else None
    )
    return OpenVinoEngine(folder, sha256, settings_for(folder, kv_gib=kv_gib, tuning=chosen))


def settings_for(folder: Path, *, kv_gib: float | None = None, tuning: Tuning | None = None) -> OpenVinoSettings:
    """Raises: DoesNotFit, InvalidModelFile."""
    weights = folder / "openvino_model.bin"
    if not weights.exists():
        raise InvalidModelFile(f"{folder} holds no openvino_model.bin", "pull the model again")
    return choose(
        shape_of_folder(folder),
        weights.stat().st_size,
        read_memory().available,
        tuning=tuning or Tuning(),
        kv_gib=kv_gib,
    )


def shape_of_folder(folder: Path) -> ModelShape:
    """Of a prepared folder, or of one that was published for OpenVINO. Raises: InvalidModelFile."""
    for name in ("how.json", "config.json"):
        path = folder / name
        try:
            value = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
            return ModelShape(**value["shape"]) if name == "how.json" else shape_from_config(value)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidModelFile(f"{path} cannot be read: {error}", "prepare or pull the model again") from error
    raise InvalidModelFile(f"{folder} has neither how.json nor config.json", "pull the model again")
