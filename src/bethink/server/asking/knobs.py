"""How much to think, in the words of every dialect: accepted alike everywhere, and refused where two contradict.

Owns the table of knobs (OpenAI, OpenRouter, Anthropic, DashScope, vLLM, SGLang, llama.cpp, Ollama, ours) and what each
becomes. What always holds: a knob that is read is honoured or is an error that names its field; none is dropped in
silence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import NullIsDefault, Strict
from bethink.thinking.spend import MAX_PATHS
from bethink.types import Effort, Request, Truncation

Level = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "auto"]
EFFORT_OF: dict[str, Effort] = {
    "none": "none",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
    "auto": "auto",
}
Budget = Annotated[int, Field(ge=0)]


class Reasoning(NullIsDefault):
    """OpenRouter's knob, and that of OpenAI's Responses."""

    effort: Level | None = None
    max_tokens: Budget | None = None
    exclude: bool = False
    enabled: bool | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class TemplateSwitches(Strict):
    """vLLM's and SGLang's way to switch a thought on or off."""

    enable_thinking: bool | None = None
    thinking: bool | None = None


class Thinking(Strict):
    """Anthropic's, which others took over. `display` omitted: the thought is not told."""

    type: Literal["enabled", "disabled", "adaptive", "auto"]
    budget_tokens: Budget | None = None
    display: Literal["summarized", "omitted"] | None = None


class CustomParams(Strict):
    """SGLang's."""

    thinking_budget: Budget | None = None


class Ours(NullIsDefault):
    """What no dialect has. A `check` by a command of the client's own would run it on this machine: there is none.
    `events` asks a stream for the progress of votes and closings."""

    budget: Budget | None = None
    effort: Level | None = None
    within_s: Annotated[float, Field(gt=0, le=86400)] | None = None
    paths: Annotated[int, Field(ge=1, le=MAX_PATHS)] | None = None
    programs: Annotated[int, Field(ge=0, lt=MAX_PATHS)] | None = None
    check: Literal["auto", "none", "math", "code", "schema"] | None = None
    tests: str | None = None
    answer_reserve: Annotated[int, Field(ge=1)] | None = None
    thought: str | None = None
    truncation: Truncation | None = None
    events: bool = False


class Knobs(NullIsDefault):
    """The fields that a body may hold beside its dialect's own. Bodies inherit from it."""

    reasoning_effort: Level | None = None
    reasoning: Reasoning | None = None
    enable_thinking: bool | None = None
    thinking_budget: Budget | None = None
    chat_template_kwargs: TemplateSwitches | None = None
    thinking_token_budget: Budget | None = None
    custom_params: CustomParams | None = None
    thinking: Thinking | None = None
    think: bool | Level | None = None
    reasoning_budget: Annotated[int, Field(ge=-1)] | None = None
    reasoning_format: Literal["auto", "none", "deepseek", "deepseek-legacy"] | None = None
    reasoning_control: bool | None = None
    include_reasoning: bool | None = None
    bethink: Ours | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """One knob as it was turned: `value` is an effort, a budget, or whether to think."""

    field: str
    value: Any


def thinking_of(knobs: Knobs, *more: Wish) -> dict[str, Any]:
    """`effort`, `budget` and the rest of a `Request` that the knobs decide. `more` are efforts of the dialect's own
    fields.

    Raises: BadField: two of them contradict each other.
    """
    reasoning, ours = knobs.reasoning or Reasoning(), knobs.bethink or Ours()
    switches, custom = knobs.chat_template_kwargs or TemplateSwitches(), knobs.custom_params or CustomParams()
    think, is_level = knobs.think, isinstance(knobs.think, str)
    effort = _one(
        Wish("reasoning_effort", _effort(knobs.reasoning_effort)),
        Wish("reasoning.effort", _effort(reasoning.effort)),
        Wish("think", EFFORT_OF[think] if isinstance(think, str) else None),
        Wish("bethink.effort", _effort(ours.effort)),
        *more,
    )
    budget = _one(
        Wish("reasoning.max_tokens", reasoning.max_tokens),
        Wish("thinking.budget_tokens", _anthropic_budget(knobs.thinking)),
        Wish("thinking_budget", knobs.thinking_budget),
        Wish("thinking_token_budget", knobs.thinking_token_budget),
        Wish("custom_params.thinking_budget", custom.thinking_budget),
        Wish("reasoning_budget", None if knobs.reasoning_budget == -1 else knobs.reasoning_budget),
        Wish("bethink.budget", ours.budget),
    )
    switch = _one(
        Wish("reasoning.enabled", reasoning.enabled),
        Wish("thinking.type", _anthropic_switch(knobs.thinking)),
        Wish("think", None if is_level else think),
        Wish("enable_thinking", knobs.enable_thinking),
        Wish("chat_template_kwargs.enable_thinking", switches.enable_thinking),
        Wish("chat_template_kwargs.thinking", switches.thinking),
    )
    settled: dict[str, Any] = settle(effort, budget, switch)
    rest = ("within_s", "paths", "programs", "check", "tests", "answer_reserve", "thought", "truncation")
    return settled | {name: value for name in rest if (value := getattr(ours, name)) is not None}


