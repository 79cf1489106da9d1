"""A server that is killed has lost no request that it had said to be finished."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bethink.server.accounts import Accounts
from tests.unit.server.scripted import THOUGHT, asked

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]


@contextmanager
def serving(home: Path, token_delay_s: float = 0.001) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A server process and its URL."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("serving_process.py")), str(home), "0", str(token_delay_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = process.stdout.readline().strip()
        assert url, process.stderr.read()
        yield process, url
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("moment", range(3))
async def test_a_kill_loses_no_finished_request(tmp_path: Path, moment: int) -> None:
    finished: dict[str, int] = {}
    with serving(tmp_path) as (process, url):

        async def ask(client: httpx.AsyncClient) -> None:
            while True:
                told = (await client.post(f"{url}/v1/chat/completions", json=asked(bethink={"paths": 1}))).json()
                finished[told["id"]] = told["usage"]["total_tokens"]

        async with httpx.AsyncClient() as client:
            asking = [asyncio.create_task(ask(client)) for _ in range(8)]
            while len(finished) < 20 + 7 * moment:
                await asyncio.sleep(0.005)
            await asyncio.sleep(random.Random(moment).random() / 20)
            process.send_signal(signal.SIGKILL)
            await asyncio.wait(asking)
            assert all(isinstance(task.exception(), httpx.HTTPError) for task in asking)
    with Accounts.open(None, tmp_path) as accounts:
        rows = {row.request_id: row.input_tokens + row.thinking_tokens + row.answer_tokens for row in accounts.rows()}
    assert finished.items() <= rows.items()


async def test_a_signal_ends_the_process_well(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url):
        async with httpx.AsyncClient() as client:
            asking = asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=asked()))
            await asyncio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert (await asking).status_code == 200
        assert await asyncio.to_thread(process.wait, 10) == 0
        assert process.stderr is not None
        log = process.stderr.read()
    assert "outcome=ok" in log
    assert "6 * 7" not in log
    assert THOUGHT not in log
    assert "Traceback" not in log


async def test_a_second_signal_ends_the_process_at_once_and_is_no_fault(tmp_path: Path) -> None:
    with serving(tmp_path, token_delay_s=1.0) as (process, url):
        async with httpx.AsyncClient() as client:
            asking = asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=asked()))
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 10) == 130
            await asyncio.wait({asking})
        assert process.stderr is not None
        log = process.stderr.read()
    assert "1 request may go on for 30 s" in log
    assert "stopping at once: 1 request is cut off" in log
    assert "Traceback" not in log
    assert "Exception" not in log
