"""One sandbox for all tests that need one. Where there is none they are skipped with the reason, or fail when
`BETHINK_TEST_SANDBOX=required` (as CI sets it)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bethink.errors import SandboxMissing
from bethink.verify.sandbox import Sandbox, open_sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = open_sandbox()
    except SandboxMissing as error:
        if os.environ.get("BETHINK_TEST_SANDBOX") == "required":
            pytest.fail(f"a sandbox is required here: {error}")
        pytest.skip(f"no sandbox here: {error}")
    with opened:
        yield opened
