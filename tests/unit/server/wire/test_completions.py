"""OpenAI's completions: text gone on with, several choices, and what can and cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest

from bethink.server.wire.openai.completions import Completions
from bethink.types import Completion, Drawing
from tests.unit.server.wire.served import serving

pytestmark = pytest.mark.anyio

PATH = "/v1/completions"
ASKED: dict[str, Any] = {"prompt": "def f(", "seed": 1}
SCRIPT = {"def f(": ["x): return x", "y): return y", "z): return z"]}


async def test_text_is_gone_on_with_as_it_stands_alike_streaming_or_not() -> None:
    async with serving(SCRIPT) as served:
        whole = await served.post(PATH, ASKED | {"logprobs": 1})
        events = await served.events(PATH, ASKED | {"logprobs": 1, "stream_options": {"include_usage": True}})
    assert served.prompt == "def f("
    choice = whole["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == ("y): return y", "stop")
    parts = [c for e in events for c in e["choices"]]
    assert "".join(part["text"] for part in parts) == choice["text"]
    told = [part["logprobs"] for part in parts if part["logprobs"]]
    for key in ("tokens", "token_logprobs", "text_offset"):
        assert [value for part in told for value in part[key]] == choice["logprobs"][key]
    assert events[-1]["usage"] == whole["usage"]


async def test_a_stop_text_and_a_limit_end_it() -> None:
    async with serving(SCRIPT) as served:
        stopped = (await served.post(PATH, ASKED | {"stop": " return"}))["choices"][0]
        cut = (await served.post(PATH, ASKED | {"max_tokens": 4}))["choices"][0]
    assert (stopped["text"], stopped["finish_reason"]) == ("y):", "stop")
    assert (cut["text"], cut["finish_reason"]) == ("y): ", "length")


async def test_choices_are_drawn_with_seeds_of_their_own() -> None:
    async with serving(SCRIPT) as served:
        told = await served.post(PATH, ASKED | {"n": 3})
    assert len({choice["text"] for choice in told["choices"]}) > 1
    assert told["usage"]["prompt_tokens"] == len("def f(")


def test_a_suffix_asks_for_the_middle_even_when_it_is_empty() -> None:
    for suffix in ("return x", ""):
        request = (
            Completions().read(f'{{"prompt": "a", "suffix": "{suffix}", "stop": "b", "top_k": 3}}'.encode())[0].request
        )
        assert request == Completion("a", suffix, drawing=Drawing(stop=("b",), top_k=3))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"echo": True}, "echo"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": True, "stop": [""]}, "stop"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"bethink": {"budget": 3}}, "bethink.budget"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    async with serving(SCRIPT) as served:
        told = await served.post(PATH, ASKED | change, status=400)
    assert told["error"]["param"] == field


async def test_a_model_without_tokens_for_the_middle_says_so() -> None:
    async with serving(SCRIPT) as served:
        told = await served.post(PATH, ASKED | {"suffix": "x"}, status=400)
    assert told["error"]["code"] == "capability_missing"
