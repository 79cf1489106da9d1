"""What a policy may see of a path, and what it may decide. Policies decide; only `path.py` acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bethink.types import ClosedBy, FinishReason, Phase


@dataclass(frozen=True, slots=True)
class Continue:
    """Read on."""


@dataclass(frozen=True, slots=True)
class Force:
    """Append `ids` as if the model had written them, and go on from there."""

    ids: tuple[int, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class Close:
    """End the thought with the hand-off and begin the answer."""

    reason: ClosedBy
    cause: str = ""


@dataclass(frozen=True, slots=True)
class RollBack:
    """Take back the last `n` tokens, then go on: not with token `ban`, after `inject` if it is given, and at
    `temperature` for the next `hot_tokens` tokens."""

    n: int
    cause: str
    ban: int | None = None
    inject: str = ""
    temperature: float | None = None
    hot_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """End the path here; `is_discarded` takes it out of the vote."""

    reason: FinishReason
    cause: str = ""
    is_discarded: bool = False


Decision = Continue | Force | Close | RollBack | Stop
CONTINUE = Continue()


class View(Protocol):
    """What a policy sees after each token. Counts are of this path alone.

    `phase_ids` are the kept ids of the present phase (forced ones included), newest last, copied on each read;
    `n_thinking_spent` counts every sampled token of the thought, those since rolled back included; `rate` is decode
    tokens per second, None until known.
    """

    @property
    def phase(self) -> Phase: ...
    @property
    def phase_ids(self) -> Sequence[int]: ...
    @property
    def last_id(self) -> int: ...
    @property
    def last_text(self) -> str: ...
    @property
    def n_thinking_spent(self) -> int: ...
    @property
    def n_answer(self) -> int: ...
    @property
    def has_answer(self) -> bool: ...
    @property
    def elapsed_s(self) -> float: ...
    @property
    def rate(self) -> float | None: ...


class Policy(Protocol):
    """One rule with its own state for one path. Called once for each sampled token, in order."""

    def decide(self, view: View) -> Decision: ...
