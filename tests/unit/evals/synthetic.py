"""Questions whose truth is known: each has a chance that a path is right, and wrong paths that scatter."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from bethink.evals.candidates import Samples
from bethink.evals.simulate import Item, Sampled

BUDGET = 4096


def paths(draw: Random, n: int, chance: float, *, n_wrong: int, tokens: int, thinking: int) -> tuple[Sampled, ...]:
    """`n` paths, right with that chance; a wrong one gives one of `n_wrong` answers."""
    found: list[Sampled] = []
    for _ in range(n):
        is_right = draw.random() < chance
        label = "right" if is_right else f"wrong {draw.randrange(n_wrong)}"
        found.append(Sampled(label, is_right, tokens + thinking, thinking))
    return tuple(found)


def samples(
    seed: int,
    n: int,
    *,
    chance: Callable[[Random], float] = lambda draw: draw.betavariate(0.7, 1.0),
    direct: Callable[[float], float] = lambda chance: 0.6 * chance,
    n_paths: int = 16,
    thinking: int = 200,
    n_wrong: int = 6,
) -> Samples:
    """`chance` draws how likely a path with a thought is right, `direct` makes of it that of one without."""
    draw = Random(seed)
    thought: list[Item] = []
    short: list[Item] = []
    for at in range(n):
        likely = chance(draw)
        thought.append(Item(str(at), paths(draw, n_paths, likely, n_wrong=n_wrong, tokens=10, thinking=thinking)))
        short.append(Item(str(at), paths(draw, 4, direct(likely), n_wrong=n_wrong, tokens=30, thinking=0)))
    return Samples(thought, short, BUDGET)