def truncation_of(knobs: Knobs, theirs: Wish) -> Truncation:
    """Whether the oldest turns may be left out, by our knob and by the dialect's own.

    Raises: BadField: the two contradict each other.
    """
    wish = _one(Wish("bethink.truncation", knobs.bethink and knobs.bethink.truncation), theirs)
    return wish.value if wish else "disabled"


def _anthropic_budget(thinking: Thinking | None) -> int | None:
    if thinking is None or thinking.budget_tokens is None:
        return None
    if thinking.type != "enabled":
        raise BadField(
            "thinking.budget_tokens",
            f"thinking.budget_tokens={thinking.budget_tokens} contradicts thinking.type={thinking.type!r}",
            'a budget goes with "enabled"',
            code="contradiction",
        )
    return thinking.budget_tokens


def _anthropic_switch(thinking: Thinking | None) -> bool | None:
    """Adaptive leaves it to us, which is our own default."""
    return None if thinking is None else {"enabled": True, "disabled": False}.get(thinking.type)


def settle(effort: Wish | None, budget: Wish | None, switch: Wish | None) -> dict[str, Any]:
    """One effort and one budget of three kinds of knobs.

    Raises: BadField.
    """
    if switch is not None and switch.value is False:
        for other, off in ((effort, "none"), (budget, 0)):
            if other is not None and other.value != off:
                raise _contradiction(other, switch)
        return {"effort": "none", "budget": 0}
    if switch is not None:
        for other, off in ((effort, "none"), (budget, 0)):
            if other is not None and other.value == off:
                raise _contradiction(other, switch)
    if effort is not None and effort.value == "none":
        if budget is not None and budget.value > 0:
            raise _contradiction(budget, effort)
        return {"effort": "none", "budget": 0}
    settled: dict[str, Any] = {}
    if effort is not None:
        settled["effort"] = effort.value
    elif switch is not None and budget is None:
        settled["effort"] = "medium"
    if budget is not None:
        settled["budget"] = budget.value
    return settled


def shows_thought(knobs: Knobs) -> bool:
    """Whether the thought is told: not when the client asked to leave it out.

    Raises: BadField.
    """
    excluded = knobs.reasoning.exclude if knobs.reasoning is not None else None
    is_omitted = knobs.thinking is not None and knobs.thinking.display == "omitted"
    wish = _one(
        Wish("reasoning.exclude", None if not excluded else False),
        Wish("thinking.display", False if is_omitted else None),
        Wish("include_reasoning", knobs.include_reasoning),
    )
    return wish is None or bool(wish.value)


def refuse_inline(knobs: Knobs) -> None:
    """For dialects that have a place of their own for the thought.

    Raises: BadField.
    """
    if knobs.reasoning_format == "none":
        raise BadField(
            "reasoning_format",
            "reasoning_format='none' is not possible here: this API tells a thought apart from its answer",
            "leave it away, or ask /v1/chat/completions",
        )


def with_drawn(request: Request, **changes: Any) -> Request:
    """The request with what is not None of `changes`."""
    return replace(request, **{name: value for name, value in changes.items() if value is not None})


def _effort(level: str | None) -> Effort | None:
    return None if level is None else EFFORT_OF[level]


def _one(*wishes: Wish) -> Wish | None:
    """The one value that all turned knobs of a kind agree on."""
    turned = [wish for wish in wishes if wish.value is not None]
    for wish in turned[1:]:
        if wish.value != turned[0].value:
            raise _contradiction(wish, turned[0])
    return turned[0] if turned else None


def _contradiction(wish: Wish, other: Wish) -> BadField:
    return BadField(
        wish.field,
        f"{wish.field}={wish.value!r} contradicts {other.field}={other.value!r}",
        f"leave one of them away: {wish.field} or {other.field}",
        code="contradiction",
    )
