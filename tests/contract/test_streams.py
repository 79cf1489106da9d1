"""A stream yields each sampled token once, in order, the stop token included, and then ends; `finish` says why."""

from __future__ import annotations

import time

import pytest

from bethink.engine.protocol import Engine, TokenStream
from bethink.types import Sampling
from tests.contract.subject import Subject, hear, take

pytestmark = pytest.mark.anyio


async def test_an_engine_and_its_streams_have_the_shape_of_the_protocol(subject: Subject) -> None:
    stream = subject.engine.start(subject.story, Sampling(max_tokens=1))
    assert isinstance(subject.engine, Engine)
    assert isinstance(stream, TokenStream)
    await hear(stream)


async def test_the_info_says_what_is_loaded(subject: Subject) -> None:
    info = subject.engine.info
    assert info.name == subject.name
    assert len(info.model_sha256) == 64
    assert info.context_length >= 2048
    assert info.kv_tokens >= 2048


async def test_tokens_arrive_while_later_ones_are_still_sampled(subject: Subject) -> None:
    begun = time.monotonic()
    times = [time.monotonic() - begun async for _ in subject.engine.start(subject.story, Sampling(max_tokens=48))]
    assert times[0] < 0.6 * times[-1]
    assert len({round(t, 6) for t in times}) > 24


@pytest.mark.parametrize("n_tokens", [1, 2, 3, 17])
async def test_max_tokens_is_exact(subject: Subject, n_tokens: int) -> None:
    heard = await subject.hear(subject.story, Sampling(max_tokens=n_tokens))
    assert (len(heard.ids), heard.finish) == (n_tokens, "length")


async def test_a_stop_id_ends_the_stream_and_is_its_last_token(subject: Subject) -> None:
    all_ids = (await subject.hear(subject.story, Sampling(max_tokens=24))).ids
    first_at = {token: place for place, token in reversed(list(enumerate(all_ids)))}
    stop, place = next((token, place) for token, place in first_at.items() if place >= 5)
    heard = await subject.hear(subject.story, Sampling(max_tokens=24, stop_ids=(stop, subject.end_id)))
    assert heard.ids == all_ids[: place + 1]
    assert heard.finish == "stop"


async def test_a_stop_id_on_the_last_token_is_a_stop(subject: Subject) -> None:
    all_ids = (await subject.hear(subject.story, Sampling(max_tokens=8))).ids
    assert (await subject.hear(subject.story, Sampling(max_tokens=8, stop_ids=(all_ids[-1],)))).finish == "stop"


async def test_the_models_own_end_is_yielded_when_it_is_a_stop_id(subject: Subject) -> None:
    asked = Sampling(max_tokens=3000, stop_ids=(subject.end_id,))
    heard = await subject.hear(subject.prompt("Say just: hi"), asked)
    assert heard.ids[-1] == subject.end_id
    assert heard.ids.count(subject.end_id) == 1
    assert heard.finish == "stop"


async def test_only_stop_ids_stop(subject: Subject) -> None:
    """A model's end token that nobody asked to stop at is a token like any other."""
    ids = subject.prompt("Say just: hi")
    until_end = await subject.hear(ids, Sampling(max_tokens=3000, stop_ids=(subject.end_id,)))
    heard = await subject.hear(ids, Sampling(max_tokens=len(until_end.ids) + 5))
    assert heard.ids[: len(until_end.ids)] == until_end.ids
    assert (len(heard.ids), heard.finish) == (len(until_end.ids) + 5, "length")


async def test_finish_is_unknown_until_the_last_token_was_read(subject: Subject) -> None:
    stream = subject.engine.start(subject.story, Sampling(max_tokens=4))
    assert stream.finish is None
    await take(stream, 3)
    assert stream.finish is None
    assert (await hear(stream)).finish == "length"


async def test_reading_past_the_end_stays_at_the_end(subject: Subject) -> None:
    stream = subject.engine.start(subject.story, Sampling(max_tokens=2))
    assert len((await hear(stream)).ids) == 2
    assert (await hear(stream)).ids == ()
    assert stream.finish == "length"


async def test_no_logprobs_unless_asked_for(subject: Subject) -> None:
    heard = await subject.hear(subject.story, Sampling(max_tokens=5))
    assert {token.logprob for token in heard.tokens} == {None}


async def test_logprobs_are_natural_and_of_the_sampled_token(subject: Subject) -> None:
    heard = await subject.hear(subject.story, Sampling(max_tokens=20, logprobs=True, temperature=1.0, seed=3))
    known = [token.logprob for token in heard.tokens if token.logprob is not None]
    assert len(known) >= 0.7 * len(heard.tokens)  # llama.cpp keeps those inside a character
    assert all(-30 < logprob <= 0 for logprob in known)


async def test_no_token_is_likelier_than_the_greedy_one(subject: Subject) -> None:
    greedy = await subject.hear(subject.story, Sampling(max_tokens=1, logprobs=True))
    best = greedy.tokens[0].logprob
    for seed in range(8):
        asked = Sampling(max_tokens=1, logprobs=True, temperature=1.0, seed=seed)
        other = (await subject.hear(subject.story, asked)).tokens[0]
        assert best is not None
        assert other.logprob is not None
        assert other.logprob <= best + 1e-3


async def test_half_a_character_is_never_shown(subject: Subject) -> None:
    said = "中文 🙂🦖🙃 龘 中文 🙂🦖🙃 龘"
    ids = subject.story if subject.name == "scripted" else subject.prompt(f"Repeat for ever: {said}", said)
    heard = await subject.hear(ids, Sampling(max_tokens=80))
    detokenizer = subject.tokenizer.detokenizer()
    parts = [detokenizer.push(token) for token in heard.ids]
    assert "" in parts, "no character of several tokens was sampled; choose another prompt"
    assert not any("\ufffd" in part for part in parts)
    assert "".join(parts) + detokenizer.flush() == subject.tokenizer.decode(heard.ids)


@pytest.mark.parametrize("n_tokens", [1, 2, 3, 4, 5, 6, 7])
async def test_a_cut_inside_a_character_keeps_its_tokens(subject: Subject, n_tokens: int) -> None:
    said = "🙃🦖🙃🦖🙃🦖🙃🦖🙃🦖"
    ids = subject.story if subject.name == "scripted" else subject.prompt(f"Repeat for ever: {said}", said)
    whole = await subject.hear(ids, Sampling(max_tokens=9))
    heard = await subject.hear(ids, Sampling(max_tokens=n_tokens))
    assert heard.ids == whole.ids[:n_tokens]
