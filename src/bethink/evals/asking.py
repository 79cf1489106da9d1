"""Asking one question in the way of one arm: the engine alone, bethink's control, or all paths of a fixed vote.

What always holds: what comes back holds every path's text and cost; the machine's time is taken only for paths that
run (`Load`); an error of the engine is raised, never turned into an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bethink.evals.arms import Arm
from bethink.evals.load import Load, Share
from bethink.evals.task import Output
from bethink.model import Model, Run
from bethink.thinking.answers import compared_answer
from bethink.thinking.starting import SEED_STEP
from bethink.thinking.vote import tally
from bethink.types import Finished, Message, PathDone, PathResult, Request, Result, Sampling, TextDelta, Usage
from bethink.verify.math import classes

PLAIN_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one question. `paths` is empty for a plain arm; `agreement` is None where nothing voted;
    `traces` are the ids of its requests."""

    output: Output
    usage: Usage
    closed_by: str
    finish: str
    agreement: float | None
    paths: tuple[PathResult, ...]
    seconds: float
    latency_s: float
    traces: tuple[str, ...] = ()


def seed_of(seed: int, name: str) -> int:
    """The seed of a question: another for each question and each seed of the run, the same for every arm."""
    digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Asker:
    """`compares` is the check of every request; `max_tokens` bounds one path (None: bethink's own limit, and
    `PLAIN_TOKENS` for a plain arm)."""

    model: Model
    load: Load
    compares: str
    max_tokens: int | None = None

    async def ask(self, arm: Arm, question: str, seed: int) -> Asked:
        """Raises: UsageError, EngineError."""
        request = Request(
            messages=(Message("user", question),),
            effort=arm.effort,
            budget=arm.budget,
            within_s=arm.within_s,
            max_tokens=self.max_tokens,
            paths=arm.paths,
            check=self.compares,
            seed=seed,
            temperature=arm.temperature,
            programs=arm.programs,
        )
        if arm.is_plain:
            return await self._plain(arm, request, seed)
        return await (self._fixed(request, seed) if arm.is_fixed else self._controlled(request))

    async def _plain(self, arm: Arm, request: Request, seed: int) -> Asked:
        model, profile = self.model, self.model.profile
        is_comparable = self.compares == "math"
        prompt = model.prompt(request, is_thinking=is_comparable or profile.is_native, comparable=is_comparable)
        room = model.engine.info.context_length - len(prompt.ids)
        sampling = Sampling(
            temperature=arm.temperature or 0.0,
            top_p=profile.sampling.top_p,
            top_k=profile.sampling.top_k,
            min_p=profile.sampling.min_p,
            seed=seed,
            max_tokens=max(1, min(self.max_tokens or PLAIN_TOKENS, room)),
            stop_ids=model.stop_ids,
        )
        share = await self.load.enter(1)
        began = self.load.clock()
        try:
            stream = model.engine.start(prompt.ids, sampling)
            ids = [token.id async for token in stream]
        finally:
            self.load.change(share, 0)
        text = model.tokenizer.decode([i for i in ids if i not in model.stop_ids])
        thinking, answer = _split(text, profile.open_marker, profile.close_marker) if profile.is_native else ("", text)
        usage = Usage(prompt_tokens=len(prompt.ids), answer_tokens=len(ids))
        output = Output(answer, thinking)
        finish, latency_s = stream.finish or "stop", self.load.clock() - began
        return Asked(output, usage, "natural", finish, None, (), share.seconds, latency_s)

    async def _controlled(self, request: Request) -> Asked:
        run = self.model.think(request)
        wave = run.plan.rule.next_wave(run.plan.n_paths)
        share = await self.load.enter(wave)
        try:
            result = await self._finished(run, share, wave)
        finally:
            self.load.change(share, 0)
        output = Output(result.answer, result.thinking, self._lead(run))
        agreement = result.verdict.agreement if result.verdict.kind == "vote" else None
        return Asked(
            output=output,
            usage=result.usage,
            closed_by=result.closed_by,
            finish=result.finish_reason,
            agreement=agreement,
            paths=result.paths,
            seconds=share.seconds,
            latency_s=result.timing.total_s,
            traces=(result.trace_id,),
        )

    async def _finished(self, run: Run, share: Share, n_started: int) -> Result:
        """Follow a run to its end, telling the load when a path ends and when another wave begins."""
        begun = set(range(n_started))
        async for event in run:
            match event:
                case PathDone() if share.n_paths > 0:
                    self.load.change(share, share.n_paths - 1)
                case TextDelta(path=path) if path not in begun:
                    begun.add(path)
                    self.load.change(share, share.n_paths + 1)
                case Finished(result):
                    return result
                case _:
                    pass
        raise AssertionError("a run ends with Finished or an error")

    async def _fixed(self, request: Request, seed: int) -> Asked:
        """Every path to its end, as a request of its own: a vote would cancel those that cannot change it."""
        n_paths = request.paths or 1
        others = self.model.profile.sampling.temperature
        requests = [
            replace(
                request,
                paths=1,
                seed=(seed + SEED_STEP * i) & 0x7FFFFFFF,
                temperature=others if i and request.temperature is None else request.temperature,
            )
            for i in range(n_paths)
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._controlled(r)) for r in requests]
        asked = [task.result() for task in tasks]
        return await asyncio.to_thread(_voted, asked, is_comparable=self.compares == "math")

    def _lead(self, run: Run) -> str:
        return self.model.profile.answer_lead if run.plan.thinking_tokens > 0 else ""


def _voted(asked: Sequence[Asked], *, is_comparable: bool) -> Asked:
    """The vote over finished paths: the first of the largest class answers; the first path where nothing can be
    compared."""
    paths = [replace(a.paths[0], index=i) for i, a in enumerate(asked)]
    answers = [compared_answer(a.output.answer, a.output.thinking, lead=a.output.lead) for a in asked]
    answers = answers if is_comparable else [None] * len(asked)
    counted = tally(answers, classes)
    winner = asked[min(counted.members[0])] if counted.members else asked[0]
    usages = [a.usage for a in asked]
    usage = Usage(
        prompt_tokens=usages[0].prompt_tokens,
        thinking_tokens=sum(u.thinking_tokens for u in usages),
        answer_tokens=sum(u.answer_tokens for u in usages),
        probe_tokens=sum(u.probe_tokens for u in usages),
        discarded_tokens=sum(u.discarded_tokens for u in usages),
    )
    agreement = counted.agreement if len(asked) > 1 and is_comparable else None
    return Asked(
        output=winner.output,
        usage=usage,
        closed_by=winner.closed_by,
        finish=winner.finish,
        agreement=agreement,
        paths=tuple(paths),
        seconds=sum(a.seconds for a in asked),
        latency_s=max(a.latency_s for a in asked),
        traces=tuple(name for a in asked for name in a.traces),
    )


def _split(text: str, opening: str, closing: str) -> tuple[str, str]:
    """(thinking, answer) of a native model's text; a thought that was never closed is no answer of its own."""
    thinking, marker, answer = text.rpartition(closing)
    return (thinking.removeprefix(opening).strip(), answer.strip()) if marker else ("", text)
