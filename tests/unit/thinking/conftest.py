"""Paths over the scripted engine in a line or two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bethink.engine.scripted import END, Script, ScriptedEngine, scripted_tokenizer
from bethink.profiles import Profile, load_profiles
from bethink.prompt import Tokenizer
from bethink.thinking.decisions import Policy
from bethink.thinking.form import Form
from bethink.thinking.path import Limits, Path
from bethink.thinking.policies.budget import Budget
from bethink.thinking.policies.deadline import Deadline
from bethink.thinking.policies.loops import LoopGuard
from bethink.thinking.policies.user import Control, User
from bethink.trace import Trace
from bethink.types import Event, PathResult, Sampling, TextDelta, ThoughtRolledBack

NATIVE = next(p for p in load_profiles() if p.name == "qwen3")
FREE = Form()
SCHEMAS = frozenset({"logprobs", "top_logprobs", "json_schema"})
PROMPTED = next(p for p in load_profiles() if p.name == "qwen2.5")


@dataclass
class Rig:
    """A path, what it emitted, and its trace."""

    path: Path
    engine: ScriptedEngine
    trace: Trace
    control: Control
    events: list[Event] = field(default_factory=list[Event])

    async def run(self) -> PathResult:
        self.path.started_at = asyncio.get_running_loop().time()
        return await self.path.run()

    @property
    def streamed(self) -> dict[str, str]:
        """What a display that follows the events shows at the end."""
        shown = {"thinking": "", "answer": ""}
        for event in self.events:
            match event:
                case TextDelta(phase=phase, text=text):
                    shown[phase] += text
                case ThoughtRolledBack(keep_chars=n):
                    shown["thinking"] = shown["thinking"][:n]
                case _:
                    pass
        return shown

    @property
    def actions(self) -> list[str]:
        return [d.action for d in self.trace.decisions]


MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig() -> MakeRig:
    def make(
        script: Script,
        *,
        profile: Profile = NATIVE,
        budget: int = 1000,
        max_tokens: int = 4000,
        deadline: Deadline | None = None,
        rungs: int = 2,
        thought: str = "",
        prompt: str = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n",
        form: Form = FREE,
        **engine_settings: Any,
    ) -> Rig:
        engine = ScriptedEngine(script, **engine_settings)
        codec = Tokenizer(scripted_tokenizer())
        end = codec.token_id(END)
        assert end is not None
        trace = Trace("t", "", {}, {}, "scripted", profile.name, [], "")
        control = Control()
        policies: list[Policy] = [
            User(control),
            *([deadline] if deadline else []),
            Budget(budget),
            LoopGuard(rungs=rungs),
        ]
        events: list[Event] = []
        path = Path(
            engine=engine,
            codec=codec,
            profile=profile,
            prompt_ids=codec.encode(prompt),
            sampling=Sampling(
                stop_ids=(end,),
                max_tokens=max_tokens,
                logprobs=form.n_logprobs is not None,
                top_logprobs=form.n_logprobs or 0,
            ),
            form=form,
            limits=Limits(budget, max_tokens),
            policies=policies,
            trace=trace,
            emit=events.append,
            deadline=deadline,
            thought=thought,
        )
        return Rig(path, engine, trace, control, events)

    return make
