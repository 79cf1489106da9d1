"""Models for the page: what there is, what fits, and how one is fetched and prepared as a job."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from bethink.config import Settings
from bethink.engine.opening import is_installed
from bethink.errors import UsageError
from bethink.machine import read_memory
from bethink.server.page.jobs import Cancelling, JobCancelled, Tell, Work
from bethink.store import LocalModel, Store
from bethink.store.fit import RESERVE, fitting
from bethink.store.progress import OnProgress, PullProgress
from bethink.store.pull import pull
from bethink.store.reference import HubRef, WheelRef, parse_reference

CONTEXT, PATHS = 4096, 8
"""What has to fit: as `bethink models fit` asks."""


def listed(store: Store, loaded: Collection[str]) -> list[dict[str, Any]]:
    """What is here, then what could be fetched. Blocks for a moment."""
    here = {local.name: local for local in store.list()}
    available = read_memory().available
    found = fitting(store.catalogue, available, context=CONTEXT, paths=PATHS, has_llamacpp=is_installed("llamacpp"))
    fits = {item.entry.name: item for item in found}
    names = [*here, *(name for name in store.catalogue.entries if name not in here)]
    rows: list[dict[str, Any]] = []
    for name in names:
        local, entry, fit = here.get(name), store.catalogue.entries.get(name), fits.get(name)
        is_loaded = name in loaded
        rows.append(
            {
                "name": name,
                "title": entry.about if entry else None,
                "is_pulled": local is not None,
                "is_loaded": is_loaded,
                "size_bytes": local.manifest.size if local else entry.approx_size if entry else None,
                "family": local.family if local else entry.family if entry else None,
                "fits": is_loaded or fit is None or fit.engine is not None,
                "needs_bytes": fit.footprint.total if fit else None,
                "available_bytes": int(available * (1 - RESERVE)),
                "licence": (local.manifest.licence if local else None) or (entry.licence if entry else None),
                "context_length": entry.context_length if entry else None,
            }
        )
    return rows


def refuse_names(store: Store, name: str) -> None:
    """A page fetches what has a name or stands on a hub or an index; a path would be one of the server's own files.

    Raises: UsageError, UnknownModel.
    """
    if store.catalogue.find(name) is None:
        reference = parse_reference(name)
        if reference is None:
            store.catalogue.get(name)
        elif not isinstance(reference, HubRef | WheelRef):
            raise UsageError("files of the server cannot be named here", "`bethink pull FILE` takes them in")


def fetching(settings: Settings, name: str) -> Work:
    """Fetch and prepare it. The next question then finds it ready."""

    def work(tell: Tell, cancelling: Cancelling) -> str:
        store = Store(settings.home)

        def report(progress: PullProgress) -> None:
            told = asdict(progress)
            del told["name"], told["source"]
            tell(told)

        local = _pulled(store, name, settings, report, cancelling)
        cancelling.check()
        _prepare(store, local, tell)
        return local.name

    return work


def _pulled(store: Store, name: str, settings: Settings, report: OnProgress, cancelling: Cancelling) -> LocalModel:
    """In an event loop of its own, so that checking gigabytes holds up no request."""

    async def fetched() -> LocalModel:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        with cancelling.calls(lambda: loop.call_soon_threadsafe(task.cancel)):
            return await pull(store, name, report, settings)

    try:
        return asyncio.run(fetched())
    except asyncio.CancelledError:
        raise JobCancelled("it was cancelled", "what came is kept; the next one goes on from there") from None


def _prepare(store: Store, local: LocalModel, tell: Tell) -> None:
    """For the OpenVINO engine; other engines read the file as it is."""
    if local.format != "gguf" or not is_installed("openvino"):
        return
    from bethink.engine.openvino.prepare import Preparing, prepare
    from bethink.engine.openvino.recipes import DEFAULT_PRECISION

    def report(moment: Preparing) -> None:
        share = "" if moment.fraction is None else f", {moment.fraction:.0%}"
        tell({"stage": "preparing", "message": f"preparing: {moment.stage}{share}"})

    label = local.entry.default_precision if local.entry else DEFAULT_PRECISION
    prepare(local, store.prepared_dir(local.sha256, label), label, report)
