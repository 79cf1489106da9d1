"""The values that cross module borders: frozen, plain, without behaviour.

Owns what a question, a sampling setting, an event and a result look like. Refuses to know engines, stores or displays.
A thought is a list of token ids; `ids` are token ids and `text` is `str` everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
ClosedBy = Literal["natural", "budget", "deadline", "loop", "converged", "user"]
Phase = Literal["thinking", "answer"]
Effort = Literal["auto", "none", "low", "medium", "high", "max"]
PathKind = Literal["prose", "program"]
Truncation = Literal["auto", "disabled"]
FinishReason = Literal["stop", "length", "loop", "deadline", "user", "tool_calls", "server_stopping"]

EFFORTS: tuple[Effort, ...] = ("auto", "none", "low", "medium", "high", "max")
CLOSINGS: tuple[ClosedBy, ...] = ("natural", "budget", "deadline", "loop", "converged", "user")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask the caller to run. `parameters` is the JSON schema of its arguments, an object;
    empty: it takes whatever the model gives."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's wish to have a tool run. `arguments` is the JSON text of an object; nobody promises that it holds to
    the tool's schema. `id` is what the tool's answer must name."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `thinking` is what the assistant thought before `content`; a profile decides whether history keeps
    it. `tool_calls` are the assistant's; a message of role "tool" answers the one whose id is `tool_call_id`."""

    role: Role
    content: str
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an engine draws tokens in one `start`.

    `temperature` 0 is greedy. `top_k` 0 and `top_p` 1 and `min_p` 0 are off. `stop_ids` end the stream; the stop
    token itself is yielded last. `max_tokens` counts sampled tokens. `seed` makes a request alone on an engine
    repeatable. `json_schema` constrains decoding where `EngineInfo.capabilities` holds `"json_schema"`. `logprobs`
    asks for that of each sampled token, `top_logprobs` for so many likely others beside it (`"top_logprobs"`). The
    penalties (0, and 1 for `repetition_penalty`, are off; `"penalties"`) are the engine's own, over what it samples
    in this start."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int = 0
    max_tokens: int = 1024
    stop_ids: tuple[int, ...] = ()
    logprobs: bool = False
    json_schema: str | None = None
    top_logprobs: int = 0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a request wants its tokens drawn; None is the profile's default.

    `stop` are texts that end the answer and are no part of it; they are never looked for inside a thought or a tool
    call. `logprobs`: None off, 0 the logprob of each token of the answer, n the n most likely beside it."""

    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model, with the limits its thinking must keep.

    `budget` bounds sampled thinking tokens (None: no bound but `max_tokens`); `max_tokens` bounds one path's whole
    completion; `within_s` is a deadline in seconds from the start of the request (where a question loads its own model,
    from before that, but after what is only done once: fetching and preparing); `paths` is the most chains of thought
    that may be spent (None: the effort decides). `thought` resumes from an edited thought.

    `check` is the evidence: `auto`, `none`, `math`, `code` (with `tests`, or by behaviour without), `schema` (of
    `json_schema`, which then constrains decoding where the engine can) or `cmd:COMMAND`. `tests` are Python, or a JSON
    list of stdin and stdout. `unsafe_local` runs programs without a sandbox where there is none. `json_schema` without
    that check constrains decoding or is an error. `sure` is how likely the answer of a vote must be right to pass
    (None: as the settings say); it needs a calibrated model. `programs` is how many of the paths write a program whose
    output votes with the others (None: none do); at least one path reasons in words.

    `tools` may be called instead of, or beside, an answer; they mean one path and no vote unless `paths` or `check` say
    otherwise. `tool_choice`: `auto`, `none` (the model is not shown them), `required`, or `function:NAME`.
    `parallel_tool_calls` False ends the turn after one call.

    `truncation`: `disabled` refuses a conversation that leaves the context no room for an answer; `auto` leaves out its
    oldest turns where it takes more than three quarters of the context, or leaves no room, and says so.
    """

    messages: tuple[Message, ...]
    effort: Effort = "auto"
    budget: int | None = None
    within_s: float | None = None
    max_tokens: int | None = None
    answer_reserve: int | None = None
    paths: int | None = None
    check: str = "auto"
    seed: int | None = None
    temperature: float | None = None
    thought: str | None = None
    json_schema: str | None = None
    tests: str | None = None
    unsafe_local: bool = False
    sure: float | None = None
    programs: int | None = None
    drawing: Drawing = Drawing()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    truncation: Truncation = "disabled"


