"""What every test may use: the event loop that anyio runs tests on, and a loop whose clock costs no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("busy", suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("busy")  # how long text takes to be made up says how busy the machine is


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of sleeping until a timer is due, moves the clock there."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout:
            self.now_s += timeout
        return ready


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


@pytest.fixture
def virtual_time() -> tuple[str, Mapping[str, Any]]:
    """Return it from a module's own `anyio_backend` fixture: `asyncio.sleep(20)` then takes no time at all.

    Only for tests without threads: the clock runs ahead of whatever happens outside the loop.
    """
    return "asyncio", {"loop_factory": _VirtualTimeLoop}
