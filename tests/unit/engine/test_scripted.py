"""The scripted engine does what its docstring says; the contract suite holds it against the real ones."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bethink.engine.protocol import Engine
from bethink.engine.scripted import Context, Fault, Line, ScriptedEngine, ScriptedStream, scripted_tokenizer
from bethink.errors import CapabilityMissing, ContextFull, EngineClosed, EngineError, UsageError
from bethink.types import Sampling

pytestmark = pytest.mark.anyio
PROMPT = "<|im_start|>user\ntwo and two?<|im_end|>\n<|im_start|>assistant\n"
SCRIPT = {
    "assistant\n": "<think>Two and two.</think>It is 4.",
    "No more time.\n": ["It is 4.", "It is 5."],
}
UNTIL_END = Sampling(stop_ids=tuple(scripted_tokenizer().encode("<|im_end|>").ids))


@pytest.fixture
def anyio_backend(virtual_time: tuple[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    return virtual_time


def start(engine: ScriptedEngine, text: str, sampling: Sampling = UNTIL_END) -> ScriptedStream:
    return engine.start(engine.tokenizer.encode(text).ids, sampling)


async def said(engine: ScriptedEngine, text: str, sampling: Sampling = UNTIL_END) -> str:
    ids = [token.id async for token in start(engine, text, sampling)]
    return engine.tokenizer.decode(ids, skip_special_tokens=False)


def test_it_is_an_engine() -> None:
    assert isinstance(ScriptedEngine(SCRIPT), Engine)


@pytest.mark.parametrize(
    "text", ["plain", "naïve 中文 🙂\n\t\x00", "<think>a</think><|im_end|>", "", " lead and trail "]
)
def test_the_tokenizer_gives_back_what_it_was_given(text: str) -> None:
    tokenizer = scripted_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_a_byte_is_a_token_and_a_marker_is_one() -> None:
    tokenizer = scripted_tokenizer()
    assert tokenizer.encode("a中").ids == list("a中".encode())
    assert [len(tokenizer.encode(marker).ids) for marker in ("<think>", "</think>", "<|im_end|>")] == [1, 1, 1]


async def test_it_says_the_line_and_the_stop_token_last() -> None:
    engine = ScriptedEngine(SCRIPT)
    assert await said(engine, PROMPT) == "<think>Two and two.</think>It is 4.<|im_end|>"


async def test_a_longer_list_goes_on_where_it_ends() -> None:
    engine = ScriptedEngine(SCRIPT)
    assert await said(engine, PROMPT + "<think>Two and") == " two.</think>It is 4.<|im_end|>"


async def test_forced_text_changes_what_follows() -> None:
    engine = ScriptedEngine(SCRIPT)
    forced = PROMPT + "<think>Two</think>No more time.\n"
    assert await said(engine, forced) == "It is 4.<|im_end|>"
    assert await said(engine, forced, replace(UNTIL_END, seed=1)) == "It is 5.<|im_end|>"


async def test_what_was_said_decides_among_alternatives_before_the_seed_does() -> None:
    engine = ScriptedEngine({"assistant\n": ["yes", "no way"]})
    assert await said(engine, PROMPT + "no", replace(UNTIL_END, seed=0)) == " way<|im_end|>"


async def test_a_context_the_script_does_not_know_is_an_error() -> None:
    with pytest.raises(EngineError, match="no line for a context that ends in 'something else'"):
        start(ScriptedEngine(SCRIPT), "something else")
    with pytest.raises(EngineError, match="no line"):
        start(ScriptedEngine(SCRIPT), PROMPT + "not what it says")


async def test_a_loop_goes_on_until_max_tokens() -> None:
    engine = ScriptedEngine({"assistant\n": Line("So ", loop="on and ")})
    stream = start(engine, PROMPT + "So on", replace(UNTIL_END, max_tokens=10))
    assert engine.tokenizer.decode([token.id async for token in stream]) == " and on an"
    assert stream.finish == "length"


async def test_a_function_sees_the_context_and_says_what_is_next() -> None:
    def script(context: Context) -> str:
        return f"{len(context.ids)} {context.sampling.seed} {context.n_start} {context.text}"

    assert await said(ScriptedEngine(script), "abc", replace(UNTIL_END, seed=7)) == "3 7 0 abc<|im_end|>"


async def test_logprobs_come_only_when_asked_for() -> None:
    engine = ScriptedEngine({"assistant\n": Line("ab", logprob=lambda place: -float(place))})
    plain = [token.logprob async for token in start(engine, PROMPT)]
    asked = [token.logprob async for token in start(engine, PROMPT + "a", replace(UNTIL_END, logprobs=True))]
    assert plain == [None, None, None]
    assert asked == [-1.0, -2.0]


async def test_delays_run_on_the_loops_clock() -> None:
    engine = ScriptedEngine({"assistant\n": "abc"}, token_delay_s=10, first_token_s=100)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    times = [loop.time() - begun_s async for _ in start(engine, PROMPT)]
    assert times == pytest.approx([110, 120, 130, 140])


async def test_streams_that_fit_together_run_at_the_same_time_and_the_rest_waits() -> None:
    sampling = replace(UNTIL_END, max_tokens=4)
    room = 2 * (len(scripted_tokenizer().encode(PROMPT).ids) + 4)
    engine = ScriptedEngine({"assistant\n": "abc"}, token_delay_s=1, kv_tokens=room)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()

    async def seconds() -> float:
        await said(engine, PROMPT, sampling)
        return loop.time() - begun_s

    assert await asyncio.gather(*(seconds() for _ in range(4))) == pytest.approx([4, 4, 8, 8])


async def test_a_cancel_ends_the_stream_and_frees_its_place() -> None:
    engine = ScriptedEngine(SCRIPT)
    stream = start(engine, PROMPT)
    seen = 0
    async for _ in stream:
        seen += 1
        if seen == 3:
            stream.cancel()
            stream.cancel()
    assert (seen, stream.finish, engine.n_running) == (3, "cancelled", 0)


async def test_a_stall_is_ended_by_a_cancel() -> None:
    engine = ScriptedEngine(SCRIPT, faults=[Fault("stalls", after=2)])
    stream = start(engine, PROMPT)
    asyncio.get_running_loop().call_later(5, stream.cancel)
    assert len([token async for token in stream]) == 2
    assert stream.finish == "cancelled"


async def test_a_fault_befalls_one_start_and_the_next_goes_on_from_the_ids() -> None:
    engine = ScriptedEngine(SCRIPT, faults=[Fault("dies", after=4)])
    stream = start(engine, PROMPT)
    ids = [(await anext(stream)).id for _ in range(4)]
    with pytest.raises(EngineError, match="died after 4 tokens"):
        await anext(stream)
    heard = engine.tokenizer.decode(ids, skip_special_tokens=False)
    assert heard == "<think>Two"
    assert await said(engine, PROMPT + heard) == " and two.</think>It is 4.<|im_end|>"


@pytest.mark.parametrize("by_fault", [True, False])
async def test_a_dead_engine_tells_every_reader(by_fault: bool) -> None:
    engine = ScriptedEngine(SCRIPT, token_delay_s=1, faults=[Fault("kills_engine", after=3) if by_fault else None])
    if not by_fault:
        asyncio.get_running_loop().call_later(2.5, engine.close)
    ends = await asyncio.gather(said(engine, PROMPT), said(engine, PROMPT), return_exceptions=True)
    assert [type(end) for end in ends] == [EngineClosed, EngineClosed]
    with pytest.raises(EngineClosed):
        start(engine, PROMPT)


async def test_a_stream_that_is_forgotten_frees_its_place() -> None:
    engine = ScriptedEngine(SCRIPT, kv_tokens=len(PROMPT) + 1024)
    forgotten = start(engine, PROMPT)
    await anext(forgotten)
    del forgotten
    gc.collect()
    assert engine.n_running == 0


def test_what_can_never_be_done_is_refused() -> None:
    engine = ScriptedEngine(SCRIPT, context_length=100, capabilities=frozenset())
    with pytest.raises(ContextFull, match="do not fit the context of 100"):
        start(engine, PROMPT, replace(UNTIL_END, max_tokens=99))
    with pytest.raises(CapabilityMissing, match="logprobs"):
        start(engine, PROMPT, replace(UNTIL_END, max_tokens=9, logprobs=True))
    with pytest.raises(CapabilityMissing, match="JSON schema"):
        start(engine, PROMPT, replace(UNTIL_END, max_tokens=9, json_schema="{}"))
    with pytest.raises(UsageError, match="at least one token"):
        start(engine, "")
    with pytest.raises(UsageError, match="token id 5000"):
        engine.start([5000], UNTIL_END)
    with pytest.raises(UsageError, match="max_tokens is 0"):
        start(engine, PROMPT, replace(UNTIL_END, max_tokens=0))
