"""`Model`: weights, tokenizer, template and profile as one thing that thinks. The Python door to bethink.

    import bethink

    print(bethink.ask("What is 17 * 23?").answer)

    model = bethink.load("qwen2.5-coder:0.5b")
    async for event in model.think(Request(messages=(Message("user", "What is 17 * 23?"),))):
        ...

A `Run` belongs to the event loop that iterates it; a `Model` may be shared by many runs, tasks and threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from bethink.completing import CompletionRun
from bethink.config import Settings
from bethink.engine.opening import open_engine
from bethink.errors import StoreError, UsageError
from bethink.loaded import Loaded
from bethink.profiles import choose as choose_profile
from bethink.prompt import Tokenizer
from bethink.run import Run
from bethink.store import Store
from bethink.thinking.calibration import find as find_calibration
from bethink.thinking.checks import refuse_early
from bethink.thinking.vote import VoteRule
from bethink.types import Completion, Finished, Message, ModelRef, Request, Result

__all__ = ["CompletionRun", "Model", "Run", "ask", "default_model", "load", "stop_ids"]

DEFAULT_MODEL = "qwen2.5-coder:1.5b"
SMALL_MODEL = "qwen2.5-coder:0.5b"
DEFAULT_NEEDS_BYTES = 4 << 30


@dataclass(slots=True)
class Model(Loaded):
    """A loaded model that may be asked: to think about a request, or to go on with a text."""

    def think(self, request: Request, *, counts_loading: bool = False) -> Run:
        """Begin to think; iterate the run for its events. `counts_loading`: the model was loaded for this question, so
        its seconds and its deadline count from before that.

        Raises: UsageError, ContextFull, CapabilityMissing, SandboxMissing.
        """
        return Run(self, request, self.load_s if counts_loading else 0.0)

    async def answer(self, request: Request, *, counts_loading: bool = False) -> Result:
        """Think, and return only the result."""
        async for event in self.think(request, counts_loading=counts_loading):
            if isinstance(event, Finished):
                return event.result
        raise UsageError("the run ended without a result")

    def complete(self, completion: Completion) -> CompletionRun:
        """Begin to go on with a text as it stands; iterate the run for its events.

        Raises: UsageError, ContextFull, CapabilityMissing.
        """
        return CompletionRun(self, completion)

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load(
    name: str | None = None,
    *,
    engine: str | None = None,
    precision: str | None = None,
    settings: Settings | None = None,
    on_progress: Callable[[object], None] | None = None,
) -> Model:
    """Load a model by name, reference or path; fetch and prepare it first where that was not done yet.

    Raises: StoreError (unknown, unreachable, does not fit), EngineError.
    """
    since_s = time.monotonic()

    def report(progress: object) -> None:
        """What is reported is done only once; loading is what comes after it."""
        nonlocal since_s
        if on_progress is not None:
            on_progress(progress)
        since_s = time.monotonic()

    settings = settings or Settings.from_env()
    store = Store(settings.home)
    name = name or default_model()
    try:
        local = store.get(name)
    except StoreError:
        from bethink.store.pull import pull  # a model that is here needs no network, nor the time to import it

        local = asyncio.run(pull(store, name, report))
    opened, files = open_engine(store, local, engine=engine, precision=precision, on_progress=report)
    tokenizer, template = files.tokenizer, files.template
    profile = choose_profile(family=local.family, name=f"{local.name} {files.model_name}", template=template.source)
    calibrated = store.calibration_dir(local.sha256, opened.info.name, files.form)
    calibration, notes = find_calibration(calibrated, local.sha256)
    return Model(
        engine=opened,
        tokenizer=tokenizer,
        template=template,
        profile=profile,
        ref=ModelRef(local.name, local.sha256),
        stop_ids=stop_ids(tokenizer, profile.stop, files.eos_ids),
        traces=settings.home / "traces" if settings.traces_bytes != 0 else None,
        traces_bytes=settings.traces_bytes,
        rule=VoteRule(sure=settings.sure),
        form=files.form,
        calibrated=calibrated,
        calibration=calibration,
        notes=notes,
        load_s=time.monotonic() - since_s,
    )


def default_model() -> str:
    """The model that is taken when none is named: the larger one where its memory is free."""
    return DEFAULT_MODEL if psutil.virtual_memory().available >= DEFAULT_NEEDS_BYTES else SMALL_MODEL


def stop_ids(tokenizer: Tokenizer, texts: Sequence[str], more: Sequence[int]) -> tuple[int, ...]:
    """The ids that end a turn: the profile's texts that this vocabulary has, and the model's own end token."""
    found = [tokenizer.token_id(text) for text in texts]
    return tuple(dict.fromkeys([*(i for i in found if i is not None), *more]))


def ask(question: str, *, model: str | None = None, system: str | None = None, **limits: object) -> Result:
    """Load a model, think once, and return the result. For more than one question, `load` a model and keep it.

    The seconds of `within_s` and of the result's timing count from before the model is loaded.
    `limits` are the fields of `Request`: effort, budget, within_s, max_tokens, paths, check, tests, seed, temperature,
    thought. Raises: UsageError, StoreError, SandboxMissing, EngineError.
    """
    messages = ([Message("system", system)] if system else []) + [Message("user", question)]
    try:
        request = Request(messages=tuple(messages), **limits)  # pyright: ignore[reportArgumentType]  # checked by Request's own names
    except TypeError as error:
        raise UsageError(f"unknown setting: {error}", "see bethink.types.Request") from error
    refuse_early(request)
    with load(model) as loaded:
        return asyncio.run(loaded.answer(request, counts_loading=True))
