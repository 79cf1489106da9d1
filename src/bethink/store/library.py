"""`Store`: the models on this machine, by name and by content.

    home/blobs/sha256-<hex>                    a GGUF file, or a folder in OpenVINO's own format
    home/manifests/<name>.json                 which blob a name stands for, and where it came from
    home/prepared/<sha256, 16 digits>-<label>  what the engine reads fastest, made from a blob (by the engine, not here)
    home/calibrations/<sha256, 16 digits>-…    what was measured of a blob as an engine runs it (by `calibrate`)
    home/partial/<key>                         downloads that are not finished
    home/locks/<key>.lock

Owns looking up, listing and removing; never asks the network (`pull` does). A blob has its name only when its hash was
checked, so what is found here is what it claims to be.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from bethink.errors import InvalidModelFile, StoreError, UnknownModel
from bethink.store.catalogue import Catalogue, CatalogueEntry
from bethink.store.manifest import (
    Format,
    Manifest,
    manifest_path,
    read_manifest,
    read_manifests,
)
from bethink.store.reference import PathRef, parse_reference


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model whose bytes are here. `path` is a file (gguf) or a folder (openvino)."""

    name: str
    sha256: str
    path: Path
    format: Format
    family: str | None
    entry: CatalogueEntry | None
    source: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Prepared:
    """One prepared form of a model. `how` is the engine's record of how it was made (empty while it is being made)."""

    label: str
    path: Path
    size: int
    how: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Removed:
    """What `remove` did. `kept_for` are the other names that still use the same bytes."""

    name: str
    freed_bytes: int
    kept_for: tuple[str, ...]


