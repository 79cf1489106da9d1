"""Markdown tables on standard output, and what machine they were made on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print one table that can be pasted into a document."""
    print(f"\n### {title}\n")
    print(f"| {' | '.join(columns)} |")
    print(f"|{' --- |' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(_cell(c) for c in row)} |")
    print(flush=True)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def machine() -> str:
    """One line: processor, cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        flags = next(line for line in lines if line.startswith("flags")).split()
        vector = next((v for v in ("avx512_vnni", "avx512f", "avx2") if v in flags), "")
    except (OSError, StopIteration):
        name, vector = platform.processor(), ""
    return f"{name} {vector}, {os.cpu_count()} cores, Python {platform.python_version()}".replace("  ", " ")
