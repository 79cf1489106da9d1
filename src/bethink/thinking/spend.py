"""`Spend`: what a question may cost, the value behind every effort."""

from __future__ import annotations

from dataclasses import dataclass

from bethink.thinking.vote import VoteRule

MAX_PATHS = 256
"""As many as a request, an effort or a calibration may ask for."""


@dataclass(frozen=True, slots=True)
class Spend:
    """`budget` in sampled thinking tokens a path (0: answers at once; -1: only the context bounds it), `paths` at most,
    and the `rule` that ends them early (None: the usual one)."""

    budget: int
    paths: int
    rule: VoteRule | None = None
