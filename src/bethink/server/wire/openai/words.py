"""What OpenAI's dialects say alike: errors, usage, and how likely tokens were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bethink.errors import BethinkError
from bethink.server.asking.asks import BadField
from bethink.server.record import added
from bethink.server.saying.words import logprob
from bethink.types import Result, TokenLogprob


def openai_error(error: BethinkError) -> Mapping[str, Any]:
    message = f"{error}" + (f" ({error.hint})" if error.hint else "")
    is_bad_field = isinstance(error, BadField)
    return {
        "error": {
            "message": message,
            "type": "invalid_request_error" if error.http_status < 500 else "server_error",
            "param": error.field if is_bad_field else None,
            "code": error.problem if is_bad_field else error.code,
        }
    }


def usage(results: Sequence[Result]) -> dict[str, Any]:
    """Summed over choices; the prompt counts once, as it was read once."""
    used = added([result.usage for result in results])
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.completion_tokens - used.answer_tokens},
    }


def logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {"content": [logprob(token) for token in tokens], "refusal": None}
