"""How an ask becomes results, whatever its dialect: every choice a run of its own, told as it comes, counted to the
token.

What always holds: whoever stops listening stops the run, never its accounting; a run that failed, or was cut off, is
counted with what it had sampled by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, fields, replace

from bethink.completing import CompletionRun
from bethink.errors import BethinkError, ContextFull
from bethink.model import Model
from bethink.run import Run
from bethink.server.accounts.values import Principal
from bethink.server.asking.asks import Ask
from bethink.server.record import Record
from bethink.server.running.estimating import Estimate, n_chars_of
from bethink.server.saying.telling import Answer as AnswerText
from bethink.server.saying.telling import Part, Story, Thought
from bethink.types import Completion, Request, Result, Usage

SEED_STEP = 7_919_003
"""Between the choices of one request; paths of one choice lie nearer."""
LONG_PROMPT_CHARS = 20_000
"""A prompt so long is rendered and cut into tokens beside the event loop, which others wait for."""

MIN_WITHIN_S = 0.001
Tell = Callable[[int, Part], None]
AnyRun = Run | CompletionRun


@dataclass(slots=True, eq=False)
class Answering:
    """One request under way. `id` is what clients call it by; `model` a resolved name; `runs` has one entry a choice,
    once they run. `is_low`: it waits until nobody else does (a batch). `notes` are what of it is not honoured."""

    ask: Ask
    model: str
    principal: Principal
    record: Record
    is_low: bool = False
    notes: tuple[str, ...] = ()
    created: int = field(default_factory=lambda: int(time.time()))
    runs: list[AnyRun] = field(default_factory=list[AnyRun])
    is_stopped: bool = False
    is_cut_off: bool = False
    """It was stopped because the server ends; nobody wished it."""
    wants_answer: bool = False
    most_paths: int | None = None
    """What limits have room for, where bethink chooses how many paths it takes."""
    waiting: asyncio.Task[object] | None = None
    """Its own task, as long as it waits for its turn or for its model."""

    @property
    def id(self) -> str:
        return self.record.id

    def answer_now(self) -> None:
        """Whoever still waits answers without a thought once it runs."""
        self.wants_answer = True
        for run in self.runs:
            if isinstance(run, Run):
                run.answer_now()

    def cut_off(self) -> None:
        """Stop, because this server ends."""
        self.is_cut_off = not self.is_stopped
        self.stop()

    def stop(self) -> None:
        """End with what there is; whoever still waits for its turn leaves the queue."""
        self.is_stopped = True
        for run in self.runs:
            run.stop()
        waiting, self.waiting = self.waiting, None
        if waiting is not None:  # once only: afterwards it writes down that it was stopped
            waiting.cancel()

    def usage(self) -> list[Usage]:
        """By choice, of finished and of unfinished runs."""
        return [usage_of(run) for run in self.runs]


@dataclass(slots=True)
class Running:
    """The requests under way, by id."""

    _by_id: dict[str, Answering] = field(default_factory=dict[str, Answering])

    def find(self, request_id: str) -> Answering | None:
        return self._by_id.get(request_id)

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._by_id)

    def stop_all(self) -> None:
        """The server ends: called again and again until they have all ended."""
        for answering in list(self._by_id.values()):
            if not answering.is_stopped:
                answering.cut_off()

    @contextlib.contextmanager
    def listed(self, answering: Answering) -> Generator[Answering]:
        self._by_id[answering.id] = answering
        try:
            yield answering
        finally:
            del self._by_id[answering.id]


async def run(answering: Answering, model: Model, tell: Tell, results: list[Result]) -> None:
    """Run every choice at once, and `tell` their parts as they come. `results`, by choice, get those of the runs that
    finished, whatever this raises.

    Raises: BethinkError.
    """
    ask, record = answering.ask, answering.record
    await begun(answering, model)
    stories = [Story() for _ in answering.runs]

    def follow(choice: int) -> asyncio.Task[None]:
        return asyncio.create_task(_follow(answering.runs[choice], stories[choice], choice, told))

    def told(choice: int, part: Part) -> None:
        if record.first_token_s is None and isinstance(part, Thought | AnswerText):
            record.first_token_s = record.seconds()
        tell(choice, part)

    try:
        if ask.n == 1:
            await _follow(answering.runs[0], stories[0], 0, told)
        else:
            await _all([follow(choice) for choice in range(ask.n)])
    finally:
        results += [_told(answering, story.result) for story in stories if story.result is not None]


def _told(answering: Answering, result: Result) -> Result:
    """A client can tell an answer that the server cut off from one that somebody stopped."""
    is_ours = answering.is_cut_off and result.finish_reason == "user"
    return replace(result, finish_reason="server_stopping") if is_ours else result


async def begun(answering: Answering, model: Model) -> list[AnyRun]:
    """Its runs, ready to be iterated. They count the time that the request waited: deadlines are the client's.

    Raises: BethinkError: what is asked cannot be honoured.
    """
    ask = answering.ask
    _refuse_longer(ask, model)
    waited_s = answering.record.waited_s = answering.record.seconds()
    if not answering.principal.logs_content:
        model = replace(model, traces=None)

    request = ask.request
    if answering.most_paths is not None:
        request = Estimate(request, model.calibration).held_to(answering.most_paths)

    def begin() -> list[AnyRun]:
        return [_begun(model, choice_of(request, n, model), waited_s) for n in range(ask.n)]

    is_long = n_chars_of(ask.request) * ask.n > LONG_PROMPT_CHARS
    answering.runs = await asyncio.to_thread(begin) if is_long else begin()
    if answering.wants_answer:
        answering.answer_now()
    if answering.is_stopped:
        answering.stop()
    return answering.runs


def _begun(model: Model, request: Request | Completion, waited_s: float) -> AnyRun:
    if isinstance(request, Request):
        return Run(model, request, waited_s)
    if request.within_s is not None:
        request = replace(request, within_s=max(MIN_WITHIN_S, request.within_s - waited_s))
    return model.complete(request)


def _refuse_longer(ask: Ask, model: Model) -> None:
    """Raises: ContextFull: the client counts on a longer context than there is; nothing is ever cut in silence."""
    longest = model.context_length
    if ask.n_context is not None and ask.n_context > longest:
        raise ContextFull(
            f"a context of {ask.n_context} was asked for, but this model's holds {longest}", "ask for less"
        )


async def _follow(run: AnyRun, story: Story, choice: int, tell: Tell) -> None:
    try:
        async for event in run:
            for part in story.parts(event):
                tell(choice, part)
    except BaseExceptionGroup as group:
        raise first_of(group) from None
    finally:
        if story.result is None:
            run.stop()


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for all; when one fails the others end too."""
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first: one of our errors where there is one."""
    inner = [first_of(e) if isinstance(e, BaseExceptionGroup) else e for e in group.exceptions]  # pyright: ignore[reportUnknownArgumentType]  # of a group of anything
    return next((error for error in inner if isinstance(error, BethinkError)), inner[0])


def usage_of(run: AnyRun) -> Usage:
    """What a run used: as its result says, or what it had sampled when it ended without one."""
    if run.trace.result is not None:
        said = run.trace.result["usage"]
        return Usage(**{f.name: said[f.name] for f in fields(Usage)})
    sampled = sum(token.origin == "sampled" for path in run.trace.paths for token in path.tokens)
    return Usage(prompt_tokens=len(run.trace.prompt_ids), discarded_tokens=sampled)


def choice_of(request: Request | Completion, choice: int, model: Model) -> Request | Completion:
    """The first choice is drawn as it would be alone; the others with seeds of their own, and never greedily unless the
    client wished so, since they would all be the same."""
    if choice == 0:
        return request
    temperature = request.temperature
    if temperature is None:
        temperature = model.profile.sampling.temperature
    seed = None if request.seed is None else (request.seed + SEED_STEP * choice) & 0x7FFFFFFF
    return replace(request, temperature=temperature, seed=seed)
