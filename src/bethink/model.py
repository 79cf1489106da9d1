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
from bethink.profiles import Profile, choose
from bethink.prompt import Prompt, Template, Tokenizer, render
from bethink.store import Store
from bethink.store.pull import pull
from bethink.thinking.answers import extract
from bethink.thinking.council import Council
from bethink.thinking.decisions import Policy
from bethink.thinking.effort import Plan, is_comparable, plan
from bethink.thinking.path import Limits, Path
from bethink.thinking.policies.budget import Budget
from bethink.thinking.policies.deadline import Deadline
from bethink.thinking.policies.loops import LoopGuard
from bethink.thinking.policies.user import Control, User
from bethink.thinking.vote import VoteRule, verdict
from bethink.trace import Trace, keep_trace, new_trace_id, now_iso, result_record
from bethink.types import (
    Event,
    Finished,
    Message,
    ModelRef,
    PathResult,
    Request,
    Result,
    Sampling,
    Started,
    Timing,
    Usage,
    Verdict,
)
from bethink.verify.math import classes, warm_up

DEFAULT_MODEL = "qwen2.5-coder:1.5b"
SMALL_MODEL = "qwen2.5-coder:0.5b"
DEFAULT_NEEDS_BYTES = 4 << 30
MAX_STATEMENT = 120
CHECKS = ("auto", "none", "math")


@dataclass(slots=True)
class Model:
    """A loaded model. `stop_ids` end a turn; `traces` is where finished traces are kept (None: nowhere), in at most
    `traces_bytes` (None: no limit); `escapes` is how often a loop is escaped before the thought is closed (None: loops
    are not looked for, which only measurements want)."""

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

    def think(self, request: Request, *, counts_loading: bool = False) -> Run:
        """Begin to think; iterate the run for its events. `counts_loading`: the model was loaded for this question, so
        its seconds and its deadline count from before that.

        Raises: UsageError, ContextFull, CapabilityMissing.
        """
        return Run(self, request, self.load_s if counts_loading else 0.0)

    async def answer(self, request: Request, *, counts_loading: bool = False) -> Result:
        """Think, and return only the result."""
        async for event in self.think(request, counts_loading=counts_loading):
            if isinstance(event, Finished):
                return event.result
        raise UsageError("the run ended without a result")

    def prompt(self, request: Request, *, is_thinking: bool, comparable: bool) -> Prompt:
        """The ids of the request, the instruction that makes a plain model think included."""
        messages = list(request.messages)
        instruction = self.profile.instruction if comparable else self.profile.open_instruction
        if is_thinking and not self.profile.is_native and instruction:
            last = messages[-1]
            messages[-1] = replace(last, content=f"{last.content}\n\n{instruction}")
        return render(
            messages,
            self.template,
            self.tokenizer,
            keep_thinking=self.profile.keeps_thinking,
            extra=self.profile.template_options,
        )

    def close(self) -> None:
        self.engine.close()

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
    comparable: bool = field(init=False)
    seed: int = field(init=False)
    _prompt: Prompt = field(init=False)
    _began: float = 0.0

    def __post_init__(self) -> None:
        request, model = self.request, self.model
        if not request.messages:
            raise UsageError("there is no question", "give at least one message")
        if request.check not in CHECKS:
            raise UsageError(f"unknown check {request.check!r}", f"one of {', '.join(CHECKS)}")
        if request.json_schema is not None and "json_schema" not in model.engine.info.capabilities:
            raise CapabilityMissing(
                f"{model.engine.info.name} cannot constrain an answer to a schema", "use another engine"
            )
        if request.thought is not None and any(m in request.thought for m in model.profile.markers):
            raise UsageError(
                "the edited thought holds a thinking marker", f"remove {' and '.join(model.profile.markers)}"
            )
        question = request.messages[-1].content
        self.comparable = request.check == "math" or (request.check == "auto" and is_comparable(question))
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
            self._prompt = self.model.prompt(self.request, is_thinking=is_thinking, comparable=self.comparable)
            self.plan = plan(
                self.request,
                self.model.profile,
                comparable=self.comparable,
                n_prompt=len(self._prompt.ids),
                context_length=min(info.context_length, info.kv_tokens),
            )
            if self.plan.thinking_tokens > 0 or self.request.thought:
                return

    def answer_now(self) -> None:
        """Close every running thought at its next token; the answers follow."""
        self.control.wants_answer = True

    def stop(self) -> None:
        """End everything at the next token; `Finished` still comes, with what there is."""
        self.control.wants_stop = True

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._began = asyncio.get_running_loop().time() - self.load_s
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        yield Started(len(self._prompt.ids), self.plan.budget, self.plan.n_paths, self.plan.effort, self.plan.notes)
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
        if self.comparable and self.plan.n_paths > 1:
            warm_up()
        council = Council(
            new_path=lambda index: self._path(index, emit),
            n_paths=self.plan.n_paths,
            rule=self.model.rule,
            extract=self._compared,
            group=classes,
            trace=self.trace,
            emit=emit,
        )
        winner = await council.run()
        result = self._result(council, winner)
        self.trace.result = result_record(result)
        if self.model.traces is not None:
            await asyncio.to_thread(keep_trace, self.trace, self.model.traces, self.model.traces_bytes)
        emit(Finished(result))

    def _compared(self, path: PathResult) -> str | None:
        return compared_answer(path.answer, path.thinking, lead=self._lead(path))

    def _lead(self, path: PathResult) -> str:
        """What stands before an answer that states the outcome of a thought."""
        return self.model.profile.answer_lead if path.thinking and path.closed_by != "budget" else ""

    def _path(self, index: int, emit: Callable[[Event], None]) -> Path:
        model, plan, request = self.model, self.plan, self.request
        deadline = Deadline(request.within_s, plan.answer_reserve) if request.within_s is not None else None
        policies: list[Policy] = [User(self.control)]
        policies += [deadline] if deadline else []
        policies.append(Budget(plan.thinking_tokens))
        policies += [LoopGuard(rungs=model.escapes)] if model.escapes is not None else []
        return Path(
            engine=model.engine,
            codec=model.tokenizer,
            profile=model.profile,
            prompt_ids=self._prompt.ids,
            sampling=self._sampling(index),
            limits=Limits(plan.thinking_tokens, plan.max_tokens),
            policies=policies,
            trace=self.trace,
            emit=emit,
            deadline=deadline,
            index=index,
            is_opened=self._prompt.text.rstrip().endswith(model.profile.open_marker) and model.profile.is_native,
            thought=request.thought or "",
            started_at=self._began,
        )

    def _sampling(self, index: int) -> Sampling:
        defaults = self.model.profile.sampling
        return Sampling(
            temperature=self._temperature(index),
            top_p=defaults.top_p,
            top_k=defaults.top_k,
            min_p=defaults.min_p,
            seed=(self.seed + 1_000_003 * index) & 0x7FFFFFFF,
            max_tokens=self.plan.max_tokens,
            stop_ids=self.model.stop_ids,
            json_schema=self.request.json_schema,
        )

    def _temperature(self, index: int) -> float:
        """The first path of a vote is drawn as a path alone would be: the model's best single guess takes part."""
        if index == 0 and self.request.temperature is None:
            return self.model.profile.sampling.single_temperature
        return self.plan.temperature

    def _result(self, council: Council, winner: PathResult) -> Result:
        usages = [r.usage for r in council.results]
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
            verdict=self._verdict(council, winner),
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

    def _verdict(self, council: Council, winner: PathResult) -> Verdict:
        if self.comparable and self.plan.n_paths > 1:
            return verdict(council.tally, self.model.rule)
        extracted = winner.extracted if self.comparable else None
        return Verdict("none", None, extracted, "one path, nothing to compare it with")


