"""The same request alone gives the same tokens, and what is asked for is what is done."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bethink.engine.protocol import Engine
from bethink.errors import CapabilityMissing, ContextFull, UsageError
from bethink.types import Sampling
from tests.contract.subject import SMALL_KV_TOKENS, Subject, hear, take

pytestmark = pytest.mark.anyio
WARM = Sampling(temperature=1.0, max_tokens=16)


async def test_the_same_seed_alone_gives_the_same_tokens(subject: Subject) -> None:
    first, second = [await subject.hear(subject.story, replace(WARM, seed=7)) for _ in range(2)]
    assert first.ids == second.ids


async def test_different_seeds_give_different_tokens(subject: Subject) -> None:
    heard = [(await subject.hear(subject.story, replace(WARM, seed=seed))).ids for seed in range(6)]
    assert len(set(heard)) >= 5


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1, 2**63])
async def test_any_seed_is_a_seed(subject: Subject, seed: int) -> None:
    asked = replace(WARM, seed=seed, max_tokens=8)
    assert (await subject.hear(subject.story, asked)).ids == (await subject.hear(subject.story, asked)).ids


async def test_greedy_asks_no_seed(subject: Subject) -> None:
    heard = [(await subject.hear(subject.story, Sampling(max_tokens=12, seed=seed))).ids for seed in range(3)]
    assert len(set(heard)) == 1


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0.0001}])
async def test_a_choice_of_one_is_greedy(subject: Subject, narrow: dict[str, float]) -> None:
    greedy = await subject.hear(subject.story, Sampling(max_tokens=12))
    asked = replace(WARM, max_tokens=12, seed=5, **narrow)
    assert (await subject.hear(subject.story, asked)).ids == greedy.ids


async def test_min_p_near_one_is_greedy(subject: Subject) -> None:
    if subject.name == "scripted":
        pytest.skip("a script has no probabilities")
    greedy = await subject.hear(subject.story, Sampling(max_tokens=12))
    assert (await subject.hear(subject.story, replace(WARM, max_tokens=12, min_p=0.999))).ids == greedy.ids


async def test_a_context_that_is_just_full_is_played_to_its_end(subject: Subject, small: Engine) -> None:
    ids = (subject.story * 40)[: SMALL_KV_TOKENS - 4]
    if subject.name == "scripted":
        ids = [*ids[: -len(subject.story)], *subject.story]
    heard = await hear(small.start(ids, Sampling(max_tokens=4)))
    assert (len(heard.ids), heard.finish) == (4, "length")


async def test_a_thought_may_grow_until_the_context_is_full(subject: Subject, small: Engine) -> None:
    ids = (subject.story * 40)[: SMALL_KV_TOKENS - 32]
    if subject.name == "scripted":
        ids = [*ids[: -len(subject.story)], *subject.story]
    heard = await hear(small.start(ids, Sampling(max_tokens=32)))
    assert (len(heard.ids), heard.finish) == (32, "length")


async def test_what_can_never_fit_is_refused_at_once(subject: Subject, small: Engine) -> None:
    ids = subject.story
    with pytest.raises(ContextFull):
        small.start(ids, Sampling(max_tokens=SMALL_KV_TOKENS - len(ids) + 1))
    with pytest.raises(ContextFull):
        subject.engine.start(ids, Sampling(max_tokens=subject.engine.info.context_length))
    assert len((await hear(small.start(ids, Sampling(max_tokens=2)))).ids) == 2


@pytest.mark.parametrize("ids", [[], [-1], [10_000_000], [5, 2**40]])
async def test_what_is_no_token_is_refused(subject: Subject, ids: list[int]) -> None:
    with pytest.raises(UsageError):
        subject.engine.start(ids, Sampling(max_tokens=2))


@pytest.mark.parametrize("max_tokens", [0, -1])
async def test_nothing_to_sample_is_refused(subject: Subject, max_tokens: int) -> None:
    with pytest.raises(UsageError):
        subject.engine.start(subject.story, Sampling(max_tokens=max_tokens))


async def test_a_single_token_is_a_context(subject: Subject) -> None:
    ids = subject.tokenizer.encode("T")
    assert len((await subject.hear(ids, Sampling(max_tokens=3))).ids) == 3


async def test_every_token_of_the_vocabulary_may_be_in_a_context(subject: Subject) -> None:
    specials = sorted(subject.tokenizer.special.values())
    ids = [*specials[:8], *subject.story]
    assert len((await subject.hear(ids, Sampling(max_tokens=3))).ids) == 3


async def test_a_capability_that_is_missing_is_an_error(subject: Subject) -> None:
    has = subject.engine.info.capabilities
    if "logprobs" not in has:
        with pytest.raises(CapabilityMissing):
            subject.engine.start(subject.story, Sampling(logprobs=True))
    if "json_schema" not in has:
        with pytest.raises(CapabilityMissing):
            subject.engine.start(subject.story, Sampling(json_schema="{}"))


async def test_a_schema_holds(subject: Subject) -> None:
    if "json_schema" not in subject.engine.info.capabilities:
        pytest.skip("it says that it cannot")
    schema = {"type": "object", "properties": {"animal": {"enum": ["fox", "crow"]}}, "required": ["animal"]}
    asked = Sampling(max_tokens=64, stop_ids=(subject.end_id,), json_schema=json.dumps(schema | _CLOSED))
    heard = await subject.hear(subject.prompt("Who is the thief? Answer in JSON."), asked)
    ids = [token for token in heard.ids if token != subject.end_id]
    assert json.loads(subject.tokenizer.decode(ids))["animal"] in ("fox", "crow")
    assert heard.finish == "stop"


_CLOSED = {"additionalProperties": False}


@pytest.mark.parametrize("schema", ["", "{", "[]", "7"])
async def test_a_schema_that_is_none_is_refused(subject: Subject, schema: str) -> None:
    if "json_schema" not in subject.engine.info.capabilities:
        pytest.skip("it says that it cannot")
    with pytest.raises(UsageError):
        subject.engine.start(subject.story, Sampling(max_tokens=4, json_schema=schema))


async def test_penalties_are_heard_or_refused(subject: Subject) -> None:
    """What is penalised is said less often."""
    plain = await subject.hear(subject.story, Sampling(max_tokens=64))
    for field in ("presence_penalty", "frequency_penalty", "repetition_penalty"):
        asked = replace(Sampling(max_tokens=64), **{field: 2.0})
        if "penalties" not in subject.engine.info.capabilities:
            with pytest.raises(CapabilityMissing):
                subject.engine.start(subject.story, asked)
            continue
        heard = await subject.hear(subject.story, asked)
        assert len(set(heard.ids)) > len(set(plain.ids)), field


async def test_the_likeliest_of_each_place_are_told_or_refused(subject: Subject) -> None:
    asked = Sampling(max_tokens=6, logprobs=True, top_logprobs=3)
    if "top_logprobs" not in subject.engine.info.capabilities:
        with pytest.raises(CapabilityMissing):
            subject.engine.start(subject.story, asked)
        return
    heard = await subject.hear(subject.story, asked)
    for token in heard.tokens:
        assert token.top[0] == (token.id, token.logprob)
        assert len(token.top) == (1 if subject.name == "scripted" else 3)
        assert list(token.top) == sorted(token.top, key=lambda one: -one[1])


async def test_what_was_cached_is_told_once_there_is_a_token_and_never_invented(subject: Subject) -> None:
    ids = subject.prompt("Say 7 words about a very particular fox and a very particular crow. " * 8)
    for n_asked in range(2):
        stream = subject.engine.start(ids, Sampling(max_tokens=2))
        await take(stream, 1)
        knows = subject.name == "llamacpp" and n_asked == 1
        assert (len(ids) // 2 if knows else 0) <= stream.n_cached < (len(ids) if knows or n_asked else len(ids) // 2)
        stream.cancel()
