"""`Loaded`: weights, tokenizer, template and profile as one thing: what a run needs of a model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from bethink.engine.protocol import Engine
from bethink.profiles import Profile
from bethink.prompt import Prompt, Template, Tokenizer, last_question, render, without_oldest
from bethink.thinking.calibration import Calibration
from bethink.thinking.form import shown_tools
from bethink.thinking.vote import VoteRule
from bethink.trace import Trace, keep_trace, new_trace_id, now_iso
from bethink.types import Message, ModelRef, Request
from bethink.verify.sandbox import SharedSandbox

TURN_TOKENS = 8
"""What a template puts around a message, about."""


@dataclass(slots=True)
class Loaded:
    """`stop_ids` end a turn; `traces` is where finished traces are kept (None: nowhere), in at most `traces_bytes`
    (None: no limit); `escapes` is how often a loop is escaped before the thought is closed (None: loops are not
    looked for, which only measurements want); `rule` ends votes where no `calibration` does; `form` is the form of the
    weights, and `calibrated` the folder of their calibration (None: nowhere). `notes` are said with every question."""

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

    def prompt(self, request: Request, *, is_thinking: bool, comparable: bool, wish: str = "") -> Prompt:
        """The ids of the request, with what is wished of its answer, and the instruction that makes a plain model
        think."""
        messages = list(request.messages)
        instruction = self.profile.instruction if comparable else self.profile.open_instruction
        added = [wish, "" if self.profile.is_native or not is_thinking else instruction]
        at = last_question(messages)
        for text in filter(None, added):
            messages[at] = replace(messages[at], content=f"{messages[at].content}\n\n{text}")
        return render(
            messages,
            self.template,
            self.tokenizer,
            keep_thinking=self.profile.keeps_thinking,
            extra=self.profile.template_options,
            tools=shown_tools(request),
        )

    @property
    def context_length(self) -> int:
        """Tokens that a prompt and its completion may have together, here."""
        return min(self.engine.info.context_length, self.engine.info.kv_tokens)

    def n_tokens(self, text: str) -> int:
        """How many tokens a text has by itself, for limits and quotas; what it spells is plain text."""
        return len(self.tokenizer.encode(text, parse_special=False))

    def shortened(self, request: Request, quarters: int) -> Request:
        """Without the oldest turns, where the conversation takes more than so many quarters of the context."""
        step = max(1, self.context_length // 4)

        def size(message: Message) -> int:
            kept = message.thinking if self.profile.keeps_thinking else None
            calls = [call.name + call.arguments for call in message.tool_calls]
            return TURN_TOKENS + sum(self.n_tokens(text) for text in (message.content, kept or "", *calls))

        return replace(request, messages=tuple(without_oldest(request.messages, size, quarters * step, step)))

    def begun_trace(self, request: Mapping[str, Any], ids: Sequence[int], text: str) -> Trace:
        """The trace of a run of this model, when nothing has happened yet. `text` is what was encoded as `ids`."""
        info = self.engine.info
        return Trace(
            id=new_trace_id(),
            created=now_iso(),
            request=dict(request),
            model=asdict(self.ref),
            engine=f"{info.name} {info.settings}".strip(),
            profile=self.profile.name,
            prompt_ids=list(ids),
            prompt_text=text,
        )

    async def keep(self, trace: Trace) -> None:
        """Keep a finished trace, where traces are kept."""
        if self.traces is not None:
            await asyncio.to_thread(keep_trace, trace, self.traces, self.traces_bytes)

    def close(self) -> None:
        self.engine.close()
        self.sandbox.close()


def settled_seed(seed: int | None) -> int:
    """The seed that was asked for, as engines take it, or any."""
    return random.SystemRandom().randrange(2**31) if seed is None else seed & 0x7FFFFFFF
