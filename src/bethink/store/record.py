"""The last two steps of every pull: bytes get their name in the store, and a name gets its bytes."""

from __future__ import annotations

from datetime import UTC, datetime

from bethink.store.assemble import Assembled
from bethink.store.library import LocalModel, Store
from bethink.store.manifest import HashFrom, Manifest, sync_folder, write_manifest


def settle(store: Store, made: Assembled) -> None:
    """Move finished, checked bytes to where their hash says; nothing is done where they are already."""
    blob = store.blob_path(made.sha256)
    blob.parent.mkdir(parents=True, exist_ok=True)
    if not blob.exists():
        made.path.replace(blob)
        sync_folder(blob.parent)


def record(
    store: Store, name: str, made: Assembled, *, source: str, hash_from: HashFrom, licence: str | None = None
) -> LocalModel:
    """Write down that `name` stands for the bytes of `made`, which are in the store."""
    entry = store.catalogue.find(name)
    status = store.blob_path(made.sha256).stat()
    is_shared = not made.is_folder and status.st_nlink > 1
    manifest = Manifest(
        name=name,
        sha256=made.sha256,
        size=made.size,
        format="openvino" if made.is_folder else "gguf",
        source=source,
        file=made.file or (entry.file if entry and entry.file else name),
        hash_from=hash_from,
        pulled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        family=entry.family if entry else None,
        licence=entry.licence if entry else licence,
        file_time_ns=status.st_mtime_ns if is_shared else None,
    )
    write_manifest(store.manifests, manifest)
    return store.get(name)
