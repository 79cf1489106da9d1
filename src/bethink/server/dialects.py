"""Which path speaks which dialect."""

from __future__ import annotations

from pathlib import Path

from bethink.server.asks import Dialect
from bethink.server.wire.chat import Chat
from bethink.server.wire.messages import Messages
from bethink.server.wire.ollama_chat import OllamaChat
from bethink.server.wire.ollama_generate import OllamaGenerate


def dialects(home: Path | None) -> tuple[tuple[str, Dialect, str], ...]:
    """Path, dialect, and what ids begin with. What a dialect keeps stands in `home`, or in memory without one."""
    return (
        ("/v1/chat/completions", Chat(), "chatcmpl-"),
        ("/v1/messages", Messages(), "msg_"),
        ("/api/chat", OllamaChat(), "chat_"),
        ("/api/generate", OllamaGenerate(), "gen_"),
    )