@dataclass(frozen=True, slots=True)
class Completion:
    """Text to go on with as it stands: no chat template, no thinking, no promise that anything follows.

    Special tokens spelled in `prompt` and `suffix` are plain text. A `suffix` (also an empty one) asks for what belongs
    between the two, of models that know how. The other fields are those of `Request`.
    """

    prompt: str
    suffix: str | None = None
    max_tokens: int = 256
    temperature: float | None = None
    seed: int | None = None
    drawing: Drawing = Drawing()
    within_s: float | None = None
    json_schema: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by what they were for. All but the first and the last are sampled tokens, summed over all paths.

    `discarded_tokens` were rolled back, or belong to paths cancelled before they answered. `cached_tokens` of the
    prompt's were in the engine's cache already, as far as it says so; 0 where it does not.
    """

    prompt_tokens: int = 0
    thinking_tokens: int = 0
    answer_tokens: int = 0
    probe_tokens: int = 0
    discarded_tokens: int = 0
    cached_tokens: int = 0

    @property
    def completion_tokens(self) -> int:
        return self.thinking_tokens + self.answer_tokens + self.probe_tokens + self.discarded_tokens


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from the start of the request; None where the thing never happened.

    `load_s` of them passed before the model could be asked: nothing where it was loaded already.
    """

    first_token_s: float | None
    first_answer_token_s: float | None
    total_s: float
    tokens_per_s: float
    load_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Vote:
    """One class of equivalent answers: its representative and how many paths gave it."""

    answer: str
    count: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about an answer. `passed` is True, False, or None for unsure. `kind` is none, vote, math, code,
    schema or cmd. `probability` is how likely the answer of a vote is right, where the model was calibrated."""

    kind: str
    passed: bool | None
    extracted: str | None = None
    why: str = ""
    agreement: float | None = None
    votes: tuple[Vote, ...] = ()
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of an answer. `raw` are its bytes, which may be part of a character; `text` shows what is no character
    by itself as U+FFFD. `logprob` is natural, None where nobody knows (forced tokens; llama.cpp inside a character).
    `top` are the likeliest tokens there, best first, as (text, logprob)."""

    text: str
    logprob: float | None
    raw: bytes = b""
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PathResult:
    """One finished (or cancelled) chain of thought. `answer` is the visible text; `extracted` what is judged and
    compared. `passed` says whether it was proven (True) or refuted (False) by itself, `why` what judged it. Of the kind
    "program" `extracted` is what the program in `answer` printed, None where it did not run to its end."""

    index: int
    thinking: str
    answer: str
    closed_by: ClosedBy
    finish_reason: FinishReason
    usage: Usage
    extracted: str | None = None
    mean_logprob: float | None = None
    is_cancelled: bool = False
    passed: bool | None = None
    why: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    stop_text: str | None = None
    """Which of the request's stop texts ended the answer."""
    kind: PathKind = "prose"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which weights answered: the name the user gave and the hash of the source file."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a `Request` with its evidence. `answer` holds no thinking marker, and is empty only beside
    `tool_calls`. `logprobs` are of the answer's tokens, those of calls left out. `notes` are those of `Started`."""

    answer: str
    thinking: str
    closed_by: ClosedBy
    finish_reason: FinishReason
    verdict: Verdict
    usage: Usage
    timing: Timing
    model: ModelRef
    engine: str
    seed: int
    trace_id: str
    paths: tuple[PathResult, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    stop_text: str | None = None
    notes: tuple[str, ...] = ()


# Events, in the order in which a display sees them. `path` counts from 0.


@dataclass(frozen=True, slots=True)
class Started:
    """The request is accepted. `budget` is the thinking budget per path, `paths` the most that may be spent."""

    prompt_tokens: int
    budget: int | None
    paths: int
    effort: Effort
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of one path. `n_tokens` counts the sampled tokens of this phase so far. Never half a character.
    `logprobs` are those of the tokens that carry this text, when they were asked for."""

    path: int
    phase: Phase
    text: str
    n_tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call, counted by `index` from 0 in its path. `id` and `name` come with its first event;
    `arguments`, joined over its events, are those of the call."""

    path: int
    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ThoughtRolledBack:
    """The display must cut the path's thought to its first `keep_chars` characters (a loop is being escaped)."""

    path: int
    keep_chars: int
    cause: str


@dataclass(frozen=True, slots=True)
class ThoughtClosed:
    path: int
    closed_by: ClosedBy
    n_tokens: int


@dataclass(frozen=True, slots=True)
class PathDone:
    """A path gave its answer or was cancelled. `votes` is the running vote, best first; `n_running` paths go on."""

    result: PathResult
    votes: tuple[Vote, ...]
    n_running: int


@dataclass(frozen=True, slots=True)
class Finished:
    result: Result


@dataclass(frozen=True, slots=True)
class Completed:
    """What followed a `Completion`'s prompt; `text` may be empty. The last event of a `CompletionRun`. `usage` counts
    the text as answer tokens."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    timing: Timing
    model: ModelRef
    engine: str
    seed: int
    trace_id: str
    logprobs: tuple[TokenLogprob, ...] = ()


Event = Started | TextDelta | ThoughtRolledBack | ThoughtClosed | ToolCallDelta | PathDone | Finished
CompletionEvent = TextDelta | Completed


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision of the controller, for the trace: what was done, why, and after how many of the path's ids."""

    path: int
    at_token: int
    action: str
    cause: str
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
