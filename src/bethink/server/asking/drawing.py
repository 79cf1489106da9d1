"""How tokens are drawn, in the words that most dialects share: vLLM's and llama.cpp's beside OpenAI's own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import Listed, Strict, one_of, stops
from bethink.types import Drawing

MAX_TOP_LOGPROBS = 20

Temperature = Annotated[float, Field(ge=0, le=5)]
TopP = Annotated[float, Field(gt=0, le=1)]
TopK = Annotated[int, Field(ge=-1, le=1_000_000)]
MinP = Annotated[float, Field(ge=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Repetition = Annotated[float, Field(gt=0, le=10)]


class Draws(Strict):
    """Bodies inherit from it. `top_k` −1 and 0 are off."""

    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    min_p: MinP | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Repetition | None = None
    repeat_penalty: Repetition | None = None
    seed: int | None = None
    stop: str | Listed[str] | None = None
    logit_bias: dict[str, float] | None = None


def drawing_of(given: Draws, *, logprobs: int | None = None) -> Drawing:
    """Raises: BadField."""
    if given.logit_bias:
        raise BadField("logit_bias", "logit_bias is not supported here", "leave it away", code="unsupported_field")
    repetition = one_of("repetition_penalty", given.repetition_penalty, "repeat_penalty", given.repeat_penalty)
    return drawn(
        top_p=given.top_p,
        top_k=given.top_k,
        min_p=given.min_p,
        presence_penalty=given.presence_penalty,
        frequency_penalty=given.frequency_penalty,
        repetition_penalty=repetition,
        stop=stops(given.stop),
        logprobs=logprobs,
    )


OFF: dict[str, float] = {"presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0}


def drawn(*, top_k: int | None = None, **values: Any) -> Drawing:
    """A `Drawing` in which a penalty that is off is no wish: engines without penalties can honour that."""
    wished = {name: value for name, value in values.items() if OFF.get(name) != value}
    return Drawing(top_k=None if top_k is None else max(0, top_k), **wished)


def wanted_logprobs(is_wanted: bool | None, n_top: int | None) -> int | None:
    """OpenAI's pair of fields.

    Raises: BadField.
    """
    if n_top is not None and not is_wanted:
        raise BadField("top_logprobs", "top_logprobs needs logprobs=true", code="contradiction")
    return (n_top or 0) if is_wanted else None
