"""What OpenAI's dialects say alike: errors, usage, why an answer ended, and how likely its tokens were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bethink.errors import BethinkError
from bethink.server.asks import BadField
from bethink.server.record import added
from bethink.types import Result, TokenLogprob

CUT = frozenset({"length", "deadline", "loop", "user"})
"""Why an answer ended in its middle. Dialects have one word for it, `length`; which of them it was stands under
`bethink`."""
IMPOSSIBLE = -9999.0
"""What OpenAI says where the logprob is not known."""


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


def finish_reason(result: Result) -> str:
    if result.finish_reason == "tool_calls":
        return "tool_calls"
    return "length" if result.finish_reason in CUT else "stop"


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


def logprob(token: TokenLogprob) -> dict[str, Any]:
    """One token, and the likely others beside it."""
    return {
        "token": token.text,
        "logprob": IMPOSSIBLE if token.logprob is None else token.logprob,
        "bytes": list(token.raw),
        "top_logprobs": [{"token": text, "logprob": value, "bytes": list(text.encode())} for text, value in token.top],
    }


def logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {"content": [logprob(token) for token in tokens], "refusal": None}
