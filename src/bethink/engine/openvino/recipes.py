"""The precisions a model can be prepared in, by the labels that users see.

int8 is what accuracy allows everywhere (docs/precision tells what each one costs); f16 is for measuring against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bethink.errors import UsageError

DEFAULT_PRECISION = "int8"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How matrices are stored. `bits_per_weight` counts scales and zero points too."""

    kind: Literal["f16", "int8"]
    bits_per_weight: float


RECIPES: dict[str, Recipe] = {
    "int8": Recipe("int8", 8.03),
    "f16": Recipe("f16", 16.0),
}


def recipe_of(label: str) -> Recipe:
    """Raises: UsageError."""
    try:
        return RECIPES[label]
    except KeyError:
        raise UsageError(f"unknown precision {label!r}", f"one of {', '.join(RECIPES)}") from None
