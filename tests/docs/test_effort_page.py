"""The table of efforts in the guide holds the numbers that the program uses."""

from __future__ import annotations

import re

import pytest

from bethink.thinking.effort import efforts
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "guide" / "effort.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.+?) \| (\d+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in efforts() if not name.startswith("auto")])
def test_an_effort_has_the_row_of_what_it_spends(name: str) -> None:
    budget, paths = efforts()[name].budget, efforts()[name].paths
    assert (name, "what the context holds" if budget < 0 else str(budget), str(paths)) in ROWS


def test_the_page_says_what_auto_spends_where_answers_can_be_compared() -> None:
    spend = efforts()["auto-comparable"]
    assert f"up to {spend.paths} paths of\n{spend.budget} tokens" in PAGE
    assert f"thinks up to {efforts()['auto-native'].budget} tokens" in PAGE
