"""What a client writes is never run as a command on the server's machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bethink.server.accounts import LOCAL
from bethink.server.asking.asks import Ask, BadField
from bethink.server.record import Record
from bethink.types import Message, Request
from tests.unit.server.wire.served import serving

ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50},
    "/api/chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "/api/generate": {"prompt": "Hi"},
    "/v1/completions": {"prompt": "Hi"},
}


@pytest.mark.anyio
@pytest.mark.parametrize("path", ASKED)
async def test_no_dialect_runs_a_command(path: str, tmp_path: Path) -> None:
    body = ASKED[path] | {"model": "scripted", "bethink": {"check": f"cmd:touch {tmp_path / 'ran'}"}}
    async with serving() as server:
        answer = await server.client.post(path, json=body)
    assert answer.status_code == 400
    assert "check" in answer.text or "bethink" in answer.text
    assert not (tmp_path / "ran").exists()


@pytest.mark.anyio
@pytest.mark.parametrize("powers", [{"check": "cmd:true"}, {"check": "code", "unsafe_local": True}])
async def test_nor_does_whatever_else_starts_a_run(powers: dict[str, Any]) -> None:
    async with serving() as server:
        with pytest.raises(BadField, match="no commands"):
            server.service.begin(Ask("", Request((Message("user", "Hi"),), **powers)), Record(principal=LOCAL))
