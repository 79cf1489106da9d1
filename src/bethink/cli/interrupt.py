"""Ctrl-C as a message to a running request instead of an exception in the middle of it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Generator[None]:
    """Call `act` in the running event loop at each Ctrl-C; afterwards Ctrl-C is what it was before.

    Where the loop cannot handle signals (Windows), the process's own handler passes them on. Off the main thread no
    signal can be caught, and none is.
    """
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    is_ours = True
    try:
        loop.add_signal_handler(signal.SIGINT, act)
    except (NotImplementedError, RuntimeError):
        is_ours = False

        def pass_on(_signal: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(act)

        signal.signal(signal.SIGINT, pass_on)
    try:
        yield
    finally:
        if is_ours:
            loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