class Store:
    """Cheap to make; creates nothing on disk until something is pulled."""

    def __init__(self, home: Path, catalogue: Catalogue | None = None) -> None:
        self.home = home
        self.catalogue = catalogue or Catalogue.load()
        self.blobs = home / "blobs"
        self.manifests = home / "manifests"
        self.partial = home / "partial"

    def canonical_name(self, name_or_ref: str) -> str:
        """The name under which a pull of `name_or_ref` is recorded."""
        if entry := self.catalogue.find(name_or_ref):
            return entry.name
        reference = parse_reference(name_or_ref)
        if isinstance(reference, PathRef):
            return reference.path.name.removesuffix(".gguf")
        return str(reference) if reference else name_or_ref

    def get(self, name_or_ref: str) -> LocalModel:
        """The pulled model of that name, reference or path. Never touches the network.

        Raises: UnknownModel, InvalidModelFile (its bytes are gone or were changed), StoreError.
        """
        name = self.canonical_name(name_or_ref)
        path, reference = manifest_path(self.manifests, name), parse_reference(name_or_ref)
        if path.exists():
            manifest = read_manifest(path)
            if not isinstance(reference, PathRef) or manifest.source == str(reference.path):
                return self._open(manifest)
        entry = None if reference else self.catalogue.get(name_or_ref)
        what = f"{name_or_ref} is known but not on this machine yet" if entry else f"{name_or_ref} was not pulled yet"
        raise UnknownModel(what, f"`bethink pull {name_or_ref}` fetches it")

    def list(self) -> tuple[LocalModel, ...]:
        """All pulled models, by name. Raises: StoreError for a record that cannot be read."""
        manifests = sorted(read_manifests(self.manifests), key=lambda manifest: manifest.name)
        return tuple(self._local(manifest) for manifest in manifests)

    def blob_path(self, sha256: str) -> Path:
        return self.blobs / f"sha256-{sha256}"

    def prepared_dir(self, sha256: str, label: str) -> Path:
        """Where the engine keeps what it made of the blob `sha256`, such as `int8`."""
        return self.home / "prepared" / f"{sha256[:16]}-{label}"

    def calibration_dir(self, sha256: str, engine: str, form: str) -> Path:
        """What was measured of the blob `sha256` as this engine runs it in this form (`int8`, …)."""
        return self.home / "calibrations" / f"{sha256[:16]}-{engine}-{form}"

    def calibration_dirs(self, sha256: str) -> tuple[Path, ...]:
        """All of a blob that are there."""
        return tuple(sorted((self.home / "calibrations").glob(f"{sha256[:16]}-*")))

    def prepared(self, sha256: str) -> tuple[Prepared, ...]:
        """Every prepared form of a blob that is on this machine."""
        found = sorted((self.home / "prepared").glob(f"{sha256[:16]}-*"))
        return tuple(_prepared(path) for path in found if path.is_dir() and not path.name.endswith(".part"))

    def require_home(self) -> None:
        """Raises: StoreError: nothing can be kept there."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            if not os.access(self.home, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise StoreError(
                f"models cannot be kept in {self.home}: {error.strerror}",
                "set BETHINK_HOME to a folder that you may write to",
            ) from error

    def lock(self, key: str) -> FileLock:
        """Guards everything that one key names; the system frees it when its holder dies."""
        folder = self.home / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{key}.lock")

    def remove(self, name_or_ref: str) -> Removed:
        """Forget a name and free what no other name uses: its blob, what was prepared from it and measured of it, an
        unfinished download.

        Raises: UnknownModel, StoreError (it is being pulled now).
        """
        name = self.canonical_name(name_or_ref)
        path = manifest_path(self.manifests, name)
        if not path.exists():
            return self._remove_partial(name_or_ref, name)
        try:
            sha256 = read_manifest(path).sha256
        except StoreError:
            path.unlink()
            return Removed(name, 0, ())
        with self._held(sha256, name):
            path.unlink(missing_ok=True)
            others = tuple(m.name for m in read_manifests(self.manifests) if m.sha256 == sha256)
            if others:
                return Removed(name, 0, others)
            prepared = (self.home / "prepared").glob(f"{sha256[:16]}-*")
            doomed = [self.blob_path(sha256), *prepared, *self.calibration_dirs(sha256)]
            freed = sum(size_of(place) for place in doomed)
            for place in doomed:
                _delete(place)
        return Removed(name, freed, ())

    def holds(self, name_or_ref: str) -> bool:
        """Whether there is something to remove under that name: a model, or an unfinished download."""
        name = self.canonical_name(name_or_ref)
        return manifest_path(self.manifests, name).exists() or self._partial_note(name) is not None

    def _partial_note(self, name: str) -> Path | None:
        return next((n for n in sorted(self.partial.glob("*/name")) if n.read_text(encoding="utf-8") == name), None)

    def _remove_partial(self, asked: str, name: str) -> Removed:
        if (note := self._partial_note(name)) is not None:
            with self._held(note.parent.name, name):
                freed = size_of(note.parent)
                _delete(note.parent)
            return Removed(name, freed, ())
        raise UnknownModel(f"{asked} is not on this machine", "`bethink models list` shows what is")

    @contextmanager
    def _held(self, key: str, name: str) -> Generator[None, None, None]:
        try:
            with self.lock(key).acquire(timeout=0):
                yield
        except Timeout:
            raise StoreError(
                f"{name} is being pulled by another process", "wait until it is done, then try again"
            ) from None

    def _open(self, manifest: Manifest) -> LocalModel:
        local = self._local(manifest)
        again = f"`bethink models rm {manifest.name}`, then `bethink pull {manifest.name}`"
        try:
            status = local.path.stat()
        except FileNotFoundError:
            raise InvalidModelFile(f"the bytes of {manifest.name} are missing: {local.path}", again) from None
        if local.format == "gguf" and status.st_size != manifest.size:
            raise InvalidModelFile(
                f"{local.path} has {status.st_size:,} bytes, not the {manifest.size:,} it was pulled with", again
            )
        if manifest.file_time_ns is not None and status.st_mtime_ns != manifest.file_time_ns:
            raise InvalidModelFile(f"{manifest.source} was changed after it was pulled", again)
        return local

    def _local(self, manifest: Manifest) -> LocalModel:
        return LocalModel(
            name=manifest.name,
            sha256=manifest.sha256,
            path=self.blob_path(manifest.sha256),
            format=manifest.format,
            family=manifest.family,
            entry=self.catalogue.find(manifest.name),
            source=manifest.source,
            manifest=manifest,
        )


def size_of(path: Path) -> int:
    """Bytes of a file or of everything in a folder; 0 where there is nothing. A file with other hard links counts
    nothing, because deleting it frees nothing.
    """
    try:
        if path.is_dir():
            return sum(size_of(child) for child in path.iterdir())
        status = path.stat()
        return status.st_size if status.st_nlink == 1 else 0
    except FileNotFoundError:
        return 0


def _prepared(path: Path) -> Prepared:
    try:
        how = cast("dict[str, Any]", json.loads((path / "how.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        how = {}
    return Prepared(path.name[17:], path, size_of(path), how)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
