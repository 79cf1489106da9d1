"""What Ollama's dialects have in common: options, formats, how long to keep a model, and the numbers at the end.

Owns that an option is honoured or refused: a context is never cut in silence, so `num_ctx` may ask for what the model
has and no more. Options that choose hardware change no answer; this server has chosen already.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pydantic_core
from pydantic import Field

from bethink.errors import BethinkError
from bethink.server.asking.asks import BadField, Envelope
from bethink.server.asking.bodies import Listed, Strict, stops
from bethink.server.asking.drawing import (
    MAX_TOP_LOGPROBS,
    MinP,
    Penalty,
    Repetition,
    TopK,
    TopP,
    drawn,
    wanted_logprobs,
)
from bethink.server.asking.knobs import Knobs, shows_thought
from bethink.server.saying.extension import extension, progress
from bethink.server.saying.telling import Aside
from bethink.server.saying.words import finish_reason, logprob
from bethink.types import Drawing, Result, TokenLogprob

NDJSON = "application/x-ndjson"
REFUSED = {
    "template": "the model's own template is used; ask /api/generate with raw=true to write the prompt yourself",
    "context": "send the earlier turns to /api/chat",
    "width": "this server's models write text",
    "height": "this server's models write text",
    "steps": "this server's models write text",
    "options.tfs_z": "leave it away",
    "options.mirostat_tau": "leave it away",
    "options.mirostat_eta": "leave it away",
    "options.embedding_only": "leave it away",
}
UNIT_S: dict[str, float] = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


class Options(Strict):
    num_predict: Annotated[int, Field(ge=-2)] | None = None
    num_ctx: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_k: TopK | None = None
    top_p: TopP | None = None
    min_p: MinP | None = None
    seed: int | None = None
    stop: str | Listed[str] | None = None
    repeat_penalty: Repetition | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    # what is off, or is what we do
    repeat_last_n: Literal[-1] | None = None
    mirostat: Literal[0] | None = None
    typical_p: Literal[1] | None = None
    num_keep: int | None = None
    # hardware
    numa: bool | None = None
    num_batch: int | None = None
    num_gpu: int | None = None
    main_gpu: int | None = None
    low_vram: bool | None = None
    f16_kv: bool | None = None
    logits_all: bool | None = None
    vocab_only: Literal[False] | None = None
    use_mmap: bool | None = None
    use_mlock: bool | None = None
    num_thread: int | None = None
    penalize_newline: Literal[True] | None = None


class OllamaBody(Knobs):
    """`shift`: nothing is ever cut from a context while an answer is written."""

    model: str = ""
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: Options | None = None
    keep_alive: str | float | None = None
    shift: Literal[False] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None


@dataclass(slots=True)
class LineTeller:
    """What both tellers do alike. `said` is what a line holds beside its head: a response, or a message."""

    body: OllamaBody
    envelope: Envelope
    shows_thought: bool = field(init=False)

    def __post_init__(self) -> None:
        self.shows_thought = shows_thought(self.body)

    def begin(self) -> Iterable[bytes]:
        return ()

    def fail(self, error: BethinkError) -> Iterable[bytes]:
        yield line(ollama_error(error))

    def final(self, result: Result) -> dict[str, Any]:
        """The end of an answer, and what was not honoured."""
        said = final(result)
        evidence = said["bethink"]
        return said | {"bethink": {**evidence, "notes": [*self.envelope.notes, *evidence["notes"]]}}

    def told(self, tokens: tuple[TokenLogprob, ...]) -> dict[str, Any]:
        """The logprobs, where they are wished."""
        return {"logprobs": [logprob(token) for token in tokens]} if self.body.logprobs else {}

    def aside(self, part: Aside, said: Mapping[str, Any]) -> Iterable[bytes]:
        """The progress of a run, where it is wished."""
        if self.body.bethink is not None and self.body.bethink.events:
            yield line({**head(self.envelope), "done": False, "bethink": progress(part.event), **said})


def asked_of(given: OllamaBody) -> dict[str, Any]:
    """The fields of an `Ask` that are no part of its request."""
    options = given.options or Options()
    return {
        "is_streamed": given.stream is not False,
        "n_context": options.num_ctx,
        "keep_s": seconds_of(given.keep_alive),
    }


def limits_of(given: OllamaBody) -> dict[str, Any]:
    """The fields that a `Request` and a `Completion` share.

    Raises: BadField.
    """
    options = given.options or Options()
    limit = options.num_predict
    if limit == 0:
        raise BadField("options.num_predict", "num_predict=0 leaves no room for an answer", "-1 sets no limit")
    seed = options.seed
    return {
        "max_tokens": None if limit is None or limit < 0 else limit,
        "temperature": options.temperature,
        "seed": None if seed is None or seed < 0 else seed,
        "json_schema": _schema(given.format),
        "drawing": _drawing(options, wanted_logprobs(given.logprobs, given.top_logprobs)),
    }


def _drawing(options: Options, logprobs: int | None) -> Drawing:
    return drawn(
        top_p=options.top_p,
        top_k=options.top_k,
        min_p=options.min_p,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        repetition_penalty=options.repeat_penalty,
        stop=stops(options.stop, "options.stop"),
        logprobs=logprobs,
    )


def _schema(form: str | dict[str, Any] | None) -> str | None:
    if form is None or form == "":
        return None
    if form == "json":
        return '{"type": "object"}'
    if isinstance(form, str):
        raise BadField("format", f"format: unknown {form[:40]!r}", '"json", or a JSON schema as an object')
    return pydantic_core.to_json(form).decode()


def seconds_of(keep_alive: str | float | None) -> float | None:
    """Ollama's durations: seconds as a number, or like "1h30m"; what is negative is for ever.

    Raises: BadField.
    """
    if keep_alive is None:
        return None
    if isinstance(keep_alive, str):
        text = keep_alive.strip()
        sign, text = (-1, text[1:]) if text.startswith("-") else (1, text)
        if re.fullmatch(r"[0-9]{1,12}", text):
            value = float(text)
        elif len(text) < 60 and re.fullmatch(f"(?:{_DURATION.pattern})+", text):
            value = sum(float(number) * UNIT_S[unit] for number, unit in _DURATION.findall(text))
        else:
            raise BadField("keep_alive", f"keep_alive: {keep_alive[:40]!r} is no duration", 'like "5m", 300, or -1')
        value *= sign
    else:
        value = keep_alive
    if math.isnan(value):
        raise BadField("keep_alive", "keep_alive is no number", 'like "5m", 300, or -1')
    return math.inf if value < 0 else value


def ollama_error(error: BethinkError) -> Mapping[str, Any]:
    """Ollama's clients read one text; the code stands beside it."""
    message = f"{error}" + (f" ({error.hint})" if error.hint else "")
    is_bad_field = isinstance(error, BadField)
    said = {"error": message, "code": error.problem if is_bad_field else error.code}
    return said | ({"param": error.field} if is_bad_field else {})


def head(envelope: Envelope) -> dict[str, Any]:
    created = datetime.fromtimestamp(envelope.created, UTC).isoformat().replace("+00:00", "Z")
    return {"model": envelope.model, "created_at": created}


def final(result: Result) -> dict[str, Any]:
    """The end of an answer: why, how many tokens, how long in nanoseconds."""
    timing, used = result.timing, result.usage
    first_s = timing.load_s if timing.first_token_s is None else timing.first_token_s
    return {
        "done": True,
        "done_reason": "length" if finish_reason(result) == "length" else "stop",
        "total_duration": _ns(timing.total_s),
        "load_duration": _ns(timing.load_s),
        "prompt_eval_count": used.prompt_tokens,
        "prompt_eval_duration": _ns(first_s - timing.load_s),
        "eval_count": used.completion_tokens,
        "eval_duration": _ns(timing.total_s - first_s),
        "bethink": extension(result),
    }


def _ns(seconds: float) -> int:
    return max(0, round(seconds * 1e9))


def line(value: Mapping[str, Any]) -> bytes:
    return pydantic_core.to_json(value) + b"\n"
