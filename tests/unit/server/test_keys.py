"""Keys open what they should and nothing else, in the words of every dialect; what is used is in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bethink.server.accounts import Accounts, Limits
from bethink.server.accounts.values import Scope
from bethink.server.app import Surroundings
from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import split_thought
from bethink.server.conversations.titles import title_of
from bethink.server.door.guard import Doors
from bethink.server.door.keys import Keys
from bethink.server.running.estimating import Estimate
from bethink.server.wire.ollama.words import seconds_of
from bethink.thinking.effort import is_comparable
from bethink.types import Message, Request
from tests.unit.server.scripted import NAME, asked, in_process, on_a_socket, rig

pytestmark = pytest.mark.anyio
ASK = "/v1/chat/completions"
SCOPES = (("asking", frozenset[Scope]({"inference"})), ("administration", frozenset[Scope]({"admin"})))


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with Accounts.open(None, tmp_path) as opened:
        yield opened


def closed(accounts: Accounts) -> Surroundings:
    return Surroundings(keys=Keys(accounts, is_needed=True))


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_a_key_is_taken_under_the_name_that_each_dialect_uses(accounts: Accounts, header: str) -> None:
    secret = accounts.directory.create_key("app").secret
    shown = f"Bearer {secret}" if header == "authorization" else secret
    async with in_process(rig(accounts=accounts), closed(accounts)) as client:
        assert (await client.post(ASK, json=asked(), headers={header: shown})).status_code == 200


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer sk-nothing", "Basic eDp5", "Bearer bt-é", "Bearer " + "x" * 9000]
)
async def test_without_a_key_that_holds_nothing_is_answered(accounts: Accounts, given: str) -> None:
    made = rig(accounts=accounts)
    async with in_process(made, closed(accounts)) as client:
        headers = [(b"authorization", given.encode())] if given else []
        for method, path in (("POST", ASK), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/v1/nothing")):
            response = await client.request(method, path, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["error"]["code"] in ("key_missing", "unknown_key")
        for path in ("/healthz", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
    assert made.engine.starts == []


async def test_on_loopback_any_key_or_none_is_the_one_person_here_but_a_key_of_ours_is_honoured(
    accounts: Accounts,
) -> None:
    made = rig(accounts=accounts)
    secret = accounts.directory.create_key("app").secret
    around = Surroundings(keys=Keys(accounts))
    async with in_process(made, around) as client:
        for headers in ({}, {"authorization": "Bearer ollama"}, {"x-api-key": "EMPTY"}):
            assert (await client.post(ASK, json=asked(), headers=headers)).status_code == 200
        assert (await client.post(ASK, json=asked(), headers={"x-api-key": secret})).status_code == 200
        accounts.directory.revoke_key("app")
        assert (await client.post(ASK, json=asked(), headers={"x-api-key": secret})).status_code == 401
    assert [row.key for row in accounts.rows()] == ["", "", "", "app"]


@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for", "via"])
async def test_what_a_proxy_passed_on_needs_a_key_also_on_loopback(accounts: Accounts, name: str) -> None:
    secret = accounts.directory.create_key("app").secret
    async with in_process(rig(accounts=accounts), Surroundings(keys=Keys(accounts))) as client:
        client.headers[name] = "203.0.113.7"
        refused = await client.post(ASK, json=asked())
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "key_missing")
        assert (await client.post(ASK, json=asked(), headers={"x-api-key": secret})).status_code == 200
        assert (await client.get("/healthz")).status_code == 200


async def test_limits_are_three_different_errors_that_say_when_to_come_back(accounts: Accounts) -> None:
    for name, limits in (
        ("slow", Limits(requests_per_minute=1)),
        ("narrow", Limits(concurrency=1)),
        ("poor", Limits(tokens_per_month=10)),
    ):
        accounts.directory.create_key(name, limits=limits)
    made = rig(accounts=accounts, token_delay_s=0.002)
    keys = {name: accounts.directory.rotate_key(name).secret for name in ("slow", "narrow", "poor")}
    async with in_process(made, closed(accounts)) as client:

        async def ask(name: str) -> tuple[int, str]:
            response = await client.post(ASK, json=asked(), headers={"x-api-key": keys[name]})
            if response.status_code == 200:
                return 200, ""
            assert int(response.headers["retry-after"]) >= 1
            return response.status_code, response.json()["error"]["code"]

        assert [await ask("slow"), await ask("slow")] == [(200, ""), (429, "rate_limited")]
        assert sorted(await asyncio.gather(ask("narrow"), ask("narrow"))) == [(200, ""), (429, "too_many_at_once")]
        assert await ask("poor") == (429, "quota_exhausted")


async def test_what_bethink_chooses_itself_fits_the_limits_and_what_the_client_chose_is_refused(
    accounts: Accounts,
) -> None:
    """Of one path 2 + 3 take at most 8,192 tokens and what is read; eight of them are usual for this question."""
    accounts.directory.create_key("small", limits=Limits(tokens_per_minute=20_000))
    secret = accounts.directory.rotate_key("small").secret
    made = rig(accounts=accounts)
    async with in_process(made, closed(accounts)) as client:

        async def ask(**more: Any) -> httpx.Response:
            body = {"messages": [{"role": "user", "content": "What is 2 + 3?"}], **more}
            return await client.post(ASK, json=body, headers={"x-api-key": secret})

        for chosen in ({"reasoning_effort": "high"}, {"bethink": {"effort": "max"}}, {"bethink": {"paths": 16}}):
            refused = await ask(**chosen)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
        assert not made.engine.starts
        assert (await ask()).status_code == 200
    assert len(made.engine.starts) == 4, "each of two paths begins its thought and its answer"


async def test_a_key_sees_and_uses_its_models_only(accounts: Accounts) -> None:
    secret = accounts.directory.create_key("other", models=("large:*",)).secret
    async with in_process(rig(accounts=accounts), closed(accounts)) as client:
        client.headers["x-api-key"] = secret
        assert (await client.get("/v1/models")).json()["data"] == []
        assert (await client.get(f"/v1/models/{NAME}")).status_code == 403
        response = await client.post(ASK, json=asked())
    assert (response.status_code, response.json()["error"]["code"]) == (403, "model_not_allowed")


async def test_a_request_is_controlled_by_whoever_asked_and_by_nobody_else(accounts: Accounts) -> None:
    one, two = (accounts.directory.create_key(name).secret for name in ("one", "two"))
    made = rig(accounts=accounts, token_delay_s=0.02)
    async with in_process(made, closed(accounts)) as client:
        asking = asyncio.create_task(client.post(ASK, json=asked(), headers={"x-api-key": one}))
        while not made.engine.starts:
            await asyncio.sleep(0.01)
        (request_id,) = made.service.running.ids
        path = f"/v1/requests/{request_id}/stop"
        assert (await client.post(path, headers={"x-api-key": two})).status_code == 404
        assert (await client.post(path, headers={"x-api-key": one})).status_code == 200
        assert (await asking).status_code == 200


async def test_the_ledger_says_what_the_client_was_told(accounts: Accounts) -> None:
    made = rig(accounts=accounts)
    async with in_process(made, Surroundings(keys=Keys(accounts))) as client:
        told = [(await client.post(ASK, json=asked(n=n))).json()["usage"] for n in (1, 3)]
        assert (await client.post(ASK, json=asked(model="nope"))).status_code == 404
    rows = [*accounts.rows()]
    assert [row.input_tokens for row in rows] == [usage["prompt_tokens"] for usage in told]
    assert [
        row.input_tokens + row.thinking_tokens + row.answer_tokens + row.probe_tokens + row.discarded_tokens
        for row in rows
    ] == [usage["total_tokens"] for usage in told]
    assert {row.status for row in rows} == {"ok"}
    assert all(record.outcome in ("ok", "") for record in made.records)


def test_what_an_effort_may_spend_is_estimated_for_all_its_paths() -> None:
    def estimated(question: str, **wished: Any) -> int:
        estimate = Estimate(Request((Message("user", question),), **wished))
        return estimate.tokens(estimate.possible_paths[0]) - len(question) // 2

    compared, written = "What is 6 * 7?", "Write a poem about rain."
    assert estimated(compared, effort="medium") == 4 * (2048 + 4096)
    assert estimated(compared, effort="max") == 16 * (16384 + 4096)
    assert estimated(compared, effort="max", max_tokens=100) == 16 * 100
    assert estimated(compared, effort="none") == 4096
    assert estimated(compared) == 8 * (4096 + 4096)
    assert estimated(written, effort="high") == 8192 + 4096
    assert estimated(written, paths=3, budget=100) == 3 * (100 + 4096)


@pytest.mark.parametrize("keep_alive", [-1, "-1m", 0, "24h"])
async def test_only_who_administers_pins_a_model_or_throws_it_out(accounts: Accounts, keep_alive: Any) -> None:
    user, admin = (accounts.directory.create_key(f"a key of {scope}", scopes=scopes).secret for scope, scopes in SCOPES)
    made = rig(accounts=accounts)
    pool = made.service.pool
    pool.keep_s = 300.0
    body = asked(model=NAME, keep_alive=keep_alive, stream=False)
    loads: dict[str, Any] = body | {"messages": []}
    async with in_process(made, closed(accounts)) as client:
        told = await client.post("/api/chat", json=body, headers={"x-api-key": user})
        assert told.status_code == 200
        assert "admin" in told.json()["bethink"]["notes"][0]
        assert pool.loaded[NAME].keep_s == 300
        if keep_alive != 0:
            loaded = await client.post("/api/chat", json=loads, headers={"x-api-key": user})
            assert "admin" in loaded.json()["bethink"]["notes"][0]
            assert pool.loaded[NAME].keep_s == 300
        told = await client.post("/api/chat", json=body, headers={"x-api-key": admin})
        assert told.json()["bethink"]["notes"] == []
        assert pool.loaded[NAME].keep_s in (None, 0, 86400)


async def test_a_client_lengthens_how_long_a_model_is_kept_and_never_shortens_it(accounts: Accounts) -> None:
    secret = accounts.directory.create_key("app").secret
    made = rig(accounts=accounts)
    pool = made.service.pool
    pool.keep_s = 300.0
    async with in_process(made, closed(accounts)) as client:
        client.headers["x-api-key"] = secret
        for keep_alive, kept_s in (("1ms", 300), ("10m", 600), ("5m", 600)):
            told = await client.post("/api/generate", json={"model": NAME, "prompt": "x", "keep_alive": keep_alive})
            assert told.status_code == 200
            assert pool.loaded[NAME].keep_s == kept_s


async def test_behind_a_proxy_a_key_opens_under_the_allowed_name_only(accounts: Accounts) -> None:
    secret = accounts.directory.create_key("app").secret
    doors = Doors(is_loopback=True, hosts=frozenset({"chat.example.com"}))
    around = Surroundings(doors, Keys(accounts, is_needed=True))
    passed_on = {"host": "chat.example.com", "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
    key = {"authorization": f"Bearer {secret}"}
    made = rig(accounts=accounts)
    async with (
        on_a_socket(made, around, trusts_proxy=True) as listening,
        httpx.AsyncClient(base_url=listening.url) as client,
    ):

        async def ask(headers: dict[str, str]) -> tuple[int, str]:
            response = await client.post(ASK, json=asked(), headers=headers)
            return response.status_code, "" if response.status_code == 200 else response.json()["error"]["code"]

        assert await ask(passed_on | key) == (200, "")
        assert await ask(key) == (200, "")
        assert await ask(passed_on) == (401, "key_missing")
        assert await ask({}) == (401, "key_missing")
        for name in ("evil.example.com", "chat.example.com.evil.example.com", "203.0.113.9"):
            assert await ask(passed_on | key | {"host": name}) == (403, "wrong_host")
        evil = {"x-forwarded-host": "chat.example.com", "host": "evil.example.com"}
        assert await ask(passed_on | key | evil) == (403, "wrong_host")
        assert await ask(passed_on | key | {"origin": "https://evil.example.com"}) == (403, "wrong_origin")
        assert await ask(passed_on | key | {"origin": "https://chat.example.com"}) == (200, "")
    assert made.records[0].client == "203.0.113.9"


async def test_what_came_from_the_cache_stands_in_the_ledger_as_the_client_was_told(accounts: Accounts) -> None:
    made = rig(accounts=accounts, n_cached=5)
    async with in_process(made, Surroundings(keys=Keys(accounts))) as client:
        told = (await client.post(ASK, json=asked(bethink={"paths": 1}))).json()["usage"]
    (row,) = accounts.rows()
    assert row.cached_tokens == told["prompt_tokens_details"]["cached_tokens"] > 0
    assert row.cached_tokens <= row.input_tokens == told["prompt_tokens"]


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 200_000,
        "\nA) " * 50_000,
        "<think>" * 30_000,
        " " * 200_000 + "<think",
        "what is " * 25_000,
        "`*~|" * 50_000,
        "a. " * 70_000,
        "1" * 200_000 + "h",
    ],
    ids=["lines", "choices", "thoughts", "spaces", "questions", "markup", "sentences", "digits"],
)
def test_no_text_of_a_client_makes_an_expression_run_for_long(text: str) -> None:
    began = time.process_time()
    split_thought(text)
    title_of(text)
    is_comparable(text)
    for short in (text, text[:2000]):
        Estimate(Request((Message("user", short),), effort="max")).tokens(1)
    with contextlib.suppress(BadField):
        seconds_of(text)
    assert time.process_time() - began < 0.5
