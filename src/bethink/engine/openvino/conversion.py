"""The work of a preparation, in a process of its own: `python -m bethink.engine.openvino.conversion`.

Reads one JSON task from standard input and tells its progress as JSON lines: `["stage", name, fraction]`, at last
`["done", record]` or `["failed", code, why, hint]`. Everything it makes goes into the task's work folder, piece by
piece and each piece under its final name only when it is complete; the caller gives the folder its own name at the
end.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bethink.engine.files import words_of_gguf
from bethink.engine.openvino.recipes import Recipe, recipe_of
from bethink.errors import BethinkError
from bethink.prompt import tokenizer_from_gguf
from bethink.store.gguf import GgufHeader, read_header

Tell = Callable[[str, float | None], None]


@dataclass(frozen=True, slots=True)
class Task:
    """Prepare `gguf` (whose hash is `sha256`) as `precision`, inside `work`."""

    gguf: str
    sha256: str
    precision: str
    work: str


def convert(task: Task, tell: Tell) -> dict[str, Any]:
    """Do it. Returns the record that becomes how.json. Raises: CapabilityMissing, InvalidModelFile."""
    started = time.monotonic()
    work, recipe = Path(task.work), recipe_of(task.precision)
    tell("reading", None)
    header = read_header(task.gguf)
    shape = _write_model(task, header, recipe, work, tell)
    tell("tokenizer", None)
    _write_tokenizer(Path(task.gguf), header, work)
    return {
        "source_sha256": task.sha256,
        "precision": task.precision,
        "recipe": asdict(recipe),
        "shape": shape,
        **words_of_gguf(header.metadata),
        "versions": {name: version(name) for name in ("bethink", "openvino", "openvino-genai", "gguf", "numpy")},
        "seconds": round(time.monotonic() - started, 1),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _write_model(task: Task, header: GgufHeader, recipe: Recipe, work: Path, tell: Tell) -> dict[str, Any]:
    import openvino as ov

    from bethink.engine.openvino.assembly import Assembly, calibrate, quantised_together
    from bethink.engine.openvino.network import plan_from_gguf

    plan = plan_from_gguf(header)
    if (work / "openvino_model.xml").exists():
        return asdict(plan.shape)
    pieces = work / "pieces"
    pieces.mkdir(exist_ok=True)
    if recipe.int4_suffixes:
        calibrate(Path(task.gguf), header, plan, pieces, tell)
    made = Assembly(Path(task.gguf), header, plan, pieces, recipe, tell)
    made.model.set_rt_info(str(quantised_together(header)), ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])
    tell("writing", None)
    ov.save_model(made.model, work / "part.xml", compress_to_fp16=False)
    del made
    (work / "part.bin").replace(work / "openvino_model.bin")
    (work / "part.xml").replace(work / "openvino_model.xml")
    shutil.rmtree(pieces)
    return asdict(plan.shape)


def _write_tokenizer(gguf: Path, header: GgufHeader, work: Path) -> None:
    """bethink's own tokenizer and template, and the form of the tokenizer that GenAI insists on."""
    tokenizer_from_gguf(header.metadata).save(work / "tokenizer.json")
    template: object = header.metadata.get("tokenizer.chat_template", "")
    (work / "chat_template.jinja").write_text(str(template), encoding="utf-8")
    if (work / "openvino_detokenizer.xml").exists():
        return
    import openvino_genai as genai

    folder = work / "vocabulary"
    folder.mkdir(exist_ok=True)
    bare = folder / "vocabulary.gguf"
    with gguf.open("rb") as source:
        head = source.read(header.data_offset)
    bare.write_bytes(head[:8] + (0).to_bytes(8, "little") + head[16:])  # the same file, said to hold no tensors
    genai.Tokenizer(bare, enable_save_ov_model=True)
    for made in sorted(folder.glob("openvino_*"), key=lambda path: path.name, reverse=True):
        made.replace(work / made.name)
    shutil.rmtree(folder)


def main() -> int:
    outbox = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to stderr

    def say(*message: object) -> None:
        outbox.write(json.dumps(message) + "\n")
        outbox.flush()

    task: Mapping[str, Any] = json.loads(sys.stdin.readline())
    try:
        record = convert(Task(**task), lambda stage, fraction: say("stage", stage, fraction))
    except BethinkError as error:
        say("failed", type(error).__name__, str(error), error.hint)
        return 1
    say("done", record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
