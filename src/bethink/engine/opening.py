"""From a pulled model to a running engine with its tokenizer and template: `open_engine`.

Owns which engine runs a model when the user does not say: OpenVINO where it can, llama.cpp (when installed) for the
rest. Refuses quietly doing something else than what was asked for by name. Engines are imported only when chosen.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from bethink.engine.files import EngineFiles, files_of_folder, files_of_gguf
from bethink.engine.protocol import Engine
from bethink.errors import CapabilityMissing, EngineMissing, UsageError

if TYPE_CHECKING:
    from bethink.store import LocalModel, Store

ENGINES = ("openvino", "llamacpp")


def open_engine(
    store: Store,
    local: LocalModel,
    *,
    engine: str | None = None,
    precision: str | None = None,
    on_progress: Callable[[object], None] | None = None,
) -> tuple[Engine, EngineFiles]:
    """Load a model, preparing it first where that was not done yet (`on_progress` gets `openvino.prepare.Preparing`).

    Raises: UsageError, DoesNotFit, DiskFull, InvalidModelFile, EngineMissing, CapabilityMissing, EngineError.
    """
    if engine not in (None, *ENGINES):
        raise UsageError(f"unknown engine {engine!r}", f"one of {', '.join(ENGINES)}")
    if engine == "llamacpp":
        return _open_llamacpp(local, precision)
    if not is_installed("openvino"):
        if engine is None and local.format == "gguf" and is_installed("llamacpp"):
            return _open_llamacpp(local, precision)
        raise EngineMissing("OpenVINO GenAI is not installed", "pip install openvino-genai")
    try:
        return _open_openvino(store, local, precision, on_progress)
    except CapabilityMissing as error:
        if engine is not None or local.format != "gguf":
            raise
        if not is_installed("llamacpp"):
            raise CapabilityMissing(str(error), "pip install 'bethink[llamacpp]' for the engine that can") from None
        return _open_llamacpp(local, precision)


def is_installed(engine: str) -> bool:
    """Whether the package that an engine drives can be imported."""
    return importlib.util.find_spec({"openvino": "openvino_genai", "llamacpp": "xllamacpp"}[engine]) is not None


def _open_openvino(
    store: Store, local: LocalModel, precision: str | None, on_progress: Callable[[object], None] | None
) -> tuple[Engine, EngineFiles]:
    from bethink.engine.openvino.loading import load_openvino

    if local.format == "openvino":
        if precision is not None:
            raise UsageError("a model published for OpenVINO has its precision already", "leave --precision away")
        folder, label = local.path, "own"
    else:
        from bethink.engine.openvino.prepare import prepare
        from bethink.engine.openvino.recipes import DEFAULT_PRECISION

        wanted = local.entry.default_precision if local.entry else None
        label = precision or wanted or DEFAULT_PRECISION
        folder = prepare(local, store.prepared_dir(local.sha256, label), label, on_progress)
    opened = load_openvino(folder, local.sha256, on_progress)
    try:
        files = replace(files_of_folder(folder), form=label)
        opened.wait_until_loaded()
    except BaseException:
        opened.close()
        raise
    return opened, files


def _open_llamacpp(local: LocalModel, precision: str | None) -> tuple[Engine, EngineFiles]:
    from bethink.engine.llamacpp.engine import LlamaCppEngine

    if local.format != "gguf":
        raise UsageError("llama.cpp reads GGUF files only", "leave --engine away")
    if precision is not None:
        raise UsageError("llama.cpp runs a file in the precision it has", "leave --precision away")
    opened = LlamaCppEngine(local.path, local.sha256)
    try:
        files = files_of_gguf(local.path)
        opened.wait_until_loaded()
    except BaseException:
        opened.close()
        raise
    return opened, files
