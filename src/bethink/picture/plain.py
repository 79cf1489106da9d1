"""Foreign text made harmless to show in one row: no control characters."""

from __future__ import annotations

import re

_CONTROLS = [*range(9), *range(11, 32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_REPLACED = dict.fromkeys(_CONTROLS, "\ufffd")
"""C0, C1, and what turns the direction of writing."""


def safe(text: str) -> str:
    """The text with every control character replaced, one for one; newlines and tabs stay."""
    return text.translate(_REPLACED)


def one_row(text: str) -> str:
    return re.sub(r"\s+", " ", safe(text)).strip()
