"""Which paths of a vote write programs, and how they are asked.

What always holds: at least one path reasons in words; programs are spread over the waves, so that a vote that ends
early has heard both kinds; a belief that was learnt from paths in words says nothing about a vote with programs.

Source: program-aided language models, arXiv 2211.10435. Departure: no examples are shown, and programs vote beside
reasoning in words instead of replacing it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bethink.prompt import Prompt
from bethink.thinking.effort import FORCED_ROOM, Plan
from bethink.thinking.form import Form

PROGRAM_TOKENS = 768
"""Tokens that a program may have."""
PROGRAM_FORM = Form(stop=("\n```\n",), opening="```python\n")
"""The fence is begun for the model, and what it would explain after it is not written."""


@dataclass(frozen=True, slots=True)
class Aid:
    """`n_programs` of the paths are asked `prompt`."""

    n_programs: int = 0
    prompt: Prompt | None = None

    def writes_program(self, index: int, n_paths: int) -> bool:
        """Evenly over the paths, the first of which writes none."""
        return (index + 1) * self.n_programs // n_paths > index * self.n_programs // n_paths


def settle_aid(n_wanted: int, plan: Plan, prompt: Prompt, room: int) -> tuple[Aid, Plan]:
    """As many as there may be, and the plan that says what was left off. `room` is what the context has behind
    `prompt`."""
    n_programs = min(n_wanted, plan.n_paths - 1)
    if room <= FORCED_ROOM:
        return Aid(), _noting(plan, "programs are left off: the context has no room to ask for them")
    if n_programs < 1:
        return Aid(), _noting(plan, "programs are left off: they vote beside others, and there is one path")
    if n_programs < n_wanted:
        told = f"{n_programs} of {plan.n_paths} paths write programs, not {n_wanted}: one reasons in words"
        plan = _noting(plan, told)
    if plan.rule.belief is not None:
        plan = _noting(plan, "how likely votes are right was measured without programs, and is not said")
        plan = replace(plan, rule=replace(plan.rule, belief=None))
    return Aid(n_programs, prompt), plan


def _noting(plan: Plan, note: str) -> Plan:
    return replace(plan, notes=(*plan.notes, note))
