"""One sandbox for many requests, opened when the first of them needs it."""

from __future__ import annotations

import threading

from bethink.errors import SandboxMissing
from bethink.verify.sandbox.pool import Sandbox, open_sandbox


class SharedSandbox:
    """Hands out the sandbox of this machine, from any thread. It opens it once, and remembers when there is none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: Sandbox | None = None
        self._missing: SandboxMissing | None = None

    def get(self, *, unsafe_local: bool = False) -> Sandbox:
        """`unsafe_local` as in `open_sandbox`: one that was allowed is never given to who did not allow it.

        Raises: SandboxMissing.
        """
        with self._lock:
            if self._opened is not None and (unsafe_local or self._opened.is_isolated):
                return self._opened
            if self._missing is not None and not unsafe_local:
                raise self._missing
            try:
                self._opened = open_sandbox(unsafe_local=unsafe_local)
            except SandboxMissing as error:
                self._missing = error
                raise
            return self._opened

    def close(self) -> None:
        """It opens again when it is needed."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
