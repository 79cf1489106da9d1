"""Ollama's generate: `POST /api/generate`, one JSON object a line.

A prompt is a question, asked through the model's template; `raw` takes it as it stands, and with `suffix` the model
writes what belongs between the two. Neither of these thinks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bethink.errors import BethinkError
from bethink.server.asking.asks import Ask, BadField, Envelope
from bethink.server.asking.bodies import Listed, read_body
from bethink.server.asking.knobs import Knobs, refuse_inline, shows_thought, thinking_of
from bethink.server.saying.telling import Answer, Aside, Part, Thought
from bethink.server.wire.ollama.words import (
    NDJSON,
    REFUSED,
    LineTeller,
    OllamaBody,
    asked_of,
    head,
    limits_of,
    line,
    ollama_error,
)
from bethink.types import Completion, Message, Request, Result


class GenerateBody(OllamaBody):
    prompt: str = ""
    suffix: str | None = None
    system: str | None = None
    raw: bool | None = None
    images: Listed[str] | None = None
    truncate: Literal[False] | None = None


@dataclass(frozen=True, slots=True)
class OllamaGenerate:
    """The dialect."""

    name: str = "ollama_generate"
    media_type: str = NDJSON

    def read(self, body: bytes) -> tuple[Ask, GenerateBody]:
        given = read_body(GenerateBody, body, REFUSED)
        if given.images:
            raise BadField("images", "this server's models read text, not images", "send text")
        request = _completion(given) if given.raw or given.suffix else _request(given)
        return Ask(given.model, request, **asked_of(given)), given

    def teller(self, known: GenerateBody, envelope: Envelope) -> GenerateTeller:
        return GenerateTeller(known, envelope)

    def error(self, error: BethinkError) -> Mapping[str, Any]:
        return ollama_error(error)


def _request(given: GenerateBody) -> Request:
    settled = thinking_of(given)
    shows_thought(given)
    refuse_inline(given)
    system = (Message("system", given.system),) if given.system else ()
    return Request(messages=(*system, Message("user", given.prompt)), **limits_of(given), **settled)


def _completion(given: GenerateBody) -> Completion:
    """Text is gone on with: whatever speaks of a thought or of a template cannot be honoured."""
    lead = "raw" if given.raw else "suffix"
    wanted = [name for name in Knobs.model_fields if getattr(given, name) is not None and name != "bethink"]
    if given.think is False:
        wanted.remove("think")
    if wanted:
        raise BadField(wanted[0], f"{wanted[0]} contradicts {lead}: text that is gone on with has no thought")
    if given.system:
        raise BadField("system", f"system contradicts {lead}: text that is gone on with has no system message")
    ours = given.bethink.model_dump(exclude_none=True, exclude={"within_s", "events"}) if given.bethink else {}
    if ours:
        raise BadField(f"bethink.{next(iter(ours))}", f"text that is gone on with has no {next(iter(ours))}")
    limits = {name: value for name, value in limits_of(given).items() if value is not None}
    within_s = given.bethink.within_s if given.bethink else None
    return Completion(given.prompt, given.suffix or None, within_s=within_s, **limits)


@dataclass(slots=True)
class GenerateTeller(LineTeller):
    """Writes lines, or one object."""

    def tell(self, _: int, part: Part, /) -> Iterable[bytes]:
        match part:
            case Thought(text):
                if self.shows_thought:
                    yield self._line({"response": "", "thinking": text})
            case Answer(text, logprobs):
                yield self._line({"response": text, **self.told(logprobs)})
            case Aside():
                yield from self.aside(part, {"response": ""})
            case _:
                pass

    def _line(self, said: Mapping[str, Any]) -> bytes:
        return line({**head(self.envelope), **said, "done": False})

    def end(self, results: Sequence[Result]) -> Iterable[bytes]:
        for result in results:
            yield line({**head(self.envelope), "response": "", **self.final(result)})

    def whole(self, results: Sequence[Result]) -> Mapping[str, Any]:
        result = results[0]
        said: dict[str, Any] = {"response": result.answer}
        if self.shows_thought and result.thinking:
            said["thinking"] = result.thinking
        return {**head(self.envelope), **said, **self.told(result.logprobs), **self.final(result)}
