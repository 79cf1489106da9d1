"""The engines under contract. A real engine that is not installed fails its tests: nothing is skipped silently."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from bethink.config import Settings
from bethink.engine.llamacpp import LlamaCppEngine, LlamaCppSettings
from bethink.engine.opening import open_engine
from bethink.engine.openvino.engine import OpenVinoEngine
from bethink.engine.openvino.loading import settings_for
from bethink.engine.openvino.reading import BLOCK_TOKENS
from bethink.engine.protocol import Engine
from bethink.engine.scripted import Context, Line, ScriptedEngine, scripted_tokenizer
from bethink.prompt import Tokenizer
from bethink.store import LocalModel, Store
from bethink.store.pull import pull
from tests.contract.subject import SMALL_KV_TOKENS, Subject

MODEL = "smollm2:135m"
WORDS = ["fox", "wood", "naïve", "中文字", "龘", "🙂", "🦖🙃", "ran", "and", "then", "it", "slept", "日本"]


@pytest.fixture(
    scope="session",
    params=[
        "scripted",
        pytest.param("openvino", marks=pytest.mark.real),
        pytest.param("llamacpp", marks=pytest.mark.real),
    ],
)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    made = scripted() if request.param == "scripted" else real(request.param)
    yield made
    made.engine.close()


@pytest.fixture
def small(subject: Subject) -> Iterator[Engine]:
    """One more engine with room for `SMALL_KV_TOKENS`; a test may close or kill it."""
    engine = subject.open_small()
    yield engine
    engine.close()


def scripted() -> Subject:
    def open_with(kv_tokens: int) -> Engine:
        return ScriptedEngine(_story, kv_tokens=kv_tokens, context_length=4096, token_delay_s=0.001)

    return Subject("scripted", open_with(65_536), Tokenizer(scripted_tokenizer()), lambda: open_with(SMALL_KV_TOKENS))


def _story(context: Context) -> Line:
    """As a model would: greedy does not ask the seed, and what was said already is not said again."""
    start = bytes(token for token in context.ids if token < 256).rfind(b"assistant\n") + len(b"assistant\n")
    n_special = sum(token >= 256 for token in context.ids)
    n_said = len(context.ids) - n_special - start
    is_greedy = context.sampling.temperature == 0 or context.sampling.top_k == 1 or context.sampling.top_p < 0.01
    chance = random.Random(0 if is_greedy else context.sampling.seed + 1)
    text = " ".join(chance.choices(WORDS, k=400)).encode()
    return Line(tuple(text[n_said:]), logprob=-0.5 if is_greedy else -1.5)


def real(name: str) -> Subject:
    store = Store(Settings.from_env().home)
    local = anyio.run(pull, store, MODEL)
    engine, files = open_engine(store, local, engine=name)
    openers: dict[str, Callable[[], Engine]] = {
        "openvino": lambda: _small_openvino(store, local),
        "llamacpp": lambda: _small_llamacpp(local),
    }
    return Subject(name, engine, files.tokenizer, openers[name])


def _small_openvino(store: Store, local: LocalModel) -> Engine:
    folder: Path = store.prepared(local.sha256)[0].path
    settings = replace(settings_for(folder), n_kv_blocks=SMALL_KV_TOKENS // BLOCK_TOKENS)
    engine = OpenVinoEngine(folder, local.sha256, settings)
    engine.wait_until_loaded()
    return engine


def _small_llamacpp(local: LocalModel) -> Engine:
    engine = LlamaCppEngine(local.path, local.sha256, settings=LlamaCppSettings(SMALL_KV_TOKENS, n_parallel=8))
    engine.wait_until_loaded()
    return engine
