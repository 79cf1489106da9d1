"""Which path speaks which dialect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bethink.server.asking.asks import Dialect
from bethink.server.wire.anthropic.messages import Messages
from bethink.server.wire.ollama.chat import OllamaChat
from bethink.server.wire.ollama.generate import OllamaGenerate
from bethink.server.wire.openai.chat import Chat
from bethink.server.wire.openai.completions import Completions
from bethink.server.wire.openai.response_store import ResponseStore
from bethink.server.wire.openai.responses import Responses

Dialects = Sequence[tuple[str, Dialect, str]]
"""Path, dialect, and what ids begin with."""


def dialects_of(responses: ResponseStore) -> Dialects:
    return (
        ("/v1/chat/completions", Chat(), "chatcmpl-"),
        ("/v1/completions", Completions(), "cmpl-"),
        ("/v1/responses", Responses(responses), "resp_"),
        ("/v1/messages", Messages(), "msg_"),
        ("/api/chat", OllamaChat(), "chat_"),
        ("/api/generate", OllamaGenerate(), "gen_"),
    )


def responses_in(home: Path | None) -> ResponseStore:
    """In memory without a home."""
    return ResponseStore(None if home is None else home / "responses")
