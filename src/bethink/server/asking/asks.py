"""What every dialect reads and writes: an `Ask` made of a body, and a `Teller` that says what happens in its words.

Owns the seam between wire and engine room. Refuses to know any dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from bethink.errors import BethinkError, UsageError
from bethink.server.saying.telling import Part
from bethink.types import Completion, Request, Result

MAX_CHOICES = 128
OWNER: ContextVar[str] = ContextVar("owner", default="")
"""Whose request is being read: what a dialect keeps for one owner, no other finds. Empty: nobody asked for a key."""
MAY_WRITE: ContextVar[bool] = ContextVar("may_write", default=False)
"""Whether what they ask, and are answered, may be written down."""


class BadField(UsageError):
    """One field of a body cannot be honoured; `field` is its path as the client spells it (`messages.0.content`)."""

    def __init__(self, field: str, message: str, hint: str = "", *, code: str = "invalid_value") -> None:
        super().__init__(message, hint)
        self.field = field
        self.problem = code


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client wants, in our words. `model` is the name it gave. `n` choices are `n` runs of the same request,
    with seeds of their own. `n_context` is the context that it counts on; `keep_s` how long it wants the model kept in
    memory afterwards (infinite: as long as the server runs)."""

    model: str
    request: Request | Completion
    n: int = 1
    is_streamed: bool = False
    n_context: int | None = None
    keep_s: float | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every piece of one answer states: who answers what since when. `created` is in seconds since the epoch.
    `notes` are what of the request is not honoured, and why."""

    id: str
    model: str
    created: int
    notes: tuple[str, ...] = ()


class Teller(Protocol):
    """Writes one answer in one dialect, as a stream or whole. One instance a request."""

    def begin(self) -> Iterable[bytes]:
        """What a stream says before anything happens."""
        ...

    def tell(self, choice: int, part: Part, /) -> Iterable[bytes]:
        """What a stream says of one part."""
        ...

    def end(self, results: Sequence[Result]) -> Iterable[bytes]:
        """How a stream ends; `results` by choice."""
        ...

    def fail(self, error: BethinkError) -> Iterable[bytes]:
        """How a stream that began already says that it cannot go on."""
        ...

    def whole(self, results: Sequence[Result]) -> Mapping[str, Any]:
        """The answer in one JSON object."""
        ...


class Dialect(Protocol):
    """One way to ask. `media_type` is what a stream is sent as."""

    @property
    def name(self) -> str: ...

    @property
    def media_type(self) -> str: ...

    def read(self, body: bytes) -> tuple[Ask, Any]:
        """The ask, and whatever the dialect wants to know again when it answers.

        Raises: BadField, UsageError.
        """
        ...

    def teller(self, known: Any, envelope: Envelope) -> Teller: ...

    def error(self, error: BethinkError) -> Mapping[str, Any]:
        """The body of an answer that is an error; its status is the error's own."""
        ...


def sse(data: bytes, event: str = "") -> bytes:
    """One event of a stream (text/event-stream); `data` is one line of JSON."""
    head = b"event: " + event.encode() + b"\n" if event else b""
    return head + b"data: " + data + b"\n\n"
