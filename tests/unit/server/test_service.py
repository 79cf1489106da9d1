"""Requests end, are settled and leave in the right words: finished, stopped, failed, refused, or unheard."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bethink.engine.scripted import Context, Fault, Line
from bethink.server.accounts import Accounts
from bethink.server.app import Surroundings
from bethink.server.door.keys import Keys
from bethink.server.limits import Limits
from bethink.server.running.pool import ModelBroken
from tests.unit.server.scripted import THOUGHT, Rig, asked, in_process, on_a_socket, rig

pytestmark = pytest.mark.anyio
ASK = "/v1/chat/completions"


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with Accounts.open(None, tmp_path) as opened:
        yield opened


def endless(_: Context) -> Line:
    return Line("Let me think.", loop=" And then I think of something else, number by number.")


def deltas(text: str) -> list[dict[str, Any]]:
    blocks = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(block) for block in blocks if block != "[DONE]"]


async def until(made: Rig, n_running: int) -> None:
    async with asyncio.timeout(5):
        while made.service.n_running != n_running:
            await asyncio.sleep(0.005)


async def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    async with in_process(rig()) as client:
        body = asked(seed=3, bethink={"paths": 1})
        whole = (await client.post(ASK, json=body)).json()["choices"][0]["message"]
        streamed = deltas((await client.post(ASK, json=body | {"stream": True})).text)
    told = [event["choices"][0]["delta"] for event in streamed if event["choices"]]
    assert "".join(d.get("content") or "" for d in told) == whole["content"]
    assert "".join(d.get("reasoning_content") or "" for d in told) == whole["reasoning_content"] == THOUGHT


async def test_a_client_that_goes_away_ends_its_run_and_is_settled(accounts: Accounts) -> None:
    made = rig(endless, accounts=accounts, token_delay_s=0.001)
    async with on_a_socket(made, Surroundings(keys=Keys(accounts))) as listening, httpx.AsyncClient() as client:
        async with client.stream("POST", listening.url + ASK, json=asked(stream=True)) as response:
            await anext(response.aiter_bytes())
        await until(made, 0)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(listening.url + ASK, json=asked(), timeout=0.4)
        await until(made, 0)
        assert made.engine.n_running == 0
        async with asyncio.timeout(5):
            while len(made.records) < 2:
                await asyncio.sleep(0.01)
    rows = [*accounts.rows()]
    assert [row.status for row in rows] == ["cancelled", "cancelled"]
    assert all(row.thinking_tokens + row.answer_tokens + row.discarded_tokens > 0 for row in rows)
    assert [record.outcome for record in made.records] == ["cancelled", "cancelled"]


async def test_a_request_can_be_told_to_answer_now_and_to_stop() -> None:
    made = rig(endless, token_delay_s=0.001)
    async with on_a_socket(made) as listening, httpx.AsyncClient(base_url=listening.url) as client:
        for action, closed_by in (("answer_now", "user"), ("stop", "user")):
            async with client.stream("POST", ASK, json=asked(stream=True, bethink={"paths": 1})) as response:
                request_id = response.headers["x-request-id"]
                done = await client.post(f"/v1/requests/{request_id}/{action}")
                assert done.json() == {"id": request_id, "action": action}
                text = "".join([piece async for piece in response.aiter_text()])
            last = [event for event in deltas(text) if event["choices"] and "bethink" in event["choices"][0]][-1]
            assert last["choices"][0]["bethink"]["closed_by"] == closed_by
            assert (await client.post(f"/v1/requests/{request_id}/{action}")).status_code == 404


async def test_an_engine_that_dies_is_an_error_before_and_within_a_stream_and_is_counted(accounts: Accounts) -> None:
    faults = (Fault("dies"), Fault("dies"), Fault("dies", after=5), Fault("dies", after=5))
    made = rig(accounts=accounts, faults=faults)
    one: dict[str, Any] = {"bethink": {"paths": 1}}
    async with in_process(made, Surroundings(keys=Keys(accounts))) as client:
        assert (await client.post(ASK, json=asked(**one))).status_code == 500
        assert '"error"' in (await client.post(ASK, json=asked(stream=True, **one))).text
        response = await client.post(ASK, json=asked(stream=True, **one))
        assert response.status_code == 200
        assert "data: [DONE]" not in response.text
        assert '"error"' in response.text
    assert made.faults == []
    rows = [*accounts.rows()]
    assert {row.status for row in rows} == {"failed:engine"}
    assert [row.discarded_tokens for row in rows] == [0, 0, 5]


async def test_a_model_whose_engine_is_gone_says_when_it_is_tried_again() -> None:
    made = rig(faults=(Fault("kills_engine"),))
    async with in_process(made) as client:
        assert (await client.post(ASK, json=asked(bethink={"paths": 1}))).status_code == 503
        response = await client.post(ASK, json=asked())
    assert response.status_code == 503
    assert response.json()["error"]["code"] == ModelBroken.code
    assert int(response.headers["retry-after"]) <= 30


async def test_a_fault_of_ours_is_an_error_with_the_requests_id_and_nothing_of_its_cause() -> None:
    def broken(_: Context) -> Line:
        raise ZeroDivisionError("/home/operator/secret: my prompt")

    made = rig(broken)
    async with in_process(made) as client:
        whole = await client.post(ASK, json=asked(bethink={"paths": 1}))
        stream = await client.post(ASK, json=asked(stream=True, bethink={"paths": 1}))
    assert whole.status_code == 500
    assert whole.json()["error"]["code"] == "internal"
    assert whole.headers["x-request-id"] in whole.json()["error"]["message"]
    assert '"internal"' in stream.text
    for text in (whole.text, stream.text):
        assert "secret" not in text
        assert "ZeroDivision" not in text
    assert [type(fault) for fault in made.faults] == [ZeroDivisionError, ZeroDivisionError]


async def test_requests_take_turns_and_whoever_finds_the_queue_full_is_told_to_come_back() -> None:
    made = rig(parallel=2, limits=Limits(waiting=3), token_delay_s=0.003)
    async with in_process(made) as client:
        responses = await asyncio.gather(*(client.post(ASK, json=asked(bethink={"paths": 1})) for _ in range(8)))
        n_running = [queue.n_running for queue in made.service.admission.queues.values()]
    assert sorted(response.status_code for response in responses) == [200] * 5 + [503] * 3
    assert n_running == [0]
    refused = next(response for response in responses if response.status_code == 503)
    assert refused.json()["error"]["code"] == "overloaded"
    assert int(refused.headers["retry-after"]) >= 1


async def test_whoever_waits_too_long_for_a_turn_is_told_so() -> None:
    made = rig(endless, parallel=1, limits=Limits(wait_s=0.1), token_delay_s=0.01)
    async with on_a_socket(made) as listening, httpx.AsyncClient(base_url=listening.url) as client:
        async with client.stream("POST", ASK, json=asked(stream=True)):
            response = await client.post(ASK, json=asked())
        assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
        await until(made, 0)


async def test_a_client_that_leaves_the_queue_takes_no_turn() -> None:
    made = rig(endless, parallel=1, token_delay_s=0.01)
    async with on_a_socket(made) as listening, httpx.AsyncClient(base_url=listening.url) as client:
        async with client.stream("POST", ASK, json=asked(stream=True)):
            with pytest.raises(httpx.ReadTimeout):
                await client.post(ASK, json=asked(), timeout=0.2)
            await until(made, 1)
        await until(made, 0)
    assert len({start.text for start in made.engine.starts}) == 1


async def test_the_time_in_the_queue_counts_against_the_deadline() -> None:
    made = rig(endless, parallel=1, token_delay_s=0.01)
    async with in_process(made) as client:
        body = asked(bethink={"paths": 1, "within_s": 0.6})
        both = await asyncio.gather(*(client.post(ASK, json=body) for _ in range(2)))
    totals = [response.json()["choices"][0]["bethink"]["timing"]["total_s"] for response in both]
    assert max(totals) < 2 * 0.6
    assert [record.total_s < 1.4 for record in made.records] == [True, True]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", ASK, 405),
        ("PATCH", "/v1/models", 405),
        ("POST", "/healthz", 405),
        ("POST", "/v1/requests/chatcmpl-nope/stop", 404),
        ("POST", "/v1/requests/x/y/z", 404),
        ("GET", "/%0d%0aset-cookie:x", 404),
    ],
)
async def test_paths_and_methods_that_are_not_there_are_errors_in_json(method: str, path: str, status: int) -> None:
    async with in_process(rig()) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["message"]
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "n": 1e999}',
        b'{"messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 5000 + b"}",
        b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 99999999999999999999}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
    ],
)
async def test_bodies_that_make_no_sense_are_refused_in_words(content: bytes) -> None:
    made = rig()
    async with in_process(made) as client:
        response = await client.post(ASK, content=content, headers={"content-type": "application/json"})
    assert 400 <= response.status_code < 500
    assert len(response.json()["error"]["message"]) < 500
    assert made.faults == []


async def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole() -> None:
    made = rig(limits=Limits(body_bytes=1 << 20))
    async with in_process(made) as client:
        response = await client.post(ASK, content=b" " * ((1 << 20) + 1), headers={"content-type": "application/json"})

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b" " * (1 << 16)

        chunked = await client.post(ASK, content=pieces(), headers={"content-type": "application/json"})
    assert (response.status_code, chunked.status_code) == (413, 413)
    assert response.json()["error"]["code"] == "body_too_large"


async def test_metrics_count_what_happened() -> None:
    made = rig()
    async with in_process(made) as client:
        usage = (await client.post(ASK, json=asked())).json()["usage"]
        await client.post(ASK, json={})
        text = (await client.get("/metrics")).text

    def value(name: str, labels: str) -> float:
        found = re.search(rf"^{name}\{{{labels}\}} ([0-9.e+]+)$", text, re.MULTILINE)
        assert found, (name, text)
        return float(found[1])

    model = 'model="scripted:1b"'
    assert value("bethink_requests_total", f'dialect="chat",{model},outcome="ok",status="200"') == 1
    assert value("bethink_requests_total", 'dialect="chat",model="",outcome="",status="400"') == 1
    assert value("bethink_tokens_total", f'kind="prompt",{model}') == usage["prompt_tokens"]
    assert value("bethink_first_token_seconds_count", model) == 1
    assert value("bethink_running", model) == 0
    assert value("bethink_model_loaded", f'engine="scripted",{model}') == 1


async def test_readiness_follows_models_and_the_end() -> None:
    made = rig()
    async with in_process(made) as client:
        assert (await client.get("/readyz")).status_code == 503
        await client.post(ASK, json=asked())
        assert (await client.get("/readyz")).status_code == 200
        made.service.stopping.next()
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200
        response = await client.post(ASK, json=asked())
    assert (response.status_code, response.json()["error"]["code"]) == (503, "stopping")
    assert response.headers["connection"] == "close"
    assert int(response.headers["retry-after"]) > 0
