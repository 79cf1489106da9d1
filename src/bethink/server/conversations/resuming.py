"""How an answer that was interrupted goes on.

One path that was still thinking, or whose thought had ended by itself, by its budget or by the user's wish, goes on
from the thought that was kept: with the same seed, what is left of its budget and of its time. Everything else (a
vote, an escape from a loop, a deadline) runs again from its beginning with the same seed, which on a quiet engine
gives the same text. What was shown stays shown until the new run is as far, either way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bethink.server.conversations.state import Shown
from bethink.types import Event, Request, Started, TextDelta, ThoughtClosed

LEAST_S = 1.0
"""What a deadline that passed while nobody was there leaves."""


@dataclass(frozen=True, slots=True)
class Going:
    """The request to run. `answers_now`: its thought is to be closed at once, as the user wished. `n_kept_tokens` of
    its thought were sampled before."""

    request: Request
    answers_now: bool = False
    n_kept_tokens: int = 0


def go_on(request: Request, shown: Shown, *, elapsed_s: float, handoff: str) -> Going:
    """`request` is the one that was interrupted, `elapsed_s` how long it had run, `handoff` what a profile puts in a
    thought's mouth to close it."""
    if request.within_s is not None:
        request = replace(request, within_s=max(LEAST_S, request.within_s - elapsed_s))
    path = shown.paths.get(0)
    if shown.start is None or shown.n_paths != 1 or path is None or not path.thinking:
        return Going(request)
    if path.closed_by in ("loop", "deadline", "converged"):
        return Going(request)
    thought = path.thinking
    if path.closed_by not in (None, "natural"):
        thought = thought.removesuffix(handoff)
    if not thought.strip():
        return Going(request)
    budget: int | None = shown.start["budget"]
    left = None if budget is None else max(0, budget - path.n_thinking)
    if path.closed_by == "budget":
        left = 0
    going = replace(request, thought=thought, budget=left, programs=None)
    return Going(going, answers_now=path.closed_by == "user", n_kept_tokens=path.n_thinking)


def counted_on(event: Event, n_kept: int) -> Event:
    """The event as if the kept tokens had been sampled by the same run."""
    match event:
        case Started(budget=int(budget)):
            return replace(event, budget=budget + n_kept)
        case TextDelta(phase="thinking") | ThoughtClosed():
            return replace(event, n_tokens=event.n_tokens + n_kept)
        case _:
            return event
