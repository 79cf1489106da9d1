"""The deadline: seconds become tokens at the rate measured on this request, re-estimated as it runs."""

from __future__ import annotations

from dataclasses import dataclass

from bethink.thinking.decisions import CONTINUE, Close, Decision, Stop, View

ANSWER_SHARE = 0.3
"""At most this share of the time is kept for the answer when the reserve would take more."""


@dataclass(slots=True)
class Deadline:
    """Ends the request `seconds` after its start, keeping time for an answer of `answer_tokens`.

    An answer that has no visible text at the deadline gets its first words: one decode step, or a few where the first
    tokens are white space.
    """

    seconds: float
    answer_tokens: int

    def decide(self, view: View) -> Decision:
        if view.phase == "thinking":
            if view.elapsed_s >= self.due_s(view):
                return Close(
                    "deadline", f"{view.elapsed_s:.2f} s of {self.seconds:g} s are gone; the rest is the answer's"
                )
        elif view.elapsed_s >= self.seconds and view.has_answer:
            return Stop("deadline", f"{self.seconds:g} s are over")
        return CONTINUE

    def due_s(self, view: View) -> float:
        """When the present phase must be over, in seconds since the start of the request."""
        if view.phase == "answer":
            return self.seconds
        most = self.seconds * ANSWER_SHARE
        return self.seconds - (min(most, self.answer_tokens / view.rate) if view.rate else most)
