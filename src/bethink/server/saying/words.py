"""Words that several dialects share: why an answer ended, and how likely its tokens were."""

from __future__ import annotations

from typing import Any

from bethink.types import Result, TokenLogprob

CUT = frozenset({"length", "deadline", "loop", "user", "server_stopping"})
"""Why an answer ended in its middle. Dialects have one word for it, `length`; which of them it was stands under
`bethink`."""
IMPOSSIBLE = -9999.0
"""What OpenAI says where the logprob is not known."""


def finish_reason(result: Result) -> str:
    if result.finish_reason == "tool_calls":
        return "tool_calls"
    return "length" if result.finish_reason in CUT else "stop"


def logprob(token: TokenLogprob) -> dict[str, Any]:
    """One token, and the likely others beside it."""
    return {
        "token": token.text,
        "logprob": IMPOSSIBLE if token.logprob is None else token.logprob,
        "bytes": list(token.raw),
        "top_logprobs": [{"token": text, "logprob": value, "bytes": list(text.encode())} for text, value in token.top],
    }
