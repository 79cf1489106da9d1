"""`Paths`: makes the paths of one request, all alike but for seed and temperature, and the one beside them.

Owns how a plan, a prompt and the time that is left become a `Path` with its policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bethink.engine.protocol import Engine
from bethink.profiles import Profile
from bethink.prompt import Prompt
from bethink.thinking.aid import PROGRAM_FORM, PROGRAM_TOKENS, Aid
from bethink.thinking.chain import Codec
from bethink.thinking.decisions import Policy
from bethink.thinking.drawing import drawn
from bethink.thinking.effort import FORCED_ROOM, Plan
from bethink.thinking.form import Form
from bethink.thinking.path import Limits, Path
from bethink.thinking.policies.budget import Budget
from bethink.thinking.policies.deadline import Deadline
from bethink.thinking.policies.loops import LoopGuard
from bethink.thinking.policies.straggler import Straggler
from bethink.thinking.policies.user import Control, User
from bethink.trace import Trace
from bethink.types import Decided, Event, PathKind, PathResult, Request, Sampling, Usage

JUDGING_SHARE, JUDGING_MOST_S = 0.1, 3.0
"""Of a deadline so much is kept for judging what the paths answered, where that takes time."""
MAX_ASIDE, ASIDE_LEAST_S = 256, 1.0
"""Tokens of what the model is asked beside the question, and what must be left of the time to ask at all."""
SEED_STEP = 1_000_003


@dataclass(slots=True)
class Paths:
    """`form` is what answers may be; `is_judged`: time is kept for judging; `began` is the start of the request on
    the event loop's clock; `aid` says which paths write programs. `aside_usage` is what was asked beside the question,
    as probe tokens."""

    engine: Engine
    codec: Codec
    profile: Profile
    stop_ids: Sequence[int]
    escapes: int | None
    request: Request
    plan: Plan
    prompt: Prompt
    seed: int
    control: Control
    trace: Trace
    emit: Callable[[Event], None]
    began: float
    form: Form = field(default_factory=Form)
    is_judged: bool = False
    aid: Aid = field(default_factory=Aid)
    aside_usage: Usage = field(default_factory=Usage)
    _stragglers: dict[int, Straggler] = field(default_factory=dict[int, Straggler])

    def new(self, index: int) -> Path:
        """The path of that number. What it may say comes on top of the thought it goes on from."""
        if self.aid.writes_program(index, self.plan.n_paths):
            return self._program(index)
        thought = self.request.thought or ""
        n_thought = len(self.codec.encode(thought, parse_special=False))
        limits = Limits(self.plan.thinking_tokens, self.plan.max_tokens + n_thought)
        path = self._made(index, self.emit, self.prompt, self.sampling(index), limits, self.form)
        path.thought = thought
        return path

    def _program(self, index: int) -> Path:
        """A path that writes a program; a plain model does so without a thought before it."""
        aid, plan, info = self.aid, self.plan, self.engine.info
        assert aid.prompt
        thinking = plan.thinking_tokens if self.profile.is_native else 0
        room = min(info.context_length, info.kv_tokens) - len(aid.prompt.ids)
        limits = Limits(
            min(thinking, max(0, room - FORCED_ROOM)), min(plan.max_tokens, thinking + PROGRAM_TOKENS, room)
        )
        sampling = replace(self.sampling(index), max_tokens=limits.completion_tokens)
        cause = f"{aid.n_programs} of {plan.n_paths} paths write programs, as was asked"
        self.trace.decisions.append(Decided(index, 0, "program", cause))
        return self._made(index, self.emit, aid.prompt, sampling, limits, PROGRAM_FORM, "program")

    async def ask_aside(self, prompt: Prompt, begin: str, purpose: str) -> str:
        """The model's answer to something else, without a thought; empty when there is no room or time for it. A plain
        model goes on from `begin`, which is returned with it. It stands in the trace, after the paths, and is shown to
        nobody."""
        if self.profile.is_native:
            begin = ""
        prompt = replace(prompt, ids=(*prompt.ids, *self.codec.encode(begin)), text=prompt.text + begin)
        info, most = self.engine.info, MAX_ASIDE + FORCED_ROOM
        left_s = self.left_s()
        is_late = self.control.wants_stop or (left_s is not None and left_s < ASIDE_LEAST_S)
        if is_late or len(prompt.ids) + most > min(info.context_length, info.kv_tokens):
            return ""
        warm = self.profile.sampling.temperature  # greedy, small models say the same again and again
        sampling = replace(self.sampling(self.plan.n_paths), temperature=warm, max_tokens=most)
        path = self._made(self.plan.n_paths, lambda _: None, prompt, sampling, Limits(0, most), Form())
        path.chain.traced.purpose = purpose
        result = await path.run()
        spent, before = result.usage, self.aside_usage
        self.aside_usage = Usage(
            probe_tokens=before.probe_tokens + spent.thinking_tokens + spent.answer_tokens,
            discarded_tokens=before.discarded_tokens + spent.discarded_tokens,
        )
        return begin + result.answer

    def give_up_beyond(self, index: int, n_tokens: int) -> None:
        """The path of that number may have so many tokens and no more."""
        self._stragglers[index].most = n_tokens

    def lead(self, path: PathResult) -> str:
        """What stands before an answer that states the outcome of a thought."""
        lead = self.form.lead(self.profile.answer_lead)
        return lead if path.thinking and path.closed_by != "budget" else ""

    def left_s(self) -> float | None:
        """Seconds until the deadline."""
        within_s = self.request.within_s
        return None if within_s is None else within_s - (asyncio.get_running_loop().time() - self.began)

    def sampling(self, index: int) -> Sampling:
        """The first path of a vote is drawn as a path alone would be: the model's best single guess takes part."""
        defaults = self.profile.sampling
        is_single_guess = index == 0 and self.request.temperature is None
        base = Sampling(
            temperature=defaults.single_temperature if is_single_guess else self.plan.temperature,
            seed=(self.seed + SEED_STEP * index) & 0x7FFFFFFF,
            max_tokens=self.plan.max_tokens,
            stop_ids=tuple(self.stop_ids),
        )
        return drawn(defaults, self.request.drawing, base)

    def _made(
        self,
        index: int,
        emit: Callable[[Event], None],
        prompt: Prompt,
        sampling: Sampling,
        limits: Limits,
        form: Form,
        kind: PathKind = "prose",
    ) -> Path:
        deadline = self._deadline()
        straggler = self._stragglers[index] = Straggler()
        policies: list[Policy] = [User(self.control), straggler]
        policies += [deadline] if deadline else []
        policies.append(Budget(limits.thinking_tokens))
        policies += [LoopGuard(rungs=self.escapes)] if self.escapes is not None else []
        return Path(
            engine=self.engine,
            codec=self.codec,
            profile=self.profile,
            prompt_ids=prompt.ids,
            sampling=sampling,
            limits=limits,
            policies=policies,
            trace=self.trace,
            emit=emit,
            deadline=deadline,
            index=index,
            is_opened=prompt.text.rstrip().endswith(self.profile.open_marker) and self.profile.is_native,
            started_at=self.began,
            form=form,
            kind=kind,
        )

    def _deadline(self) -> Deadline | None:
        """When paths must have answered: before the request's deadline where judging them takes time, too."""
        within_s = self.request.within_s
        if within_s is None:
            return None
        kept_s = min(JUDGING_MOST_S, JUDGING_SHARE * within_s) if self.is_judged else 0.0
        return Deadline(within_s - kept_s, self.plan.answer_reserve)
