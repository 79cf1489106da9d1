"""The keyboard while something runs: Ctrl-C as a message to it instead of an exception in the middle of it, and keys
that are typed ahead without a trace on the screen."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
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


@contextmanager
def unseen_keys() -> Generator[None]:
    """What is typed meanwhile is kept for whoever reads next and not shown: an echo would end up within the lines that
    are drawn over.

    Nothing happens where there is no terminal on both sides (a pager at the end of a pipe has the keyboard), or in the
    background, where the system would stop whoever changes the terminal.
    """
    if sys.platform == "win32" or not _is_in_front():
        yield
        return
    import termios

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    termios.tcsetattr(keyboard, termios.TCSANOW, [*before[:3], before[3] & ~termios.ECHO, *before[4:]])
    try:
        yield
    finally:
        if _is_in_front():
            termios.tcsetattr(keyboard, termios.TCSANOW, before)


def _is_in_front() -> bool:
    """Whether this process may change the terminal that it reads from and writes to."""
    try:
        is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        return is_terminal and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # closed, or no terminal of ours
        return False
