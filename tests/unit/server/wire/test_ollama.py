"""Ollama's dialects: lines, options, loading and unloading, and what its clients ask before they chat."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from bethink.errors import BethinkError
from bethink.server.asking.asks import BadField
from bethink.server.wire.ollama.chat import OllamaChat
from bethink.server.wire.ollama.generate import OllamaGenerate
from bethink.server.wire.ollama.words import seconds_of
from bethink.types import Completion, Request
from tests.unit.server.wire.served import ANSWER, THOUGHT, serving

pytestmark = pytest.mark.anyio

ASKED: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "2 and 2?"}]}
PROMPT: dict[str, Any] = {"model": "scripted", "prompt": "2 and 2?"}
TOOLS = [{"type": "function", "function": {"name": "add"}}, {"type": "function", "function": {"name": "sub"}}]


async def test_a_stream_is_lines_and_the_last_holds_the_numbers() -> None:
    async with serving() as served:
        lines = await served.lines("/api/generate", PROMPT)
    assert "".join(line.get("thinking", "") for line in lines) == THOUGHT
    assert "".join(line["response"] for line in lines) == ANSWER
    last = lines[-1]
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert last["eval_count"] == last["bethink"]["usage"]["completion_tokens"]
    assert 0 < last["eval_duration"] <= last["total_duration"]
    assert isinstance(last["prompt_eval_duration"], int)


@pytest.mark.parametrize(("think", "is_told"), [(True, True), ("high", True), (None, True), (False, False)])
async def test_think_switches_the_thought(think: Any, is_told: bool) -> None:
    async with serving() as served:
        chat = await served.post("/api/chat", ASKED | {"stream": False, "think": think})
        text = await served.post("/api/generate", PROMPT | {"stream": False, "think": think})
    assert ("thinking" in chat["message"], "thinking" in text) == (is_told, is_told)
    assert (chat["message"]["content"], text["response"]) == (ANSWER, ANSWER)


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
async def test_null_means_what_leaving_it_away_means(path: str) -> None:
    async with serving() as served:
        lines = await served.lines(path, (ASKED if path.endswith("chat") else PROMPT) | {"stream": None})
    assert len(lines) > 1


async def test_a_system_message_reaches_the_model() -> None:
    async with serving() as served:
        await served.post("/api/generate", PROMPT | {"stream": False, "system": "Be brief."})
    assert "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2 and 2?<|im_end|>" in served.prompt


async def test_a_raw_prompt_is_gone_on_with_as_it_stands() -> None:
    async with serving({"def f(": "x): return x"}) as served:
        told = await served.post("/api/generate", PROMPT | {"prompt": "def f(", "raw": True, "stream": False})
    assert served.prompt == "def f("
    assert told["response"] == "x): return x"


def test_a_suffix_asks_for_the_middle() -> None:
    request = (
        OllamaGenerate().read(b'{"prompt": "def f(", "suffix": "return x", "options": {"num_predict": 9}}')[0].request
    )
    assert request == Completion("def f(", "return x", max_tokens=9)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"raw": True, "think": True}, "think"),
        ({"raw": True, "system": "x"}, "system"),
        ({"raw": True, "bethink": {"budget": 5}}, "bethink.budget"),
        ({"suffix": "x", "reasoning_effort": "low"}, "reasoning_effort"),
        ({"template": "x"}, "template"),
        ({"context": [1, 2]}, "context"),
        ({"images": ["eA=="]}, "images"),
        ({"format": "yaml"}, "format"),
        ({"options": {"mirostat": 2}}, "options.mirostat"),
        ({"options": {"tfs_z": 0.5}}, "options.tfs_z"),
        ({"options": {"num_predict": 0}}, "options.num_predict"),
        ({"options": {"num_predicted": 5}}, "options.num_predicted"),
        ({"options": {"stop": [""]}}, "options.stop"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"truncate": True}, "truncate"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    async with serving() as served:
        told = await served.post("/api/generate", PROMPT | change, status=400)
    assert isinstance(told["error"], str)
    assert told["param"] == field


async def test_a_context_longer_than_the_models_is_refused_and_never_cut() -> None:
    async with serving(context_length=4096) as served:
        for n, status in ((2048, 200), (4096, 200), (4097, 400)):
            told = await served.post("/api/chat", ASKED | {"stream": False, "options": {"num_ctx": n}}, status=status)
        assert told["code"] == "context_full"
        long = {"messages": [{"role": "user", "content": "x" * 5000}]}
        assert (await served.post("/api/chat", ASKED | long, status=400))["code"] == "context_full"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("5m", 300),
        ("1h30m", 5400),
        ("300ms", 0.3),
        (45, 45),
        ("45", 45),
        ("0", 0),
        (-1, math.inf),
        ("-1m", math.inf),
        (None, None),
    ],
)
def test_a_duration_is_read_as_ollama_reads_it(given: Any, seconds: float | None) -> None:
    assert seconds_of(given) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("given", ["", "5 minutes", "m", "1" * 500 + "h", math.nan, "١"])
def test_what_is_no_duration_is_refused(given: Any) -> None:
    with pytest.raises(BadField):
        seconds_of(given)


async def test_a_model_is_loaded_kept_and_let_go_as_the_client_wishes() -> None:
    async with serving() as served:
        pool = served.service.pool
        told = await served.post("/api/generate", {"model": "scripted", "keep_alive": "10m"})
        assert (told["done_reason"], list(pool.loaded)) == ("load", ["scripted"])
        assert pool.loaded["scripted"].keep_s == 600
        running = (await served.client.get("/api/ps")).json()["models"]
        assert [model["name"] for model in running] == ["scripted"]
        await served.post("/api/chat", ASKED | {"stream": False, "keep_alive": -1})
        assert pool.loaded["scripted"].keep_s is None
        told = await served.post("/api/chat", {"model": "scripted", "messages": [], "keep_alive": 0})
        assert (told["done_reason"], dict(pool.loaded)) == ("unload", {})


async def test_a_model_that_its_operator_keeps_is_not_let_go() -> None:
    async with serving() as served:
        served.service.pool.kept = frozenset({"scripted"})
        await served.post("/api/generate", {"model": "scripted", "keep_alive": 5})
        assert served.service.pool.loaded["scripted"].keep_s is None
        told = await served.post("/api/generate", {"model": "scripted", "keep_alive": 0}, status=400)
        assert told["param"] == "keep_alive"


async def test_models_are_listed_and_shown() -> None:
    async with serving() as served:
        tags = (await served.client.get("/api/tags")).json()["models"]
        shown = await served.post("/api/show", {"model": "scripted:latest"})
        assert (await served.client.get("/api/version")).json()["version"].count(".") == 2
        missing = await served.post("/api/show", {"model": "nope"}, status=404)
    assert [tag["name"] for tag in tags] == ["scripted"]
    assert {"completion", "tools", "thinking"} <= set(shown["capabilities"])
    assert missing["code"] == "unknown_model"


def test_results_find_their_calls_by_order_and_by_name() -> None:
    calls = [{"function": {"name": name, "arguments": {"n": n}}} for n, name in enumerate(("add", "sub", "add"))]
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "1", "tool_name": "sub"},
        {"role": "tool", "content": "2", "tool_name": "add"},
        {"role": "tool", "content": "3"},
    ]
    request = OllamaChat().read(_json({"messages": turns, "tools": TOOLS}))[0].request
    assert isinstance(request, Request)
    messages = request.messages
    ids = [call.id for call in messages[1].tool_calls]
    assert [message.tool_call_id for message in messages[2:]] == [ids[1], ids[0], ids[2]]


def test_a_result_of_no_call_is_refused() -> None:
    with pytest.raises(BethinkError, match="nobody made"):
        OllamaChat().read(_json({"messages": [{"role": "tool", "content": "1", "tool_name": "add"}]}))


async def test_an_unfinished_turn_of_the_assistant_is_refused() -> None:
    turns = [*ASKED["messages"], {"role": "assistant", "content": "The"}]
    async with serving() as served:
        told = await served.post("/api/chat", ASKED | {"messages": turns}, status=400)
    assert told["param"] == "messages"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/api/embed", "/api/embeddings"])
async def test_embeddings_are_refused_in_the_dialects_words_and_never_made_up(path: str) -> None:
    async with serving() as served:
        told = await served.post(path, {"model": "scripted", "input": "x"}, status=501)
    assert isinstance(told["error"], str if path.startswith("/api") else dict)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(("truncate", "truncation"), [(True, "auto"), (False, "disabled"), (None, "disabled")])
async def test_a_chat_loses_its_oldest_turns_only_when_that_was_asked_for(truncate: Any, truncation: str) -> None:
    async with serving() as served:
        assert served.read("/api/chat", ASKED | {"truncate": truncate}).truncation == truncation
