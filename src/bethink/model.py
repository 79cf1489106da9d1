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
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path as FilePath

import psutil

from bethink.config import Settings
from bethink.engine import open_engine
from bethink.engine.protocol import Engine
from bethink.errors import BethinkError, CapabilityMissing, StoreError, UsageError
from bethink.profiles import Profile
from bethink.profiles import choose as choose_profile
from bethink.prompt import Prompt, Template, Tokenizer, render
from bethink.store import Store
from bethink.store.pull import pull
from bethink.thinking.calibration import Calibration
from bethink.thinking.calibration import find as find_calibration
from bethink.thinking.checks import Check, choose, refuse_early
from bethink.thinking.council import Council
from bethink.thinking.effort import Plan, plan
from bethink.thinking.policies.user import Control
from bethink.thinking.starting import Paths
from bethink.thinking.vote import VoteRule
from bethink.trace import Trace, keep_trace, new_trace_id, now_iso, result_record
from bethink.types import (
    Event,
    Finished,
    Message,
    ModelRef,
    PathResult,
    Request,
    Result,
    Started,
    Timing,
    Usage,
)
from bethink.verify.sandbox import SharedSandbox

DEFAULT_MODEL = "qwen2.5-coder:1.5b"
SMALL_MODEL = "qwen2.5-coder:0.5b"
DEFAULT_NEEDS_BYTES = 4 << 30


