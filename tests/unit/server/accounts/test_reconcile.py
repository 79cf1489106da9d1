"""The ledger and the traces are held against each other to the token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bethink.server.accounts import LOCAL, Accounts, UsageLine
from bethink.trace import Trace
from bethink.types import Usage

Line = Callable[..., UsageLine]
pytestmark = pytest.mark.anyio
TRACED = Usage(prompt_tokens=100, thinking_tokens=40, answer_tokens=10)


def keep(folder: Path, trace_id: str, usage: Usage) -> None:
    result = {"usage": asdict(usage)}
    Trace(trace_id, "2026-11-25", {}, {}, "scripted", "qwen3", [], "", result=result).save(folder)


async def settle(accounts: Accounts, line: UsageLine, trace_id: str) -> None:
    (await accounts.admit(LOCAL, "m", 1)).settle(replace(line, trace_id=trace_id))


async def test_rows_that_say_what_their_trace_says_are_equal(accounts: Accounts, line: Line, tmp_path: Path) -> None:
    keep(tmp_path, "t0", TRACED)
    keep(tmp_path, "t1", replace(TRACED, prompt_tokens=200, thinking_tokens=80, answer_tokens=20))
    await settle(accounts, line("one"), "t0")
    for name in ("two", "three"):  # two answers of one question
        await settle(accounts, line(name), "t1")
    await settle(accounts, line("untraced"), "")
    found = accounts.reconcile(tmp_path)
    assert (found.n_rows, found.n_equal, found.n_untraced, found.missing, found.differences) == (4, 3, 1, (), ())
    assert found.is_exact


async def test_a_token_too_many_is_found(accounts: Accounts, line: Line, tmp_path: Path) -> None:
    keep(tmp_path, "t0", replace(TRACED, thinking_tokens=41, probe_tokens=2))
    await settle(accounts, line("r"), "t0")
    found = accounts.reconcile(tmp_path)
    assert [(d.request_ids, d.count, d.ledger, d.trace) for d in found.differences] == [
        (("r",), "thinking_tokens", 40, 41),
        (("r",), "probe_tokens", 0, 2),
    ]
    assert not found.is_exact


async def test_traces_that_are_gone_broken_or_elsewhere_are_missing(
    accounts: Accounts, line: Line, tmp_path: Path
) -> None:
    folder = tmp_path / "traces"
    keep(tmp_path, "outside", TRACED)
    folder.mkdir()
    (folder / "broken.json").write_text("{", encoding="utf-8")
    Trace("unfinished", "2026-11-25", {}, {}, "scripted", "qwen3", [], "").save(folder)
    names = ["gone", "broken", "unfinished", "../outside"]
    for name in names:
        await settle(accounts, line(f"r-{name}"), name)
    found = accounts.reconcile(folder)
    assert found.missing == tuple(f"r-{name}" for name in names)
    assert found.n_equal == 0
