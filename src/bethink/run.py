"""`Run`: one request while it is thought about: from its first refusal to its result and its trace.

A `Run` belongs to the event loop that iterates it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field, replace

from bethink.errors import BethinkError, ContextFull, UsageError
from bethink.loaded import Loaded, settled_seed
from bethink.prompt import Prompt
from bethink.thinking.aid import Aid, settle_aid
from bethink.thinking.checks import Check, choose
from bethink.thinking.checks.aided import Aided, aided
from bethink.thinking.council import Council
from bethink.thinking.drawing import refuse_odd_drawing
from bethink.thinking.effort import Plan, plan
from bethink.thinking.form import Form, form_of, refuse_odd_tools
from bethink.thinking.policies.user import Control
from bethink.thinking.starting import Paths
from bethink.trace import Trace, result_record
from bethink.types import Event, Finished, Message, PathResult, Request, Result, Started, TextDelta, Timing, Usage
from bethink.wording import counted


@dataclass(slots=True)
class Run:
    """One request while it runs: an async iterator of events that ends with `Finished`. It started `load_s` seconds
    before it is iterated."""

    model: Loaded
    request: Request
    load_s: float = 0.0
    control: Control = field(default_factory=Control)
    trace: Trace = field(init=False)
    plan: Plan = field(init=False)
    check: Check = field(init=False)
    seed: int = field(init=False)
    form: Form = field(init=False)
    aid: Aid = field(init=False)
    _prompt: Prompt = field(init=False)
    _council: Council | None = None
    _began: float = 0.0
    _notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        request, model = self.request, self.model
        if not request.messages:
            raise UsageError("there is no question", "give at least one message")
        refuse_odd_drawing(request.drawing, model.engine.info)
        refuse_odd_tools(request)
        self.form = form_of(request, model.engine.info)
        if request.thought is not None and any(m in request.thought for m in model.profile.markers):
            raise UsageError(
                "the edited thought holds a thinking marker", f"remove {' and '.join(model.profile.markers)}"
            )
        self.check = aided(request, choose(request, model.sandbox), model.sandbox, model.profile.markers)
        self.seed = settled_seed(request.seed)
        self._fit()
        self.aid, self.plan = self._aid()
        asked = asdict(request) | {"seed": self.seed, "plan": asdict(self.plan)}
        self.trace = model.begun_trace(asked, self._prompt.ids, self._prompt.text)

    def _fit(self) -> None:
        """Settle, without the oldest turns where they may and must be left out."""
        asked, context_length = self.request, self.model.context_length
        try:
            self._settle()
            if asked.truncation == "disabled" or 4 * len(self._prompt.ids) <= 3 * context_length:
                return
        except ContextFull:
            if asked.truncation == "disabled":
                raise
        for quarters in (3, 2, 1, 0):  # tools, a long answer or an edited thought may need more room than the last one
            self.request = self.model.shortened(asked, quarters)
            try:
                self._settle()
                break
            except ContextFull:
                if quarters == 0:
                    raise
        if n_less := len(asked.messages) - len(self.request.messages):
            told = f"{counted(n_less, 'message')} at the beginning left out: the context has {context_length:,} tokens"
            self.plan = replace(self.plan, notes=(*self.plan.notes, told))

    def _settle(self) -> None:
        """Prompt and plan need each other: whether to think decides the instruction, its length the limits. An edited
        thought stands before what the model adds, and takes room as the prompt does."""
        n_thought = self.model.n_tokens(self.request.thought or "")
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
                n_prompt=len(self._prompt.ids) + n_thought,
                context_length=self.model.context_length,
                rule=self.model.rule,
                calibration=self.model.calibration,
            )
            if self.plan.thinking_tokens > 0 or self.request.thought:
                return

    def _aid(self) -> tuple[Aid, Plan]:
        """Which paths write programs, and the plan with what that changes."""
        if not isinstance(self.check, Aided):
            return Aid(), self.plan
        model = self.model
        wish = model.profile.program_instruction
        prompt = model.prompt(self.request, is_thinking=False, comparable=True, wish=wish)
        room = model.context_length - len(prompt.ids)
        return settle_aid(self.request.programs or 0, self.plan, prompt, room)

    def _late(self) -> tuple[str, ...]:
        """A deadline that counts loading may leave no time; the answer would not show why it is short."""
        within_s = self.request.within_s
        if within_s is None or self.load_s < within_s / 2:
            return ()
        return (f"loading the model took {self.load_s:.1f} s of the {within_s:g} s that the deadline allows",)

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
        self._notes = self.model.notes + self.plan.notes + self.check.notes + self._late()
        yield Started(len(self._prompt.ids), self.plan.budget, self.plan.n_paths, self.plan.effort, self._notes)
        task = asyncio.create_task(self._drive(queue.put_nowait))
        task.add_done_callback(lambda _: queue.put_nowait(None))
        is_prepared = self.plan.n_paths == 1  # nothing will be compared
        try:
            while (event := await queue.get()) is not None:
                if not is_prepared and isinstance(event, TextDelta):
                    self.check.prepare()  # not before: it would keep the first token waiting
                    is_prepared = True
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
            form=self.form,
            is_judged=check.is_slow,
            aid=self.aid,
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
            give_up_beyond=paths.give_up_beyond,
        )
        winner = await council.run()
        result = self._result(council, winner, paths.aside_usage)
        self.trace.result = result_record(result)
        await self.model.keep(self.trace)
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
            cached_tokens=min(council.paths[0].n_cached, len(self._prompt.ids)),
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
            tool_calls=winner.tool_calls,
            logprobs=winner.logprobs,
            stop_text=winner.stop_text,
            notes=self._notes,
        )


def _first(group: BaseExceptionGroup[BethinkError]) -> BethinkError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BethinkError)
    return error
