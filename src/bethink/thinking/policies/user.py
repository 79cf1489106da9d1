"""What the person at the keyboard asks for while the model runs."""

from __future__ import annotations

from dataclasses import dataclass

from bethink.thinking.decisions import CONTINUE, Close, Decision, Stop, View


@dataclass(slots=True)
class Control:
    """Shared by all paths of one request; set from the event loop of the request."""

    wants_answer: bool = False
    wants_stop: bool = False


@dataclass(slots=True)
class User:
    """Obeys `Control` at the next token."""

    control: Control

    def decide(self, view: View) -> Decision:
        if self.control.wants_stop:
            return Stop("user", "stopped by the user")
        if self.control.wants_answer and view.phase == "thinking":
            return Close("user", "the user asked for the answer")
        return CONTINUE
