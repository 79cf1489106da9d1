"""A PDF as text, read in a process of its own with limits of time and memory: such a file may be hostile.

What always holds: nothing of the file is run; the server's own process never parses it; the process is gone when this
returns.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from bethink.server.files.reading import ReadFile, UnreadableFile, shortened

WITHIN_S = 60.0
MAX_OUTPUT = 4_000_000
"""Bytes of the answer; the worker stops long before."""
WORKER = "bethink.server.files.pdf_worker"


class _Said(BaseModel):
    """What the worker says: an `error` in words, or the pages' text. `n_read` of `n_pages` were read, `n_empty` of
    those hold no text."""

    model_config = ConfigDict(frozen=True)
    error: str = ""
    text: str = ""
    n_pages: int = 0
    n_read: int = 0
    n_empty: int = 0


@dataclass(frozen=True, slots=True)
class PdfLimits:
    within_s: float = WITHIN_S


async def read_pdf(name: str, data: bytes, limits: PdfLimits | None = None) -> ReadFile:
    """Raises: UnreadableFile: damaged, encrypted, without text, or too much work."""
    within_s = (limits or PdfLimits()).within_s
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        WORKER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(within_s):
            out, _ = await process.communicate(data)
    except TimeoutError:
        raise UnreadableFile(
            f"{name} takes longer than {within_s:g} s to read", "print it to a new PDF, or send its text"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _told(name, out[:MAX_OUTPUT])


def _told(name: str, out: bytes) -> ReadFile:
    try:
        said = _Said.model_validate_json(out)
    except ValidationError:
        raise UnreadableFile(
            f"{name} needs more time or memory than a file may", "print it to a new PDF, or send its text"
        ) from None
    if said.error:
        raise UnreadableFile(f"{name} {said.error}", "print it to a new PDF, or send its text")
    if not said.text.strip():
        raise UnreadableFile(
            f"{name} holds no text: its {said.n_pages} pages are pictures", "send it through text recognition first"
        )
    text, cut = shortened(said.text, "lines")
    left_out = [cut] if cut else []
    if said.n_read < said.n_pages:
        left_out.append(f"only the first {said.n_read} of {said.n_pages} pages were read")
    if said.n_empty:
        left_out.append(f"{said.n_empty} pages hold no text (pictures?)")
    return ReadFile(name, "pdf", text, "; ".join(left_out) or None)
