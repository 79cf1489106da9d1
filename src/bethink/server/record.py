"""`Record`: what one HTTP request came to, filled in by whoever knows, and told once when all of it is over.

The access log, the metrics and the traces of requests read it. It never holds a prompt, an answer or a secret.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from starlette.requests import Request as Http

from bethink.errors import Unauthorized
from bethink.server.accounts.values import Principal
from bethink.types import Usage

Outcome = Literal["", "ok", "refused", "failed", "cancelled"]


def new_id(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(12)}"


@dataclass(slots=True)
class Record:
    """`id` is what the client sees as x-request-id. `model` is a name that this server knows. Seconds count from
    `began`, on the monotonic clock; `began_ns` is the time of day. `outcome` is empty where no model was asked."""

    method: str = ""
    path: str = ""
    client: str = ""
    id: str = field(default_factory=lambda: new_id("req_"))
    began: float = field(default_factory=time.monotonic)
    began_ns: int = field(default_factory=time.time_ns)
    parent: str = ""
    """The header `traceparent`."""
    status: int = 0
    error: str = ""
    dialect: str = ""
    model: str = ""
    principal: Principal | None = None
    is_streamed: bool = False
    outcome: Outcome = ""
    usage: Usage | None = None
    waited_s: float | None = None
    first_token_s: float | None = None
    total_s: float = 0.0
    task: asyncio.Task[Any] | None = None
    """What runs for it, which may outlive its client by a moment."""

    @classmethod
    def of(cls, http: Http) -> Record:
        """The record of the request that a route answers."""
        return http.state.record

    @property
    def asker(self) -> Principal:
        """Who was let in. Raises: Unauthorized: nobody looked, so nobody was."""
        if self.principal is None:
            raise Unauthorized("nobody was let in here", "this is a fault of bethink: please report it")
        return self.principal

    def seconds(self) -> float:
        return time.monotonic() - self.began


def added(usages: Sequence[Usage]) -> Usage:
    """What several choices of one request used. The prompt and what was cached of it count once, as it was read
    once."""
    summed = {f.name: sum(getattr(usage, f.name) for usage in usages) for f in fields(Usage)}
    once = {
        name: max((getattr(usage, name) for usage in usages), default=0) for name in ("prompt_tokens", "cached_tokens")
    }
    return Usage(**{**summed, **once})
