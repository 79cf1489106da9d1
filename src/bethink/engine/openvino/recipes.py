"""The precisions a model can be prepared in, by the labels that users see.

docs/guide/engines.md tells what each one costs. Which one a model gets is the catalogue's choice; int8 is the one
that cost no model anything measurable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bethink.errors import UsageError

DEFAULT_PRECISION = "int8"
RECIPE_VERSION = 2
"""Grows when what is written for the same precision changes; what an older bethink prepared is then made again."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How matrices are stored. `int4_suffixes` name those that are kept in calibrated int4 groups; the rest is `kind`.

    `bits_per_weight` counts scales and zero points too; where a recipe mixes, it is that of a 1.5B model.
    """

    kind: Literal["f16", "int8"]
    bits_per_weight: float
    int4_suffixes: tuple[str, ...] = ()


RECIPES: dict[str, Recipe] = {
    "int8": Recipe("int8", 8.03),
    "mixed": Recipe("int8", 6.15, ("ffn_gate.weight", "ffn_up.weight")),
    "f16": Recipe("f16", 16.0),
}


def recipe_of(label: str) -> Recipe:
    """Raises: UsageError."""
    try:
        return RECIPES[label]
    except KeyError:
        raise UsageError(f"unknown precision {label!r}", f"one of {', '.join(RECIPES)}") from None
