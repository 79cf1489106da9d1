"""Requests with random knobs of every dialect, and the clauses of the contract that each answer must hold.

A request is drawn from a seed. Most of what is drawn can be honoured; some of it contradicts itself or the model, and must
be refused by name. Used by the tests, and by bench/knobs.py for many more.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from bethink.engine.scripted import Context, Line
from tests.unit.server.wire.speaking import PARAMETERS, SPEECHES, Question, Speech, Told

THOUGHTS = ("Short.", "I think about it for a while, and then some more. " * 4, "")
ANSWERS = ("It is 4.", "Four, I would say. " * 6, "4")
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 2}}\n</tool_call>'
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
BUDGETS = (0, 1, 7, 30, 200)
LIMITS = (1, 3, 20, 150, 600)


def random_model(context: Context) -> Line:
    """Says something that depends on its seed and its question alone: thoughts that end, that are empty, or that loop;
    answers, calls, and thinking markers where they do not belong."""
    turn = context.text.rsplit("assistant\n", 1)[-1]
    rng = random.Random(context.sampling.seed // 7919)
    answer = _answer(context, rng)
    if "</think>" in turn or "<think>" not in turn:
        return Line(answer)
    if rng.random() < 0.15:
        return Line("", loop="Again and again and again. ")
    return Line(f"{rng.choice(THOUGHTS)}\n</think>\n\n{answer}")


def _answer(context: Context, rng: random.Random) -> str:
    if context.text.endswith('"arguments": '):
        return '{"a": 2, "b": 2}'
    if context.sampling.json_schema is not None:
        return '{"sum": 4}' if '"sum"' in context.sampling.json_schema else '{"name": "add", "arguments": {"a": 2}}'
    if "<tools>" in context.text and rng.random() < 0.6:
        return CALL * rng.choice((1, 1, 2))
    if rng.random() < 0.1:
        return f"It is <think>hm</think> {rng.choice(ANSWERS)}"
    return rng.choice(ANSWERS)


@dataclass(slots=True)
class Drawn:
    """One request. `off` says that some knob switched thinking off, `budget` the least that any knob allows."""

    speech: Speech
    body: dict[str, Any]
    streams: bool
    off: bool = False
    budget: int | None = None
    max_tokens: int = 0
    more: dict[str, Any] = field(default_factory=dict[str, Any])

    def wish(self, **knobs: Any) -> bool:
        """Turn knobs that were not turned yet; False: one was."""
        for name, value in knobs.items():
            there = self.body.get(name)
            if isinstance(there, dict) and isinstance(value, dict) and not there.keys() & value.keys():
                self.body[name] = {**there, **value}  # pyright: ignore[reportUnknownMemberType]  # any JSON
            elif name in self.body:
                return False
            else:
                self.body[name] = value
        return True


def draw(seed: int) -> Drawn:
    rng = random.Random(seed)
    speech = rng.choice(SPEECHES)
    limit = rng.choice(LIMITS)
    text = rng.choice(("Tell me about two and two.", "How many are 2 and 2?", "Größe 😀\u0000?"))
    asked = Question(text, max_tokens=limit, seed=rng.randrange(1000), has_schema=rng.random() < 0.2)
    drawn = Drawn(speech, speech.body(asked), rng.random() < 0.5, max_tokens=limit)
    if speech.name == "messages":
        drawn.body.pop("thinking", None)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
        rng.choice(WISHES)(drawn, rng)
    _add_tools(drawn, rng)
    if speech.name == "chat" and not drawn.streams:
        drawn.body.pop("stream_options", None)
    drawn.body["stream"] = drawn.streams
    return drawn


def _effort(drawn: Drawn, rng: random.Random) -> None:
    level = rng.choice(EFFORTS)
    is_new = rng.choice(
        (
            lambda: drawn.wish(reasoning_effort=level),
            lambda: drawn.wish(reasoning={"effort": level}),
            lambda: drawn.wish(think=level),
            lambda: drawn.wish(bethink={"effort": level}),
        )
    )()
    drawn.off |= is_new and level == "none"


def _budget(drawn: Drawn, rng: random.Random) -> None:
    n = rng.choice(BUDGETS)
    is_new = rng.choice(
        (
            lambda: drawn.wish(thinking_budget=n),
            lambda: drawn.wish(thinking_token_budget=n),
            lambda: drawn.wish(reasoning_budget=n),
            lambda: drawn.wish(reasoning={"max_tokens": n}),
            lambda: drawn.wish(custom_params={"thinking_budget": n}),
            lambda: drawn.wish(thinking={"type": "enabled", "budget_tokens": n}),
            lambda: drawn.wish(bethink={"budget": n}),
        )
    )()
    if is_new:
        drawn.budget = n if drawn.budget is None else min(n, drawn.budget)


def _switch(drawn: Drawn, rng: random.Random) -> None:
    is_on = rng.random() < 0.5
    is_new = rng.choice(
        (
            lambda: drawn.wish(enable_thinking=is_on),
            lambda: drawn.wish(think=is_on),
            lambda: drawn.wish(chat_template_kwargs={"enable_thinking": is_on}),
            lambda: drawn.wish(reasoning={"enabled": is_on}),
            lambda: drawn.wish(thinking={"type": "enabled" if is_on else "disabled"}),
        )
    )()
    drawn.off |= is_new and not is_on


def _ours(drawn: Drawn, rng: random.Random) -> None:
    drawn.wish(
        bethink=rng.choice(
            ({"paths": 3}, {"within_s": 30}, {"events": True}, {"answer_reserve": 10}, {"check": "none"}, {"paths": 0})
        )
    )


def _told(drawn: Drawn, rng: random.Random) -> None:
    drawn.wish(
        **rng.choice(({"include_reasoning": False}, {"reasoning": {"exclude": True}}, {"reasoning_control": True}))
    )


def _nonsense(drawn: Drawn, rng: random.Random) -> None:
    drawn.wish(
        **rng.choice(
            ({"reasoning_effort": "huge"}, {"no_such": 1}, {"thinking_budget": -3}, {"think": []}, {"bethink": 5})
        )
    )


WISHES: tuple[Callable[[Drawn, random.Random], None], ...] = (
    _effort, _effort, _budget, _budget, _budget, _switch, _ours, _told, _nonsense
)  # fmt: skip


def _add_tools(drawn: Drawn, rng: random.Random) -> None:
    if rng.random() < 0.7:
        return
    function = {"name": "add", "parameters": PARAMETERS}
    match drawn.speech.name:
        case "messages":
            choice: Any = {"type": rng.choice(("auto", "any", "none"))}
            drawn.wish(tools=[{"name": "add", "input_schema": PARAMETERS}], tool_choice=choice)
        case "responses":
            drawn.wish(tools=[{"type": "function", **function}], tool_choice=rng.choice(("auto", "required", "none")))
        case "chat":
            tools = [{"type": "function", "function": function}]
            drawn.wish(tools=tools, tool_choice=rng.choice(("auto", "required", "none")))
        case _:
            drawn.wish(tools=[{"type": "function", "function": function}])


def read(drawn: Drawn, answer: httpx.Response) -> Told:
    """What a client understands of an answer that is none of an error."""
    if not drawn.streams:
        return drawn.speech.whole(answer.json())
    if drawn.speech.streams_lines:
        lines = [json.loads(line) for line in answer.text.splitlines()]
        return drawn.speech.stream([line for line in lines if line.get("done") or "bethink" not in line])
    events = list[dict[str, Any]]()
    for block in answer.text.strip().split("\n\n"):
        data = next((line[6:] for line in block.splitlines() if line.startswith("data: ")), "[DONE]")
        if data != "[DONE]":
            events.append(json.loads(data))
    return drawn.speech.stream(events)


def broken(drawn: Drawn, answer: httpx.Response) -> list[str]:
    """The clauses that an answer does not hold; of a refusal, that it names what it refuses."""
    if answer.status_code != 200:
        said = answer.json()["error"]
        text = said if isinstance(said, str) else said["message"]
        return [] if answer.status_code == 400 and text else [f"status {answer.status_code}: {text}"]
    told = read(drawn, answer)
    used, n_paths = told.bethink["usage"], max(1, len(told.bethink.get("paths", ())))
    thinking, sampled = used["thinking_tokens"], used["completion_tokens"]
    is_cut = told.bethink["finish_reason"] == "length"  # half a call is no call: it is shown as it stands
    clauses = {
        "there is an answer or a call": bool(told.answer.strip() or told.calls),
        "no marker in the answer": "<think>" not in told.answer and "</think>" not in told.answer,
        "no call is told as text": is_cut or "<tool_call>" not in told.answer,
        "off is off": not drawn.off or thinking == 0,
        "usage adds up": told.usage[1] == sampled and told.usage[0] > 0,
        "why it closed is told": told.bethink["closed_by"] in CLOSINGS,
    }
    if "paths" not in str(drawn.body.get("bethink")) and told.bethink["verdict"]["kind"] == "none":
        n_most = drawn.max_tokens * n_paths
        clauses |= {
            "within budget": drawn.budget is None or thinking <= drawn.budget,
            "within max_tokens": used["thinking_tokens"] + used["answer_tokens"] <= n_most,
        }
    return [name for name, holds in clauses.items() if not holds]


CLOSINGS = {"natural", "budget", "deadline", "loop", "converged", "user"}
