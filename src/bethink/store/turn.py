"""Two processes that want the same bytes share one download."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from filelock import Timeout

from bethink.store.library import Store
from bethink.store.progress import Meter


@asynccontextmanager
async def turn(store: Store, key: str, folder: Path, meter: Meter) -> AsyncGenerator[None, None]:
    """Wait until nobody else downloads what `key` names into `folder`, and show how far they are meanwhile."""
    lock, is_first = store.lock(key), True
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            if is_first:
                meter.say("waiting", "another bethink is downloading it; waiting for that download")
            is_first = False
            meter.at("waiting", sum(f.stat().st_size for f in folder.glob("data")))
            await anyio.sleep(0.2)
    try:
        yield
    finally:
        lock.release()
