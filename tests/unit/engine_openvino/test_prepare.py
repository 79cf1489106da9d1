"""Prepared once, by a child process: whole or not at all, resumed, shared, and with its record."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from gguf import GGMLQuantizationType

from bethink.engine.files import files_of_folder
from bethink.engine.openvino import prepare as preparing
from bethink.engine.openvino.loading import shape_of_folder
from bethink.engine.openvino.prepare import Preparing, is_prepared, prepare
from bethink.errors import CapabilityMissing, DoesNotFit, UsageError
from bethink.machine import Memory
from bethink.store import LocalModel
from tests.unit.engine_openvino import tiny_models as tiny


@dataclass
class Pulled:
    """What a preparation reads of a pulled model."""

    path: Path
    name: str = "tiny"
    sha256: str = "ab" * 32


def pulled(folder: Path, architecture: str = "qwen2", **options: Any) -> LocalModel:
    tiny.write_gguf(tiny.tiny_model(architecture, **options), folder / "m.gguf", GGMLQuantizationType.Q8_0)
    return cast("LocalModel", Pulled(folder / "m.gguf"))


def test_a_model_becomes_a_folder_with_a_record(tmp_path: Path) -> None:
    seen: list[Preparing] = []
    out = prepare(pulled(tmp_path), tmp_path / "p" / "tiny-int8", "int8", seen.append)
    how = json.loads((out / "how.json").read_text())
    assert (how["source_sha256"], how["precision"], how["eos_ids"]) == ("ab" * 32, "int8", [259])
    assert {"openvino_model.bin", "openvino_tokenizer.xml", "tokenizer.json"} <= {path.name for path in out.iterdir()}
    assert shape_of_folder(out).n_vocab == tiny.N_VOCAB
    assert [p.stage for p in seen if p.stage != "weights"] == ["reading", "writing", "tokenizer"]
    fractions = [p.fraction for p in seen if p.stage == "weights" and p.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [path.name for path in out.parent.iterdir() if path.is_dir()] == ["tiny-int8"]


def test_its_tokenizer_and_template_come_along(tmp_path: Path) -> None:
    files = files_of_folder(prepare(pulled(tmp_path), tmp_path / "out", "int8"))
    assert files.tokenizer.encode("hi<|im_end|>") == [104, 105, 259]
    assert (files.eos_ids, files.model_name, "m.content" in files.template.source) == ((259,), "tiny", True)


def test_a_second_time_costs_nothing(tmp_path: Path) -> None:
    local, out = pulled(tmp_path), tmp_path / "out"
    prepare(local, out, "int8")
    before = (out / "how.json").stat().st_mtime_ns
    seen: list[Preparing] = []
    assert prepare(local, out, "int8", seen.append) == out
    assert (seen, (out / "how.json").stat().st_mtime_ns) == ([], before)


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    local, out = pulled(tmp_path), tmp_path / "out"
    seen: list[list[Preparing]] = [[], []]
    threads = [threading.Thread(target=prepare, args=(local, out, "int8", mine.append)) for mine in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_prepared(out)
    assert sum(any(p.stage == "writing" for p in mine) for mine in seen) == 1


def test_what_an_older_recipe_made_is_made_again(tmp_path: Path) -> None:
    local, out = pulled(tmp_path), tmp_path / "out"
    how = json.loads((prepare(local, out, "int8") / "how.json").read_text())
    (out / "how.json").write_text(json.dumps(how | {"recipe": how["recipe"] - 1}))
    (out / "openvino_model.bin").write_bytes(b"as it was written then")
    assert not is_prepared(out)
    prepare(local, out, "int8")
    assert is_prepared(out)
    assert (out / "openvino_model.bin").stat().st_size > 1000


def test_what_stands_without_its_record_is_not_trusted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "openvino_model.xml").write_text("half of it")
    assert "<net" in (prepare(pulled(tmp_path), out, "int8") / "openvino_model.xml").read_text()[:400]


def test_pieces_of_an_earlier_try_are_used(tmp_path: Path) -> None:
    local, out = pulled(tmp_path), tmp_path / "out"
    done = prepare(local, tmp_path / "first", "int8")
    work = out.with_name("out.part")
    work.mkdir()
    for name in ("openvino_model.xml", "openvino_model.bin"):
        (work / name).write_bytes((done / name).read_bytes())
    seen: list[str] = []
    prepare(local, out, "int8", lambda p: seen.append(p.stage))
    assert seen == ["reading", "tokenizer"]
    assert not work.exists()


def test_a_refusal_in_the_child_is_that_refusal(tmp_path: Path) -> None:
    with pytest.raises(CapabilityMissing, match="gemma2") as raised:
        prepare(pulled(tmp_path, "gemma2"), tmp_path / "out", "int8")
    assert "llamacpp" in raised.value.hint
    assert not (tmp_path / "out").exists()


def test_an_unknown_precision_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="int3"):
        prepare(cast("LocalModel", Pulled(tmp_path)), tmp_path / "out", "int3")


def test_mixed_reads_the_calibration_text_once(tmp_path: Path) -> None:
    seen: list[Preparing] = []
    local = pulled(tmp_path)
    out = prepare(local, tmp_path / "mixed", "mixed", seen.append)
    stages = list(dict.fromkeys(p.stage for p in seen))
    assert stages == ["reading", "weights", "calibrating", "writing", "tokenizer"]
    whole = prepare(local, tmp_path / "int8", "int8")
    assert (out / "openvino_model.bin").stat().st_size < (whole / "openvino_model.bin").stat().st_size


def test_too_little_memory_to_calibrate_names_the_precision_that_needs_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "read_memory", lambda: Memory(1 << 30, preparing.NEEDED_BYTES + 1))
    with pytest.raises(DoesNotFit) as raised:
        prepare(pulled(tmp_path), tmp_path / "out", "mixed")
    assert "--precision int8" in raised.value.hint
    assert is_prepared(prepare(pulled(tmp_path), tmp_path / "out", "int8"))