def compared_answer(answer: str, thinking: str, *, lead: str = "") -> str | None:
    """What a vote compares: the answer's own statement (one line is a statement after `lead`, which was forced before
    it), else the thought's, else the last value of the answer."""
    if len(answer) > MAX_STATEMENT or "\n" in answer:
        lead = ""
    return extract(lead + answer, strict=True) or extract(thinking, strict=True) or extract(answer, strict=False)


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
    profile = choose(family=local.family, name=f"{local.name} {files.model_name}", template=template.source)
    return Model(
        engine=opened,
        tokenizer=tokenizer,
        template=template,
        profile=profile,
        ref=ModelRef(local.name, local.sha256),
        stop_ids=stop_ids(tokenizer, profile.stop, files.eos_ids),
        traces=settings.home / "traces" if settings.traces_bytes != 0 else None,
        traces_bytes=settings.traces_bytes,
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
    `limits` are the fields of `Request`: effort, budget, within_s, max_tokens, paths, check, seed, temperature,
    thought. Raises: UsageError, StoreError, EngineError.
    """
    messages = ([Message("system", system)] if system else []) + [Message("user", question)]
    try:
        request = Request(messages=tuple(messages), **limits)  # pyright: ignore[reportArgumentType]  # checked by Request's own names
    except TypeError as error:
        raise UsageError(f"unknown setting: {error}", "see bethink.types.Request") from error
    with load(model) as loaded:
        return asyncio.run(loaded.answer(request, counts_loading=True))
