"""Files of questions: which are known by name, which are here, and how they get here.

Owns `datasets.toml`, the records of what was fetched (`home/datasets/<name>.json`) and the order in which sources are
asked; bytes come and are kept as those of models are (`home/blobs`). What always holds: a file that a record names was
checked when it came, and is checked again whenever it is used; a name stands for the same bytes for ever, whichever
source serves them, until the user removes its record.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from bethink.config import Settings
from bethink.errors import BethinkError, HashMismatch, InvalidModelFile, SourceUnreachable, StoreError, UnknownModel
from bethink.store.assemble import Wanted, assemble, hash_file
from bethink.store.fetch import NobodyThere, RemoteFile, open_client
from bethink.store.hub import dataset_file
from bethink.store.library import Store
from bethink.store.manifest import HashFrom, manifest_path, write_json
from bethink.store.offer import FileOffer, safe_name
from bethink.store.progress import Meter, OnProgress
from bethink.store.record import settle
from bethink.store.reference import HubRef, parse_reference
from bethink.store.turn import turn

_ASK_ANOTHER = (SourceUnreachable, UnknownModel, HashMismatch, InvalidModelFile)


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One file of questions. `sources` are references to the same bytes, in the order to ask. `sha256` None: it is not
    known here, and what comes first is recorded."""

    name: str
    sources: tuple[str, ...]
    file: str
    licence: str = ""
    about: str = ""
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A file of questions that is here. `source` is the reference that served it; `hash_from` says who vouched for its
    hash when it came."""

    name: str
    path: Path
    sha256: str
    size: int
    source: str
    hash_from: HashFrom
    licence: str


@dataclass(frozen=True, slots=True)
class _Url:
    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def place(self) -> str:
        return urlsplit(self.url).hostname or self.url


def parse_datasets(text: str) -> dict[str, DatasetEntry]:
    """Raises: StoreError: unknown keys, a name twice, or a source that is no reference to a file."""
    found: dict[str, DatasetEntry] = {}
    known = {field.name for field in fields(DatasetEntry)}
    for raw in cast("list[dict[str, Any]]", tomllib.loads(text).get("dataset", [])):
        if stray := sorted(raw.keys() - known):
            raise StoreError(f"the catalogue of datasets has unknown keys: {', '.join(stray)}")
        sources = tuple(str(source) for source in raw.pop("sources"))
        entry = DatasetEntry(sources=sources, **raw)
        if entry.name in found:
            raise StoreError(f"the catalogue of datasets names {entry.name} twice")
        for source in entry.sources:
            _source(source)
        found[entry.name] = entry
    return found


@cache
def datasets() -> Mapping[str, DatasetEntry]:
    """Those that this version of bethink knows by name."""
    return parse_datasets(resources.files("bethink.store").joinpath("datasets.toml").read_text(encoding="utf-8"))


def is_reference(text: str) -> bool:
    """Whether `text` names a file on a hub."""
    return text.startswith(("hf:", "ms:"))


def find(store: Store, name: str) -> Dataset | None:
    """What is here under that name, by its record and size alone. Raises: StoreError: the record cannot be read."""
    path = _record_path(store, name)
    try:
        raw = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
        texts = {key: str(raw[key]) for key in ("name", "source", "licence")}
        sha256, hash_from = str(raw["sha256"]), cast("HashFrom", raw["hash_from"])
        if len(bytes.fromhex(sha256)) != 32 or hash_from not in _VOUCHED:
            raise ValueError(f"sha256 {sha256!r}, from {hash_from!r}")
        blob = store.blob_path(sha256)
        return Dataset(path=blob, sha256=sha256, size=int(raw["size"]), hash_from=hash_from, **texts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"the record {path} cannot be read: {error}", "remove it, then try again") from error


def is_here(store: Store, name: str) -> bool:
    found = find(store, name)
    return found is not None and found.path.is_file() and found.path.stat().st_size == found.size


async def fetch_dataset(
    store: Store,
    name: str,
    on_progress: OnProgress | None = None,
    settings: Settings | None = None,
    known: Mapping[str, DatasetEntry] | None = None,
) -> Dataset:
    """The file that `name` (of the catalogue, or a reference) stands for, downloaded if it is not here and whole.

    Raises: UnknownModel, SourceUnreachable (every source is named), HashMismatch, InvalidModelFile, DiskFull,
    StoreError.
    """
    meter = Meter(name, on_progress)
    entry = (datasets() if known is None else known).get(name) or _of_reference(name)
    before = find(store, name)
    if before is not None and entry.sha256 in (None, before.sha256):
        if before.path.is_file() and hash_file(before.path) == before.sha256:
            return before
        before.path.unlink(missing_ok=True)  # what was lost or changed is fetched anew, and must be the same
        entry = replace(entry, sha256=before.sha256, size=before.size)
    store.require_home()
    return await _Fetch(store, meter, settings or Settings.from_env(), entry, before).from_first()


def _of_reference(text: str) -> DatasetEntry:
    if not is_reference(text):
        raise UnknownModel(f"no file of questions is called {text!r}", "write hf:org/repo:file.jsonl, or give a file")
    source = _source(text)
    assert isinstance(source, HubRef)
    return DatasetEntry(text, (text,), source.file or "")


def _source(text: str) -> HubRef | _Url:
    if text.startswith(("https://", "http://")):
        return _Url(text)
    found = parse_reference(text) if is_reference(text) else None
    if not isinstance(found, HubRef) or found.file is None:
        raise UnknownModel(f"{text!r} names no file of questions", f"write {text[:3]}org/repo:file.jsonl")
    return replace(found, kind="datasets")


def _record_path(store: Store, name: str) -> Path:
    return manifest_path(store.home / "datasets", name)


class _Fetch:
    """One file on its way here. `before` is what was recorded of it at an earlier time."""

    def __init__(
        self, store: Store, meter: Meter, settings: Settings, entry: DatasetEntry, before: Dataset | None
    ) -> None:
        self.store, self.meter, self.settings, self.entry, self.before = store, meter, settings, entry, before

    async def from_first(self) -> Dataset:
        failures: list[BethinkError] = []
        silent: set[str] = set()
        sources = [_source(text) for text in self.entry.sources]
        async with open_client(self.settings) as client:
            for source in sources:
                host = source.hub if isinstance(source, HubRef) else source.place
                if host in silent:
                    continue
                self.meter.say("asking", f"asking {source.place}", str(source))
                try:
                    return await self._from(client, source)
                except _ASK_ANOTHER as error:
                    failures.append(error)
                    if isinstance(error, NobodyThere):
                        silent.add(host)
                    more = "; asking the next source" if source is not sources[-1] else ""
                    self.meter.say("unreachable", f"{error}{more}", str(source))
        raise self._none_served(failures)

    def _none_served(self, failures: list[BethinkError]) -> BethinkError:
        reasons = "; ".join(str(failure) for failure in failures)
        hint = f"get {self.entry.file} ({self.entry.sources[0]}) in another way and pass --data FILE"
        if any(isinstance(failure, HashMismatch) for failure in failures) and self.before is not None:
            hint += f"; or remove {_record_path(self.store, self.entry.name)} to take what there is now"
        kinds = (HashMismatch, InvalidModelFile, SourceUnreachable, UnknownModel)
        kind = next(kind for kind in kinds if any(isinstance(failure, kind) for failure in failures))
        return kind(f"the questions of {self.entry.name} could not be fetched: {reasons}", hint)

    async def _from(self, client: httpx.AsyncClient, source: HubRef | _Url) -> Dataset:
        if isinstance(source, HubRef):
            offer = await dataset_file(client, source, self.settings)
        else:
            offer = FileOffer(RemoteFile(source.url, safe_name(PurePosixPath(urlsplit(source.url).path).name)))
        stated = offer.file
        if self.entry.sha256 and stated.sha256 not in (None, self.entry.sha256):
            raise HashMismatch(f"{source.place} has another file: sha256 {stated.sha256}, not {self.entry.sha256}")
        sha256, size = self.entry.sha256 or stated.sha256, stated.size or self.entry.size
        key = sha256 or hashlib.sha256(f"datasets {source}".encode()).hexdigest()
        folder = self.store.partial / key
        async with turn(self.store, key, folder, self.meter):
            if (there := find(self.store, self.entry.name)) and there.path.is_file() and sha256 in (None, there.sha256):
                return there  # another process brought it meanwhile
            self.meter.say("downloading", f"downloading {self.entry.file} from {source.place}")
            made = await assemble(client, offer, Wanted(sha256, size, source.place), folder, self.meter)
            try:
                _refuse_no_questions(made.path, source.place)
            except InvalidModelFile:
                shutil.rmtree(folder)
                raise
            settle(self.store, made)
            shutil.rmtree(folder)
            return self._record(made.sha256, made.size, str(source), has_stated=stated.sha256 is not None)

    def _record(self, sha256: str, size: int, source: str, *, has_stated: bool) -> Dataset:
        entry, before = self.entry, self.before
        known: HashFrom = before.hash_from if before is not None and before.sha256 == sha256 else "catalogue"
        hash_from: HashFrom = known if entry.sha256 else "source" if has_stated else "first use"
        path = self.store.blob_path(sha256)
        found = Dataset(entry.name, path, sha256, size, source, hash_from, entry.licence)
        write_json(_record_path(self.store, entry.name), {k: v for k, v in asdict(found).items() if k != "path"})
        self.meter.at("done", size, size)
        self.meter.say("done", f"the questions of {entry.name} are here; their sha256 {_VOUCHED[hash_from]}")
        return found


_VOUCHED: dict[HashFrom, str] = {
    "catalogue": "is the one the catalogue states",
    "source": "is the one its source states, and is recorded now",
    "first use": "was stated by nobody, is recorded as first seen, and is what must come from now on",
}


def _refuse_no_questions(path: Path, place: str) -> None:
    """A page that says something else (a login, an error) is no file of questions. Raises: InvalidModelFile."""
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith((b"{", b"[", b"\x1f\x8b")):
        raise InvalidModelFile(f"{place} sent something that is no JSON lines: it begins with {start[:24]!r}")
