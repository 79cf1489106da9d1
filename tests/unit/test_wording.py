from __future__ import annotations

import pytest

from bethink.wording import counted


@pytest.mark.parametrize(("n", "told"), [(0, "0 threads"), (1, "1 thread"), (2, "2 threads"), (1000, "1,000 threads")])
def test_one_thing_is_told_without_an_s(n: int, told: str) -> None:
    assert counted(n, "thread") == told
