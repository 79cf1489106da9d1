"""How tokens are drawn: what a request says over the profile's defaults, refused here where no engine could honour it.

Owns the ranges and which capability each wish needs. Nothing is dropped: what this engine cannot do is an error
before it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from bethink.engine.protocol import EngineInfo
from bethink.errors import CapabilityMissing, UsageError
from bethink.profiles import SamplingDefaults
from bethink.types import Drawing, Sampling

MOST_STOPS, MOST_STOP_CHARS = 32, 1000
MOST_LOGPROBS = 20


def refuse_odd_drawing(drawing: Drawing, info: EngineInfo) -> None:
    """Raises: UsageError naming the field, CapabilityMissing."""
    ranges: tuple[tuple[str, float | None, float, float, str], ...] = (
        ("top_k", drawing.top_k, 0, 1 << 20, "0 is off"),
        ("presence_penalty", drawing.presence_penalty, -2, 2, "0 is off"),
        ("frequency_penalty", drawing.frequency_penalty, -2, 2, "0 is off"),
        ("logprobs", drawing.logprobs, 0, MOST_LOGPROBS, "None is off"),
    )
    for name, value, least, most, hint in ranges:
        if value is not None and not least <= value <= most:
            raise UsageError(f"{name} is {value}; it must be from {least} to {most}", hint)
    open_ranges: tuple[tuple[str, float | None, bool, str], ...] = (
        ("top_p", drawing.top_p, 0 < (drawing.top_p or 0) <= 1, "above 0 and at most 1"),
        ("min_p", drawing.min_p, 0 <= (drawing.min_p or 0) < 1, "from 0 to below 1"),
        (
            "repetition_penalty",
            drawing.repetition_penalty,
            0 < (drawing.repetition_penalty or 0) <= 10,
            "above 0 to 10",
        ),
    )
    for name, value, holds, must in open_ranges:
        if value is not None and not holds:
            raise UsageError(f"{name} is {value}; it must be {must}")
    _refuse_odd_stops(drawing.stop)
    _refuse_what_is_missing(drawing, info)


def drawn(defaults: SamplingDefaults, drawing: Drawing, base: Sampling) -> Sampling:
    """`base` with its tokens drawn as the request wants, else as the profile does."""
    return Sampling(
        temperature=base.temperature,
        top_p=_or(drawing.top_p, defaults.top_p),
        top_k=int(_or(drawing.top_k, defaults.top_k)),
        min_p=_or(drawing.min_p, defaults.min_p),
        seed=base.seed,
        max_tokens=base.max_tokens,
        stop_ids=base.stop_ids,
        logprobs=drawing.logprobs is not None,
        json_schema=base.json_schema,
        top_logprobs=drawing.logprobs or 0,
        presence_penalty=_or(drawing.presence_penalty, 0.0),
        frequency_penalty=_or(drawing.frequency_penalty, 0.0),
        repetition_penalty=_or(drawing.repetition_penalty, 1.0),
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _refuse_odd_stops(stops: Sequence[str]) -> None:
    if len(stops) > MOST_STOPS:
        raise UsageError(f"stop holds {len(stops)} texts; {MOST_STOPS} are allowed")
    for stop in stops:
        if not stop:
            raise UsageError("stop holds an empty text", "every answer would end before it began")
        if len(stop) > MOST_STOP_CHARS:
            raise UsageError(f"a text in stop has {len(stop)} characters; {MOST_STOP_CHARS} are allowed")


def _refuse_what_is_missing(drawing: Drawing, info: EngineInfo) -> None:
    penalties = (drawing.presence_penalty, drawing.frequency_penalty, (drawing.repetition_penalty or 1) - 1)
    if any(penalties) and "penalties" not in info.capabilities:
        raise CapabilityMissing(f"the {info.name} engine has no penalties", "leave them away, or use another engine")
    if drawing.logprobs is not None and "logprobs" not in info.capabilities:
        raise CapabilityMissing(f"the {info.name} engine gives no logprobs", "leave them away, or use another engine")
    if drawing.logprobs and "top_logprobs" not in info.capabilities:
        raise CapabilityMissing(
            f"the {info.name} engine knows the logprob of the sampled token only; logprobs is {drawing.logprobs}",
            "ask for logprobs without likely others (0), or use --engine llamacpp",
        )
