"""The folder of a measurement: `run.json` says what was asked, `results.jsonl` has one line for each answer.

Owns both files and the lock on them. What always holds: lines are only appended, each whole; a line that a kill tore is
dropped when the folder is opened again; a folder holds one measurement, and another one's settings are refused with
what differs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from bethink.errors import UsageError

RESULTS, SETTINGS, SUMMARY, REPORT, LOCK = "results.jsonl", "run.json", "summary.json", "report.html", ".lock"
MAY_DIFFER = frozenset(("bethink", "command", "created", "engine_settings", "machine", "parallel"))
"""What may change between a run and its continuation; all else decides what is measured."""


@dataclass(frozen=True, slots=True)
class PathLine:
    """One chain of thought. `right` is None for unsure and for a path that was cancelled."""

    answer: str
    thinking: str
    extracted: str | None
    right: bool | None
    tokens: int
    thinking_tokens: int
    closed_by: str
    is_cancelled: bool = False
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One question asked in one way once. `tokens` are all sampled ones; `seconds` is the machine's time, shared
    fairly among what ran beside it, `latency_s` the clock's. `strict` and `lenient` are None for unsure, which counts
    as not right; `error` is why there is no answer; `traces` are the ids of the traces that were kept of it."""

    id: str
    index: int
    arm: str
    seed: int
    question: str
    gold: str | None
    answer: str = ""
    thinking: str = ""
    strict_extracted: str | None = None
    extracted: str | None = None
    strict: bool | None = False
    lenient: bool | None = False
    why: str = ""
    tokens: int = 0
    thinking_tokens: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0
    latency_s: float = 0.0
    closed_by: str = ""
    finish: str = ""
    agreement: float | None = None
    error: str | None = None
    traces: tuple[str, ...] = ()
    paths: tuple[PathLine, ...] = ()

    @property
    def key(self) -> tuple[str, str, int]:
        return self.id, self.arm, self.seed


def read_line(raw: Mapping[str, Any]) -> Line:
    """Raises: KeyError, TypeError: it is no line of results."""
    paths = tuple(PathLine(**p) for p in cast("Iterable[dict[str, Any]]", raw.get("paths", ())))
    traces = tuple(str(name) for name in raw.get("traces", ()))
    fields = {key: value for key, value in raw.items() if key not in ("paths", "traces")}
    return Line(**fields, traces=traces, paths=paths)


def read_results(folder: Path) -> list[Line]:
    """The lines of a folder, a torn last one left out; of the same question, arm and seed the first.

    Raises: UsageError: no results there, or a broken line that is not the last.
    """
    path = folder / RESULTS if folder.is_dir() else folder
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"there are no results in {folder}: {error.strerror}", "name the folder of an eval") from None
    found: dict[tuple[str, str, int], Line] = {}
    for number, text in enumerate(raw[: raw.rfind(b"\n") + 1].splitlines(), 1):
        try:
            line = read_line(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"line {number} of {path} is no result: {error}", "remove that line") from None
        found.setdefault(line.key, line)
    return list(found.values())


def read_settings(folder: Path) -> dict[str, Any]:
    """Raises: UsageError."""
    try:
        raw: object = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} is no folder of an eval: {error}", "name the folder given as --out") from None
    if not isinstance(raw, dict):
        raise UsageError(f"{folder / SETTINGS} is no object", "name the folder given as --out")
    return cast("dict[str, Any]", raw)


@dataclass(slots=True)
class ResultFolder:
    """An open folder: it may be written by one process at a time."""

    path: Path
    lines: list[Line] = field(default_factory=list[Line])
    _file: BufferedWriter | None = None
    _lock: FileLock | None = None

    @classmethod
    def open(cls, path: Path, settings: Mapping[str, Any]) -> ResultFolder:
        """Begin a measurement, or go on with the one that is there.

        Raises: UsageError: another process writes there, other settings, or no place to write.
        """
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            folder._lock = FileLock(path / LOCK)
            folder._lock.acquire(timeout=0)
            folder._begin(settings)
        except Timeout:
            raise UsageError(f"another process measures into {path}", "wait for it, or give another --out") from None
        except OSError as error:
            folder.close()
            raise UsageError(f"{path} cannot be written: {error.strerror}", "give another --out") from None
        except UsageError:
            folder.close()
            raise
        return folder

    def _begin(self, settings: Mapping[str, Any]) -> None:
        if (self.path / SETTINGS).exists():
            refuse_other(self.path, read_settings(self.path), settings)
        elif (self.path / RESULTS).exists():
            raise UsageError(f"{self.path} has results but no {SETTINGS}", "give another --out")
        else:
            write_whole(self.path / SETTINGS, json.dumps(settings, indent=1, ensure_ascii=False) + "\n")
        results = self.path / RESULTS
        if results.exists():
            _drop_torn(results)
            self.lines = read_results(self.path)
        self._file = results.open("ab")

    def append(self, line: Line) -> None:
        assert self._file is not None
        self._file.write(json.dumps(asdict(line), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        self._file.flush()
        self.lines.append(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def held(path: Path) -> Generator[None, None, None]:
    """Nobody measures into that folder meanwhile. Raises: UsageError: another process does."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path / LOCK).acquire(timeout=0):
            yield
    except Timeout:
        raise UsageError(f"another process measures into {path}", "wait for it, or end it") from None


def empty(path: Path) -> None:
    """Remove everything from a folder that is held but the lock itself, on which others may wait. Raises: OSError."""
    for child in path.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        elif child.name != LOCK:
            child.unlink()


def refuse_other(path: Path, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises: UsageError: saying what differs."""
    plain = cast("dict[str, Any]", json.loads(json.dumps(asked)))
    keys = sorted((there.keys() | plain.keys()) - MAY_DIFFER)
    differing = [
        f"{k} is {_shown(there.get(k))}, not {_shown(plain.get(k))}" for k in keys if there.get(k) != plain.get(k)
    ]
    if differing:
        raise UsageError(
            f"{path} holds another measurement: {'; '.join(differing)}", "give another --out, or the same settings"
        )


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _drop_torn(path: Path) -> None:
    raw = path.read_bytes()
    whole = raw.rfind(b"\n") + 1
    if whole < len(raw):
        os.truncate(path, whole)


def write_whole(path: Path, text: str) -> None:
    """A file that is there whole or as it was before."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8", errors="replace")
    beside.replace(path)
