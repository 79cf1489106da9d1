"""The budget: the thinking phase holds at most so many sampled tokens."""

from __future__ import annotations

from dataclasses import dataclass

from bethink.thinking.decisions import CONTINUE, Close, Decision, View
from bethink.wording import counted


@dataclass(slots=True)
class Budget:
    """Closes the thought after `tokens` sampled thinking tokens; those rolled back were spent and count."""

    tokens: int

    def decide(self, view: View) -> Decision:
        if view.phase == "thinking" and view.n_thinking_spent >= self.tokens:
            return Close("budget", f"the budget of {counted(self.tokens, 'token')} is spent")
        return CONTINUE
