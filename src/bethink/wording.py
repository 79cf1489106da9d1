"""How numbers are told in sentences. Owns the plural; refuses everything that knows what is told."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """`1 thread`, `2,000 threads`. Only for nouns whose plural ends in s."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
