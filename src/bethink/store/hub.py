"""Finding a model on Hugging Face or ModelScope.

Owns the two hubs' protocols: the listing of a repository, the hash that the hub states for each large file, and the
address of the bytes. Chooses a file where the reference names none. Downloads nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast
from urllib.parse import quote

import httpx

from bethink.config import Settings
from bethink.errors import SourceUnreachable, UnknownModel
from bethink.store.fetch import RemoteFile, ask
from bethink.store.offer import FOLDER_SUFFIXES, OPENVINO_MODEL, FileOffer, FolderOffer, Offer, safe_name
from bethink.store.reference import HubRef
from bethink.store.shards import JOIN_SHARDS, is_shard

# The quantisation taken when a reference names no file: the first of these that is there.
PREFERRED = ("q4_k_m", "q4_k_s", "q5_k_m", "q4_0", "q5_k_s", "q6_k", "q8_0", "bf16", "f16")
MAX_PAGES = 20
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')


@dataclass(frozen=True, slots=True)
class _Listed:
    path: str
    size: int | None
    sha256: str | None


async def offer_of(client: httpx.AsyncClient, ref: HubRef, settings: Settings) -> Offer:
    """What the hub has under `ref`.

    Raises: SourceUnreachable; UnknownModel (no such repository or file, or several where one is meant).
    """
    headers = _headers(ref, settings)
    if ref.hub == "hf" and ref.file and not ref.is_pattern:
        return FileOffer(await _hf_file(client, ref, ref.file, settings))
    listing = await (_hf_listing if ref.hub == "hf" else _ms_listing)(client, ref, settings, headers)

    def remote(listed: _Listed) -> RemoteFile:
        url = _address(ref, listed.path, settings)
        return RemoteFile(url, safe_name(listed.path), listed.size, listed.sha256, headers)

    if ref.file is None and any(listed.path == OPENVINO_MODEL for listed in listing):
        return FolderOffer(tuple(remote(f) for f in listing if "/" not in f.path and f.path.endswith(FOLDER_SUFFIXES)))
    return FileOffer(remote(_choose(ref, listing)))


async def dataset_file(client: httpx.AsyncClient, ref: HubRef, settings: Settings) -> FileOffer:
    """The one file of a repository of data that `ref` names.

    Raises: SourceUnreachable; UnknownModel (no such repository or file, or none is named).
    """
    if ref.file is None or ref.is_pattern:
        raise UnknownModel(f"{ref} names no file", f"name one, as in {ref.hub}:{ref.repo}:test.jsonl")
    if ref.hub == "hf":
        return FileOffer(await _hf_file(client, ref, ref.file, settings))
    found = next((f for f in await _ms_listing(client, ref, settings, {}) if f.path == ref.file), None)
    if found is None:
        raise UnknownModel(f"{ref.place} has no file {ref.file}", "check its spelling")
    return FileOffer(RemoteFile(_address(ref, found.path, settings), safe_name(found.path), found.size, found.sha256))


def _headers(ref: HubRef, settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.hf_token}"} if ref.hub == "hf" and settings.hf_token else {}


def _address(ref: HubRef, path: str, settings: Settings) -> str:
    if ref.hub == "hf":
        repo = ref.repo if ref.kind == "models" else f"{ref.kind}/{ref.repo}"
        return f"{settings.hf_endpoint}/{repo}/resolve/{quote(ref.revision or 'main', safe='')}/{quote(path)}"
    revision = quote(ref.revision or "master", safe="")
    return (
        f"{settings.ms_endpoint}/api/v1/{ref.kind}/{ref.repo}/repo?Revision={revision}&FilePath={quote(path, safe='')}"
    )


async def _hf_file(client: httpx.AsyncClient, ref: HubRef, path: str, settings: Settings) -> RemoteFile:
    """Hugging Face states size and sha256 of a large file in the headers of its redirect to the bytes."""
    headers, url = _headers(ref, settings), _address(ref, path, settings)
    response = await ask(client, url, ref.place, method="HEAD", headers=headers, follow_redirects=False)
    for _ in range(3):  # a repository that was renamed answers with a relative redirect first
        location = response.headers.get("Location", "")
        if not response.is_redirect or "x-linked-etag" in response.headers or not location.startswith("/"):
            break
        url = str(response.url.join(location))
        response = await ask(client, url, ref.place, method="HEAD", headers=headers, follow_redirects=False)
    found = _SHA256.fullmatch(response.headers.get("x-linked-etag", ""))
    size = response.headers.get(
        "x-linked-size", "" if response.is_redirect else response.headers.get("Content-Length", "")
    )
    return RemoteFile(url, safe_name(path), int(size) if size.isdigit() else None, found[1] if found else None, headers)


async def _hf_listing(
    client: httpx.AsyncClient, ref: HubRef, settings: Settings, headers: dict[str, str]
) -> list[_Listed]:
    revision = quote(ref.revision or "main", safe="")
    url: str | None = f"{settings.hf_endpoint}/api/models/{ref.repo}/tree/{revision}?recursive=true"
    listing: list[_Listed] = []
    for _ in range(MAX_PAGES):
        response = await ask(client, url, ref.place, headers=headers)
        for item in _rows(response, ref):
            lfs = cast("dict[str, Any]", item.get("lfs") or {})
            if item.get("type") == "file":
                listing.append(_listed(item.get("path"), lfs.get("size", item.get("size")), lfs.get("oid")))
        url = response.links.get("next", {}).get("url")
        if not url:
            break
    return listing


async def _ms_listing(
    client: httpx.AsyncClient, ref: HubRef, settings: Settings, headers: dict[str, str]
) -> list[_Listed]:
    revision = quote(ref.revision or "master", safe="")
    listing = "files" if ref.kind == "models" else "tree"
    url = f"{settings.ms_endpoint}/api/v1/{ref.kind}/{ref.repo}/repo/{listing}?Revision={revision}&Recursive=true"
    url += "" if ref.kind == "models" else "&Root=/&PageNumber=1&PageSize=1000"
    response = await ask(client, url, ref.place, headers=headers)
    return [
        _listed(item.get("Path"), item.get("Size"), item.get("Sha256"))
        for item in _rows(response, ref)
        if item.get("Type") == "blob"
    ]


def _rows(response: httpx.Response, ref: HubRef) -> list[dict[str, Any]]:
    """The rows of a listing: Hugging Face sends a list, ModelScope wraps it as {Data: {Files: […]}}."""
    try:
        body: Any = response.json()
        rows = body["Data"]["Files"] if ref.hub == "ms" else body
        return [cast("dict[str, Any]", row) for row in cast("list[object]", rows or []) if isinstance(row, dict)]
    except (ValueError, TypeError, KeyError) as error:
        raise SourceUnreachable(f"{ref.place} answered with something that is no listing") from error


def _listed(path: object, size: object, sha256: object) -> _Listed:
    found = _SHA256.fullmatch(sha256) if isinstance(sha256, str) else None
    return _Listed(str(path), size if isinstance(size, int) else None, found[1] if found else None)


def _choose(ref: HubRef, listing: Sequence[_Listed]) -> _Listed:
    """The file that a pattern, a name or no name at all means."""
    models = [f for f in listing if f.path.lower().endswith(".gguf") and "mmproj" not in f.path.lower()]
    if ref.file is not None:
        wanted = ref.file.lower()
        models = [f for f in models if fnmatchcase(f.path.lower(), wanted)]
    whole = [f for f in models if not is_shard(f.path)]
    if models and not whole:
        others = [f.path for f in listing if f.path.lower().endswith(".gguf") and not is_shard(f.path)]
        raise UnknownModel(
            f"{ref} is cut into {len(models)} pieces there, which bethink does not join",
            (f"name one that is whole, as in {ref.hub}:{ref.repo}:{others[0]}, or " if others else "") + JOIN_SHARDS,
        )
    if len(whole) == 1:
        return whole[0]
    if ref.file is None:
        for quantisation in PREFERRED:
            for listed in whole:
                if listed.path.lower().endswith((f"{quantisation}.gguf", f"{quantisation}-imat.gguf")):
                    return listed
    names = sorted(f.path for f in (whole or [f for f in listing if f.path.lower().endswith(".gguf")]))
    if not names:
        raise UnknownModel(f"{ref.place} has no GGUF file and no model in OpenVINO's format", "name another repository")
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    what = "several files match" if whole else "no file matches"
    raise UnknownModel(f"{what} {ref}", f"name one of {shown}, as in {ref.hub}:{ref.repo}:{names[0]}")
