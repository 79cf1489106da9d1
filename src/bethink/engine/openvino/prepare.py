"""Prepare once: turn a pulled GGUF into what OpenVINO reads fastest, in a child process, and keep it.

Owns when a preparation may begin, who does it and when it counts. What always holds: a prepared folder has its name
only when everything in it is complete; two at once make it once; one that was killed is resumed; memory stays bounded
whatever the size of the model, because weights pass through files a few megabytes at a time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from bethink import errors
from bethink.engine.openvino.process import child_environment, ending
from bethink.engine.openvino.recipes import RECIPE_VERSION, Recipe, recipe_of
from bethink.errors import BethinkError, DiskFull, DoesNotFit, EngineError
from bethink.machine import read_memory
from bethink.store import LocalModel
from bethink.store.fit import REPACKED
from bethink.store.gguf import read_header
from bethink.store.shape import shape_from_gguf

NEEDED_BYTES = 900 << 20
"""Libraries, one chunk of a matrix in floats, and what saving holds; measured 0.76 GB at its peak for a 0.5B."""


@dataclass(frozen=True, slots=True)
class Preparing:
    """One moment of a preparation. `fraction` of the stage, where it can be told.

    Stages: `waiting` (another process prepares the same model), `reading`, `weights`, `calibrating`, `writing`,
    `tokenizer`, `tuning`.
    """

    name: str
    stage: str
    fraction: float | None = None


OnPreparing = Callable[[Preparing], None]
Tell = Callable[[str, float | None], None]


def prepare(local: LocalModel, out: Path, precision: str, on_progress: OnPreparing | None = None) -> Path:
    """Make `out` from `local`, unless it is there. Returns `out`.

    Raises: UsageError (unknown precision), CapabilityMissing (architecture, quantisation), DoesNotFit, DiskFull,
    EngineError.
    """
    recipe = recipe_of(precision)
    if is_prepared(out):
        return out
    tell = _teller(local.name, on_progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out.with_name(f"{out.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tell("waiting", None)
        lock.acquire()
    try:
        if not is_prepared(out):
            _prepare(local, out, precision, recipe, tell)
    finally:
        lock.release()
    return out


def is_prepared(out: Path) -> bool:
    """Whether `out` is complete, and made as it would be made today."""
    try:
        record: object = json.loads((out / "how.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and cast("dict[str, object]", record).get("recipe") == RECIPE_VERSION


def _prepare(local: LocalModel, out: Path, precision: str, recipe: Recipe, tell: Tell) -> None:
    if out.exists():
        shutil.rmtree(out)  # without its record it cannot be trusted, and by an older recipe it is not what is measured
    _refuse_what_does_not_fit(local, out, recipe)
    work = out.with_name(f"{out.name}.part")
    work.mkdir(exist_ok=True)
    task = {"gguf": str(local.path), "sha256": local.sha256, "precision": precision, "work": str(work)}
    record = _run(task, tell) | {"recipe": RECIPE_VERSION}
    (work / "how.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    work.rename(out)


def _refuse_what_does_not_fit(local: LocalModel, out: Path, recipe: Recipe) -> None:
    header = read_header(local.path)
    n_weights = header.n_parameters
    free, least = read_memory().available, NEEDED_BYTES
    if recipe.int4_suffixes:
        shape = shape_from_gguf(header)
        least += int(REPACKED * n_weights)  # the model runs once in int8, to see what its layers see
        least += 4 * shape.n_layers * shape.hidden_size**2  # and what they see is kept, as second moments
    if free < least:
        way_out = "`--precision int8` needs less" if recipe.int4_suffixes and free >= NEEDED_BYTES else ""
        raise DoesNotFit(
            f"preparing {local.name} needs {least >> 20} MB of memory; {free >> 20} MB are free",
            way_out or "close something, or use `--engine llamacpp`, which runs the file as it is",
        )
    needed = int(2.1 * n_weights * recipe.bits_per_weight / 8) + (64 << 20)  # the pieces and the whole, for a moment
    if recipe.int4_suffixes:
        needed += n_weights  # calibration reads int8 pieces of what becomes int4
    on_disk = shutil.disk_usage(out.parent).free
    if on_disk < needed:
        raise DiskFull(
            f"preparing {local.name} needs {needed >> 20} MB of disk for a while; {on_disk >> 20} MB are free",
            "`bethink models rm` frees what is not used, BETHINK_HOME moves the store",
        )


def _run(task: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Run the child to its end and return its record."""
    with tempfile.TemporaryFile() as stderr:
        command = [sys.executable, "-m", "bethink.engine.openvino.conversion"]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=child_environment(),
            encoding="utf-8",
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                child.stdin.write(json.dumps(task) + "\n")
                child.stdin.flush()
                for line in child.stdout:
                    match json.loads(line):
                        case ["stage", str(stage), fraction]:
                            tell(stage, fraction)
                        case ["done", record]:
                            return record
                        case ["failed", str(code), str(why), str(hint)]:
                            raise _error(code, why, hint)
                        case _:
                            pass
            except BaseException:
                child.kill()
                raise
        stderr.seek(0)
        said = stderr.read().decode(errors="replace").strip().splitlines()
    raise EngineError(
        f"the preparation ended with {ending(child.returncode)}{': ' + said[-1] if said else ''}",
        "run it again: it goes on where it stopped; `--engine llamacpp` needs no preparation",
    )


def _error(code: str, why: str, hint: str) -> BethinkError:
    kind: object = getattr(errors, code, None)
    if isinstance(kind, type) and issubclass(kind, BethinkError):
        return kind(why, hint)
    return EngineError(why, hint)


def _teller(name: str, on_progress: OnPreparing | None) -> Tell:
    def tell(stage: str, fraction: float | None) -> None:
        if on_progress is not None:
            on_progress(Preparing(name, stage, fraction))

    return tell