@dataclass(slots=True)
class Model:
    """A loaded model. `stop_ids` end a turn; `traces` is where finished traces are kept (None: nowhere), in at most
    `traces_bytes` (None: no limit); `escapes` is how often a loop is escaped before the thought is closed (None: loops
    are not looked for, which only measurements want); `rule` ends votes where no `calibration` does; `form` is the
    form of the weights, and `calibrated` the folder of their calibration (None: nowhere). `notes` are said with every
    question."""

    engine: Engine
    tokenizer: Tokenizer
    template: Template
    profile: Profile
    ref: ModelRef
    stop_ids: tuple[int, ...]
    traces: FilePath | None = None
    traces_bytes: int | None = None
    rule: VoteRule = field(default_factory=VoteRule)
    escapes: int | None = 2
    load_s: float = 0.0
    sandbox: SharedSandbox = field(default_factory=SharedSandbox)
    form: str = "own"
    calibrated: FilePath | None = None
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()

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

    def prompt(self, request: Request, *, is_thinking: bool, comparable: bool, wish: str = "") -> Prompt:
        """The ids of the request, with what is wished of its answer, and the instruction that makes a plain model
        think."""
        messages = list(request.messages)
        instruction = self.profile.instruction if comparable else self.profile.open_instruction
        added = [wish, "" if self.profile.is_native or not is_thinking else instruction]
        for text in filter(None, added):
            last = messages[-1]
            messages[-1] = replace(last, content=f"{last.content}\n\n{text}")
        return render(
            messages,
            self.template,
            self.tokenizer,
            keep_thinking=self.profile.keeps_thinking,
            extra=self.profile.template_options,
        )

    def close(self) -> None:
        self.engine.close()
        self.sandbox.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class Run:
    """One request while it runs: an async iterator of events that ends with `Finished`. It started `load_s` seconds
    before it is iterated."""

    model: Model
    request: Request
    load_s: float = 0.0
    control: Control = field(default_factory=Control)
    trace: Trace = field(init=False)
    plan: Plan = field(init=False)
    check: Check = field(init=False)
    seed: int = field(init=False)
    _prompt: Prompt = field(init=False)
    _schema: str | None = field(init=False)
    _council: Council | None = None
    _began: float = 0.0

    def __post_init__(self) -> None:
        request, model = self.request, self.model
        if not request.messages:
            raise UsageError("there is no question", "give at least one message")
        can_constrain = "json_schema" in model.engine.info.capabilities
        if request.json_schema is not None and not can_constrain and request.check != "schema":
            raise CapabilityMissing(
                f"{model.engine.info.name} cannot constrain an answer to a schema", "use another engine"
            )
        self._schema = request.json_schema if can_constrain else None
        if request.thought is not None and any(m in request.thought for m in model.profile.markers):
            raise UsageError(
                "the edited thought holds a thinking marker", f"remove {' and '.join(model.profile.markers)}"
            )
        self.check = choose(request, model.sandbox)
        self.seed = random.SystemRandom().randrange(2**31) if request.seed is None else request.seed & 0x7FFFFFFF
        self._settle()
        self.trace = Trace(
            id=new_trace_id(),
            created=now_iso(),
            request=asdict(request) | {"seed": self.seed, "plan": asdict(self.plan)},
            model=asdict(model.ref),
            engine=f"{model.engine.info.name} {model.engine.info.settings}".strip(),
            profile=model.profile.name,
            prompt_ids=list(self._prompt.ids),
            prompt_text=self._prompt.text,
        )

    def _settle(self) -> None:
        """Prompt and plan need each other: whether to think decides the instruction, its length the limits."""
        info = self.model.engine.info
        for is_thinking in (True, False):
            self._prompt = self.model.prompt(
                self.request,
                is_thinking=is_thinking,
                comparable=self.check.asks_for_value,
                wish=self.check.instruction,
            )
            self.plan = plan(
                self.request,
                self.model.profile,
                comparable=self.check.spreads,
                is_value=self.check.asks_for_value,
                n_prompt=len(self._prompt.ids),
                context_length=min(info.context_length, info.kv_tokens),
                rule=self.model.rule,
                calibration=self.model.calibration,
            )
            if self.plan.thinking_tokens > 0 or self.request.thought:
                return

    def answer_now(self) -> None:
        """Close every running thought at its next token; the answers follow."""
        self.control.wants_answer = True

    def stop(self) -> None:
        """End everything at the next token; `Finished` still comes, with what there is."""
        self.control.wants_stop = True
        if self._council is not None:
            self._council.give_up()

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._began = asyncio.get_running_loop().time() - self.load_s
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        notes = self.model.notes + self.plan.notes + self.check.notes
        yield Started(len(self._prompt.ids), self.plan.budget, self.plan.n_paths, self.plan.effort, notes)
        task = asyncio.create_task(self._drive(queue.put_nowait))
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            task.result()
        except* BethinkError as group:
            raise _first(group) from None
        finally:
            task.cancel()

    async def _drive(self, emit: Callable[[Event], None]) -> None:
        model, check = self.model, self.check
        paths = Paths(
            engine=model.engine,
            codec=model.tokenizer,
            profile=model.profile,
            stop_ids=model.stop_ids,
            escapes=model.escapes,
            request=self.request,
            plan=self.plan,
            prompt=self._prompt,
            seed=self.seed,
            control=self.control,
            trace=self.trace,
            emit=emit,
            began=self._began,
            json_schema=self._schema,
            is_judged=check.is_slow,
        )
        council = self._council = Council(
            new_path=paths.new,
            n_paths=self.plan.n_paths,
            rule=self.plan.rule,
            check=check,
            trace=self.trace,
            emit=emit,
            lead_of=paths.lead,
            ask=lambda wish, begin: self._ask_aside(paths, wish, begin),
            left_s=paths.left_s,
        )
        winner = await council.run()
        result = self._result(council, winner, paths.aside_usage)
        self.trace.result = result_record(result)
        if self.model.traces is not None:
            await asyncio.to_thread(keep_trace, self.trace, self.model.traces, self.model.traces_bytes)
        emit(Finished(result))

    async def _ask_aside(self, paths: Paths, wish: str, begin: str) -> str:
        prompt = self.model.prompt(Request((Message("user", wish),)), is_thinking=False, comparable=False)
        return await paths.ask_aside(prompt, begin, "inputs")

    def _result(self, council: Council, winner: PathResult, aside: Usage) -> Result:
        usages = [*(r.usage for r in council.results), aside]
        total_s = asyncio.get_running_loop().time() - self._began
        usage = Usage(
            prompt_tokens=len(self._prompt.ids),
            thinking_tokens=sum(u.thinking_tokens for u in usages),
            answer_tokens=sum(u.answer_tokens for u in usages),
            probe_tokens=sum(u.probe_tokens for u in usages),
            discarded_tokens=sum(u.discarded_tokens for u in usages),
        )
        firsts = [p.first_token_s for p in council.paths if p.first_token_s is not None]
        answers = [p.first_answer_token_s for p in council.paths if p.first_answer_token_s is not None]
        first = min(firsts, default=None)
        decode_s = total_s - (self.load_s if first is None else first)
        return Result(
            answer=winner.answer,
            thinking=winner.thinking,
            closed_by=winner.closed_by,
            finish_reason=winner.finish_reason,
            verdict=council.verdict(winner),
            usage=usage,
            timing=Timing(
                first, min(answers, default=None), total_s, usage.completion_tokens / max(decode_s, 1e-6), self.load_s
            ),
            model=self.model.ref,
            engine=self.model.engine.info.name,
            seed=self.seed,
            trace_id=self.trace.id,
            paths=tuple(sorted(council.results, key=lambda r: r.index)),
        )


def _first(group: BaseExceptionGroup[BethinkError]) -> BethinkError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BethinkError)
    return error


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
