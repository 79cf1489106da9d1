"""The values of accounts: who asks, what they may, what a request used. Frozen, and without a database.

Times are seconds since the epoch as integers of microseconds (`…_us`), so that both databases keep them exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Literal

from bethink.errors import ModelNotAllowed, ScopeMissing

Scope = Literal["inference", "batches", "admin"]
SCOPES: tuple[Scope, ...] = ("inference", "batches", "admin")
LOCAL_WORKSPACE = "local"
DEFAULT_WORKSPACE = "default"
MAX_NAME = 100
MAX_COUNT = 2**53
"""More than any count here can mean, and exact in every language that will read it."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`now_s` is the time of day (expiry, months, the ledger); `ticks_s` never goes back (limits per minute)."""

    now_s: Callable[[], float] = time.time
    ticks_s: Callable[[], float] = time.monotonic

    def now_us(self) -> int:
        return int(self.now_s() * 1e6)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key, or all keys of a workspace together, may take. None: no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    tokens_per_month: int | None = None

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value: int | None = getattr(self, name)
            if value is not None and not 1 <= value <= MAX_COUNT:
                raise ValueError(f"{name} is {value}; a limit is at least 1, or None")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as a key said it, or the one person of this machine (`LOCAL`). `models` are names or patterns as
    `qwen3:*` (None: all). `logs_content` is the workspace's wish that prompts and answers are kept."""

    workspace_id: str
    workspace: str
    user: str | None
    key_id: str
    key: str
    scopes: frozenset[Scope]
    models: tuple[str, ...] | None = None
    logs_content: bool = False
    is_local: bool = False

    def has(self, scope: Scope) -> bool:
        """`admin` opens everything."""
        return scope in self.scopes or "admin" in self.scopes

    def require(self, scope: Scope) -> None:
        """Raises: ScopeMissing."""
        if not self.has(scope):
            has = ", ".join(sorted(self.scopes)) or "nothing"
            raise ScopeMissing(f"this key may not do that: it needs the scope {scope} and has {has}", "use another key")

    def may_use(self, model: str) -> bool:
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)

    def require_model(self, model: str) -> None:
        """Raises: ModelNotAllowed."""
        if not self.may_use(model):
            allowed = ", ".join(self.models or ()) or "none"
            raise ModelNotAllowed(f"this key may not use the model {model}", f"it may use: {allowed}")


LOCAL = Principal(LOCAL_WORKSPACE, LOCAL_WORKSPACE, None, "", "", frozenset(SCOPES), is_local=True)
"""The one person on loopback, who needs no key. Usage is kept under the workspace `local`."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """`logs_content`: prompts and answers may be kept. `limits` hold for all keys of the workspace together."""

    id: str
    name: str
    limits: Limits
    logs_content: bool
    created_us: int


@dataclass(frozen=True, slots=True)
class User:
    id: str
    workspace: str
    name: str
    created_us: int
    n_keys: int
    """Those that are not revoked."""
    has_password: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """What may be shown of a key: all but its secret, which nobody has but who was given it."""

    id: str
    name: str
    workspace_id: str
    workspace: str
    user: str | None
    scopes: frozenset[Scope]
    models: tuple[str, ...] | None
    limits: Limits
    created_us: int
    expires_us: int | None
    revoked_us: int | None

    def state(self, now_us: int) -> Literal["active", "expired", "revoked"]:
        if self.revoked_us is not None:
            return "revoked"
        return "expired" if self.expires_us is not None and self.expires_us <= now_us else "active"


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """Which models a key may use (None: all), and until when (None: for good)."""

    models: tuple[str, ...] | None = None
    expires_us: int | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret, which is shown once and kept by nobody here."""

    key: Key
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What one finished request used. `cached_tokens` are those of `input_tokens` that were not computed again;
    `discarded_tokens` were rolled back or belong to cancelled paths. `trace_id` is empty where no trace is kept.

    Raises: ValueError: a count below zero, or text that a database cannot hold.
    """

    request_id: str
    model: str
    dialect: str
    status: str
    finished_us: int
    input_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    answer_tokens: int = 0
    probe_tokens: int = 0
    discarded_tokens: int = 0
    duration_us: int = 0
    trace_id: str = ""

    def __post_init__(self) -> None:
        for name in ("request_id", "model", "dialect", "status", "trace_id"):
            check_text(name, getattr(self, name), is_needed=name != "trace_id", longest=500)
        for name in (*TOKEN_COUNTS, "duration_us", "finished_us"):
            value: int = getattr(self, name)
            if not 0 <= value <= MAX_COUNT:
                raise ValueError(f"{name} is {value}")
        if self.cached_tokens > self.input_tokens:
            raise ValueError(f"cached_tokens ({self.cached_tokens}) are more than input_tokens ({self.input_tokens})")

    @property
    def total_tokens(self) -> int:
        """What counts against limits: all that was read and all that was sampled."""
        return self.input_tokens + self.sampled_tokens

    @property
    def sampled_tokens(self) -> int:
        return self.thinking_tokens + self.answer_tokens + self.probe_tokens + self.discarded_tokens


TOKEN_COUNTS = (
    "input_tokens",
    "cached_tokens",
    "thinking_tokens",
    "answer_tokens",
    "probe_tokens",
    "discarded_tokens",
)


def check_text(what: str, text: str, *, is_needed: bool = True, longest: int = MAX_NAME) -> str:
    """The text, if both databases can hold it and a terminal can show it.

    Raises: ValueError.
    """
    if is_needed and not text.strip():
        raise ValueError(f"{what} is empty")
    if len(text) > longest:
        raise ValueError(f"{what} has {len(text)} characters; {longest} are the most")
    if any(ord(char) < 32 or 127 <= ord(char) < 160 or 0xD800 <= ord(char) < 0xE000 for char in text):
        raise ValueError(f"{what} holds characters that cannot be written down: {text!r}")
    return text


def as_us(moment: datetime) -> int:
    """Whole microseconds since the epoch. A moment without a zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (seconds.days * 86400 + seconds.seconds) * 1_000_000 + seconds.microseconds


def as_time(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)


def month_of(us: int) -> str:
    """`2026-11`, in UTC."""
    return f"{as_time(us):%Y-%m}"
