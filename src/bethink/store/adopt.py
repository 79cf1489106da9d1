"""Taking a model file or folder of the user's own into the store: hard-linked where the disk allows it, else copied.

Owns that what is adopted has a sound header and that its hash is of the bytes that the store then holds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread

from bethink.errors import InvalidModelFile, StoreError, UnknownModel
from bethink.store.assemble import Assembled, hash_file, hash_tree
from bethink.store.gguf import read_header
from bethink.store.growing import disk_full_as_error, require_space
from bethink.store.library import LocalModel, Store
from bethink.store.manifest import manifest_path, read_manifest
from bethink.store.offer import FOLDER_SUFFIXES, OPENVINO_MODEL
from bethink.store.progress import Meter
from bethink.store.record import record, settle
from bethink.store.shards import refuse_shard


async def adopt(store: Store, path: Path, meter: Meter) -> LocalModel:
    """Raises: UnknownModel (nothing there), InvalidModelFile, StoreError (its name is taken), DiskFull."""
    return await anyio.to_thread.run_sync(_adopt, store, path, meter)


def _adopt(store: Store, path: Path, meter: Meter) -> LocalModel:
    if not path.exists():
        raise UnknownModel(f"{path} does not exist", "check the path; `bethink models list --all` shows names instead")
    name = meter.now.name
    _require_free_name(store, name, path)
    meter.say("checking", f"checking {path}", str(path))
    key = f"adopt-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    folder = store.partial / key
    with store.lock(key), disk_full_as_error(store.home):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "name").write_text(name, encoding="utf-8")
        try:
            if path.is_dir():
                made = _draft_folder(path.resolve(), folder / "tree")
            else:
                made = _draft_file(
                    path.resolve(), folder / "data", lambda n: meter.at("checking", n, path.stat().st_size)
                )
            with store.lock(made.sha256):
                settle(store, made)
                local = record(store, name, made, source=str(path), hash_from="first use")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    meter.at("done", made.size, made.size)
    meter.say("done", f"{name} is here")
    return local


def _require_free_name(store: Store, name: str, path: Path) -> None:
    """A file's name must not take the place of another model's."""
    known = manifest_path(store.manifests, name)
    taken = known.exists() and read_manifest(known).source != str(path)
    if taken or store.catalogue.find(name):
        raise StoreError(
            f"another model is called {name} already",
            f"rename {path.name}" + (f", or `bethink models rm {name}`" if taken else ""),
        )


def _draft_file(path: Path, draft: Path, on_bytes: Callable[[int], None]) -> Assembled:
    refuse_shard(path.name, read_header(path))
    _link_or_copy(path, draft)
    return Assembled(draft, hash_file(draft, on_bytes), draft.stat().st_size, path.name)


def _draft_folder(path: Path, draft: Path) -> Assembled:
    if not (path / OPENVINO_MODEL).is_file():
        raise InvalidModelFile(
            f"{path} holds no {OPENVINO_MODEL}", "name a GGUF file, or a folder with a model in OpenVINO's own format"
        )
    draft.mkdir()
    for file in sorted(path.iterdir()):
        if file.is_file() and file.name.endswith(FOLDER_SUFFIXES):
            _link_or_copy(file.resolve(), draft / file.name)
    sha256, size = hash_tree(draft)
    return Assembled(draft, sha256, size, path.name, is_folder=True)


def _link_or_copy(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:  # another disk, or a file system without hard links
        require_space(to.parent, path.stat().st_size)
        shutil.copyfile(path, to)
        with to.open("rb+") as file:
            os.fsync(file.fileno())
