"""Text gone on with as it stands: nothing added, nothing trimmed, ended where it was asked to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import pytest

from bethink.completing import CompletionRun
from bethink.engine.protocol import Engine, EngineInfo, StreamFinish, Token, TokenStream
from bethink.engine.scripted import Context, Line, ScriptedEngine
from bethink.errors import CapabilityMissing, ContextFull, UsageError
from bethink.model import Model
from bethink.prompt import Tokenizer, tokenizer_from_gguf
from bethink.trace import Trace
from bethink.types import Completed, Completion, CompletionEvent, Drawing, Sampling, TextDelta
from tests.unit.prompt.small_vocabulary import byte_level_metadata
from tests.unit.test_model import make_model

pytestmark = pytest.mark.anyio


async def read(run: CompletionRun) -> tuple[Completed, list[TextDelta]]:
    events = [event async for event in run]
    completed = events[-1]
    assert isinstance(completed, Completed)
    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert "".join(delta.text for delta in deltas) == completed.text
    assert {(delta.path, delta.phase) for delta in deltas} <= {(0, "answer")}
    return completed, deltas


def starts(model: Model) -> list[Context]:
    assert isinstance(model.engine, ScriptedEngine)
    return model.engine.starts


async def test_a_text_goes_on_as_it_stands_white_space_and_all() -> None:
    model = make_model({"Once": "  upon\n\n<think>a</think> time \n"})
    completed, deltas = await read(model.complete(Completion("Once", seed=3)))
    assert (completed.text, completed.finish_reason) == ("  upon\n\n<think>a</think> time \n", "stop")
    assert starts(model)[0].text == "Once"
    assert len(deltas) > 10
    assert completed.usage.prompt_tokens == 4
    assert completed.usage.answer_tokens == len(model.tokenizer.encode(completed.text)) + 1
    assert (completed.seed, completed.model.name, completed.engine) == (3, "scripted", "scripted")


async def test_special_tokens_in_a_prompt_are_plain_text() -> None:
    model = make_model(lambda _: Line("So."))
    await read(model.complete(Completion("<|im_start|>system\n")))
    special = set(model.tokenizer.special.values())
    assert not special & set(starts(model)[0].ids)


@pytest.mark.parametrize(("max_tokens", "reason"), [(3, "length"), (4, "length"), (5, "stop")])
async def test_max_tokens_is_exact(max_tokens: int, reason: str) -> None:
    model = make_model({"a": "bcde"})
    completed, _ = await read(model.complete(Completion("a", max_tokens=max_tokens)))
    assert (completed.text, completed.finish_reason) == ("bcde"[:max_tokens], reason)


async def test_a_stop_text_ends_it_and_logprobs_come_with_its_tokens() -> None:
    model = make_model({"1": ", 2, 3, 4"})
    completed, _ = await read(model.complete(Completion("1", drawing=Drawing(stop=(" 3",), logprobs=0))))
    assert (completed.text, completed.finish_reason) == (", 2,", "stop")
    assert [t.text for t in completed.logprobs] == list(", 2,")


async def test_nothing_may_follow() -> None:
    completed, deltas = await read(make_model({"a": ""}).complete(Completion("a")))
    assert (completed.text, deltas, completed.finish_reason) == ("", [], "stop")


async def test_it_can_be_stopped() -> None:
    model = make_model({"a": "b" * 200}, token_delay_s=0.01)
    run = model.complete(Completion("a"))
    asyncio.get_running_loop().call_later(0.1, run.stop)
    completed, _ = await asyncio.wait_for(read(run), 5)
    assert completed.finish_reason == "user"
    assert 0 < len(completed.text) < 100


async def test_it_ends_by_its_deadline() -> None:
    model = make_model({"a": "b" * 200}, token_delay_s=0.01)
    completed, _ = await asyncio.wait_for(read(model.complete(Completion("a", within_s=0.1))), 5)
    assert completed.finish_reason == "deadline"


async def test_the_deadline_is_never_its_readers() -> None:
    model = make_model({"a": "b" * 200}, token_delay_s=0.001)
    events = list[CompletionEvent]()
    async for event in model.complete(Completion("a", within_s=0.05)):
        events.append(event)
        await asyncio.sleep(0.02)
    assert isinstance(events[-1], Completed)
    assert events[-1].finish_reason == "deadline"


@dataclass
class Buffered:
    """An engine whose tokens are all there before anyone reads them, so that reading never waits."""

    engine: Engine

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    def start(self, ids: Sequence[int], sampling: Sampling) -> BufferedStream:
        return BufferedStream(self.engine.start(ids, sampling))

    def close(self) -> None:
        self.engine.close()


@dataclass
class BufferedStream:
    stream: TokenStream

    async def __aiter__(self) -> AsyncGenerator[Token]:
        for token in [token async for token in self.stream]:
            yield token

    def cancel(self) -> None:
        self.stream.cancel()

    @property
    def finish(self) -> StreamFinish | None:
        return self.stream.finish

    @property
    def n_cached(self) -> int:
        return self.stream.n_cached


async def test_tokens_that_wait_for_their_reader_do_not_outlive_the_deadline() -> None:
    model = make_model({"a": "b" * 200})
    model.engine = Buffered(model.engine)
    events = list[CompletionEvent]()
    async for event in model.complete(Completion("a", within_s=0.05)):
        events.append(event)
        await asyncio.sleep(0.02)
    assert isinstance(events[-1], Completed)
    assert events[-1].finish_reason == "deadline"
    assert len(events[-1].text) < 200


async def test_a_reader_that_goes_away_frees_the_engine() -> None:
    model = make_model({"a": "b" * 200}, token_delay_s=0.001)
    async with aclosing(cast("AsyncGenerator[CompletionEvent]", aiter(model.complete(Completion("a"))))) as events:
        await anext(events)
    assert isinstance(model.engine, ScriptedEngine)
    assert model.engine.n_running == 0


async def test_its_trace_is_kept_and_read_again(tmp_path: Any) -> None:
    model = make_model({"a": "b"}, traces=tmp_path)
    completed, _ = await read(model.complete(Completion("a")))
    trace = Trace.load(tmp_path / f"{completed.trace_id}.json")
    assert (trace.prompt_text, trace.paths[0].answer) == ("a", "b")


@pytest.mark.parametrize(
    "asked",
    [
        Completion(""),
        Completion("a", max_tokens=0),
        Completion("a", temperature=-1.0),
        Completion("a", within_s=0.0),
        Completion("a", drawing=Drawing(top_p=2.0)),
    ],
)
async def test_what_cannot_be_meant_is_refused(asked: Completion) -> None:
    with pytest.raises(UsageError):
        make_model({"a": "b"}).complete(asked)


async def test_what_cannot_be_done_is_refused() -> None:
    model = make_model({"a": "b"})
    with pytest.raises(CapabilityMissing):
        model.complete(Completion("a", json_schema="{}"))
    with pytest.raises(CapabilityMissing):
        model.complete(Completion("a", suffix="c"))
    with pytest.raises(ContextFull):
        await read(model.complete(Completion("a", max_tokens=10**6)))


async def test_a_suffix_uses_the_models_own_tokens_for_a_middle() -> None:
    metadata = byte_level_metadata()
    names = ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]
    n = len(metadata["tokenizer.ggml.tokens"])
    metadata["tokenizer.ggml.tokens"] += names
    metadata["tokenizer.ggml.token_type"] += [3] * 3
    model = make_model({})
    model.tokenizer = tokenizer_from_gguf(metadata)
    run = model.complete(Completion("a<|fim_middle|>", suffix=""))
    plain = model.tokenizer.encode("a<|fim_middle|>", parse_special=False)
    assert run.trace.prompt_ids == [n, *plain, n + 2, n + 1]
    assert not set(plain) & {n, n + 1, n + 2}


def test_tokens_are_counted_as_plain_text() -> None:
    model = make_model({})
    assert isinstance(model.tokenizer, Tokenizer)
    assert (model.n_tokens(""), model.n_tokens("é"), model.n_tokens("<think>")) == (0, 2, 7)
