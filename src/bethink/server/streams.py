"""What long streams need: a sign of life when there is nothing to say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


async def beating(items: AsyncGenerator[T], beat_s: float) -> AsyncGenerator[T | None]:
    """The same items, and None whenever none came for `beat_s`. Closes `items` when it is closed."""
    pending = asyncio.ensure_future(anext(items, None))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=beat_s)
            if not done:
                yield None
                continue
            item = pending.result()
            if item is None:
                return
            yield item
            pending = asyncio.ensure_future(anext(items, None))
    finally:
        pending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pending
        await items.aclose()
