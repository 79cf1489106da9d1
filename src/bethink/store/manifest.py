"""One small JSON file per pulled model: which bytes a name stands for and where they came from.

Owns its format and that it is never half written (a temporary file, flushed, then renamed). A manifest that cannot be
read is an error that names it, never a model silently missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import quote, unquote

from bethink.errors import StoreError

Format = Literal["gguf", "openvino"]
# Who vouched for the hash: the shipped catalogue, the source's own metadata, or nobody (then it was recorded as first
# seen).
HashFrom = Literal["catalogue", "source", "first use"]

FORMATS: tuple[Format, ...] = ("gguf", "openvino")


@dataclass(frozen=True, slots=True)
class Manifest:
    """`source` is the reference that served. `pulled_at` is UTC, ISO 8601. `file_time_ns` is kept where a file of the
    user's is hard-linked, so that a later change to it is noticed.
    """

    name: str
    sha256: str
    size: int
    format: Format
    source: str
    file: str
    hash_from: HashFrom
    pulled_at: str
    family: str | None = None
    licence: str | None = None
    file_time_ns: int | None = None


def manifest_path(folder: Path, name: str) -> Path:
    """A name is percent-quoted so that every file system takes it."""
    return folder / f"{quote(name, safe='.-_')}.json"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_json(manifest_path(folder, manifest.name), asdict(manifest))


def read_manifest(path: Path) -> Manifest:
    """Raises: StoreError."""
    try:
        raw = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
        known = {field.name for field in fields(Manifest)}
        manifest = Manifest(**{key: value for key, value in raw.items() if key in known})
        if manifest.format not in FORMATS or len(bytes.fromhex(manifest.sha256)) != 32:
            raise ValueError(f"format {manifest.format!r}, sha256 {manifest.sha256!r}")
    except (ValueError, TypeError, AttributeError) as error:
        name = unquote(path.stem)
        raise StoreError(
            f"the record of {name} in the store cannot be read: {error}",
            f"`bethink models rm {name}`, then pull it again",
        ) from error
    return manifest


def read_manifests(folder: Path) -> Iterator[Manifest]:
    """All readable records; one that vanishes meanwhile is skipped. Raises: StoreError for one that cannot be read."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield read_manifest(path)
        except FileNotFoundError:
            continue


def write_json(path: Path, value: object) -> None:
    """Write whole or not at all, and still there after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut (POSIX; Windows needs and offers nothing)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
