"""Which path speaks which dialect."""

from __future__ import annotations

from pathlib import Path

from bethink.server.asks import Dialect
from bethink.server.wire.chat import Chat
from bethink.server.wire.messages import Messages


def dialects(home: Path | None) -> tuple[tuple[str, Dialect, str], ...]:
    """Path, dialect, and what ids begin with. What a dialect keeps stands in `home`, or in memory without one."""
    return (
        ("/v1/chat/completions", Chat(), "chatcmpl-"),
        ("/v1/messages", Messages(), "msg_"),
    )
