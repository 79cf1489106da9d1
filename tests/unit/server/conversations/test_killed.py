"""A server that is killed with -9 in the middle of an answer: the next one finishes it, and a reader sees it whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from bethink.server.accounts import Accounts
from tests.unit.server.conversations import serving_process
from tests.unit.server.conversations.conftest import Display
from tests.unit.server.conversations.serving_process import ANSWER, THOUGHT


@contextmanager
def serving(home: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    root = Path(__file__).parents[4]
    command = [sys.executable, "-m", serving_process.__name__, str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "the server did not start"
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def follow(url: str, node_id: str, display: Display, until_s: float) -> None:
    """Read events from where the display is, until the end, the time, or the death of the server."""
    headers = {"last-event-id": str(display.at)} if display.at else {}
    with (
        suppress(httpx.HTTPError),
        httpx.stream("GET", f"{url}/api/nodes/{node_id}/events", headers=headers, timeout=30) as response,
    ):
        number = 0
        for line in response.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                display.take(number, json.loads(line[6:]))
            if time.monotonic() > until_s:
                return


@pytest.mark.slow
@pytest.mark.parametrize("moments_s", [(0.0,), (0.4, 1.4)])
def test_an_answer_is_whole_whenever_its_server_is_killed(tmp_path: Path, moments_s: tuple[float, ...]) -> None:
    display, node_id, conversation = Display(), "", ""
    for moment_s in moments_s:
        with serving(tmp_path) as (process, url):
            if not node_id:
                conversation = httpx.post(f"{url}/api/conversations", json={}).json()["id"]
                body = {"content": "Count.", "settings": {"paths": 1, "seed": 7}}
                asked = httpx.post(f"{url}/api/conversations/{conversation}/ask", json=body)
                node_id = asked.json()["assistant"]["id"]
            follow(url, node_id, display, time.monotonic() + moment_s)
            process.send_signal(signal.SIGKILL)
    with serving(tmp_path) as (_, url):
        follow(url, node_id, display, time.monotonic() + 60)
        nodes = httpx.get(f"{url}/api/conversations/{conversation}").json()["nodes"]
    node = nodes[1]
    assert (node["status"], node["thinking"], node["content"]) == ("done", THOUGHT, ANSWER)
    assert (display.thinking[0], display.answer[0]) == (THOUGHT, ANSWER)
    assert node["result"]["resumed"]["times"] == len(moments_s)
    with Accounts.open(None, tmp_path) as accounts:
        (line,) = list(accounts.rows())
    assert line.thinking_tokens == node["result"]["usage"]["thinking_tokens"]


@pytest.mark.slow
def test_a_server_that_is_asked_to_stop_leaves_its_answers_to_the_next_at_once(tmp_path: Path) -> None:
    display = Display()
    with serving(tmp_path) as (process, url):
        conversation = httpx.post(f"{url}/api/conversations", json={}).json()["id"]
        body = {"content": "Count.", "settings": {"paths": 1, "seed": 7}}
        node_id = httpx.post(f"{url}/api/conversations/{conversation}/ask", json=body).json()["assistant"]["id"]
        follow(url, node_id, display, time.monotonic() + 0.6)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        assert time.monotonic() - began < 10
    shown = display.thinking[0]
    with serving(tmp_path) as (_, url):
        follow(url, node_id, display, time.monotonic() + 60)
    assert THOUGHT.startswith(shown)
    assert (display.thinking[0], display.answer[0]) == (THOUGHT, ANSWER)
