"""Two measurements side by side, paired by question: another model, another engine, another day.

Questions are paired by what they ask, not by their number, so that two files in another order can be compared; what
only one measurement asked is left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bethink.errors import UsageError
from bethink.evals.results import Line, read_results, read_settings
from bethink.evals.summary import Comparison, compare


@dataclass(frozen=True, slots=True)
class SideBySide:
    """`pairs` compare an arm of A with one of B; `n_only_a` and `n_only_b` questions have no partner; `differing` are
    the settings that are not the same, as (name, in A, in B)."""

    pairs: Sequence[Comparison]
    n_only_a: int
    n_only_b: int
    differing: Sequence[tuple[str, str, str]]


SHOWN = ("task", "task_sha256", "model", "engine", "seed", "seeds", "max_tokens", "bethink", "machine")


def compare_folders(a: Path, b: Path) -> SideBySide:
    """Arms of the same name are compared; where there are none, all arms of A with all of B.

    Raises: UsageError: no results, or no question in common.
    """
    lines_a, lines_b = _keyed(read_results(a)), _keyed(read_results(b))
    asked_a, asked_b = ({line.id for line in lines} for lines in (lines_a, lines_b))
    if not asked_a & asked_b:
        raise UsageError(f"{a} and {b} have no question in common", "compare measurements of the same questions")
    arms_a, arms_b = (list(dict.fromkeys(line.arm for line in lines)) for lines in (lines_a, lines_b))
    same = [(name, name) for name in arms_a if name in arms_b]
    names = same or [(x, y) for x in arms_a for y in arms_b]
    found = [
        compare(x, [line for line in lines_a if line.arm == x], y, [line for line in lines_b if line.arm == y])
        for x, y in names
    ]
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        raise UsageError(f"no arm of {a} and {b} answered the same question", "compare measurements of the same arms")
    differing = _differing(read_settings(a), read_settings(b))
    return SideBySide(pairs, len(asked_a - asked_b), len(asked_b - asked_a), differing)


def _keyed(lines: Sequence[Line]) -> list[Line]:
    """The lines named by question and known answer."""
    return [replace(line, id=f"{line.question}\0{line.gold}") for line in lines]


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    def shown(value: object) -> str:
        return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)  # pyright: ignore[reportUnknownArgumentType]  # JSON

    return [(key, shown(a.get(key)), shown(b.get(key))) for key in SHOWN if a.get(key) != b.get(key)]
