"""The path of a vote for which nobody waits any longer: the others have ended, and it is far longer than they were.

Source: of several chains the short ones are right more often, arXiv 2505.17813. Departure: only the last one that runs
is given up, and only beyond a multiple of the others' median (`VoteRule.straggler`); docs/lab-log.md has the replay.
"""

from __future__ import annotations

from dataclasses import dataclass

from bethink.thinking.decisions import CONTINUE, Decision, Stop, View
from bethink.wording import counted


@dataclass(slots=True)
class Straggler:
    """Gives the path up beyond `most` tokens, which the council sets when the others have ended (None: not yet)."""

    most: int | None = None

    def decide(self, view: View) -> Decision:
        n_tokens = view.n_thinking_spent + view.n_answer
        if self.most is None or n_tokens <= self.most:
            return CONTINUE
        cause = f"the others have ended, and nobody waits for more than {counted(self.most, 'token')}"
        return Stop("user", cause, is_discarded=True)
