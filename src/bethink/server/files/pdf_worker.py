"""Reads one PDF from its stdin and says its text, as JSON, on its stdout. A process of its own: see `pdf`.

It limits itself before it reads a byte. A page that cannot be read is empty; a file that cannot be opened is an error
in words.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, Protocol

MEMORY_BYTES = 1 << 30
CPU_S = 50
MAX_PAGES = 500
MAX_CHARS = 300_000
"""A little more than is kept, so that who reads it sees that there is more."""


class Page(Protocol):
    def extract_text(self) -> str: ...


def limit_itself() -> None:
    """Memory and processor time. Where the system cannot, whoever started us has a clock."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_FSIZE, 0)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def text_of(pages: Iterable[Page]) -> tuple[str, int, int]:
    """The text of the first pages, how many were read, and how many of them hold none."""
    parts, n_chars, n_read, n_empty = list[str](), 0, 0, 0
    for page in pages:
        if n_read == MAX_PAGES or n_chars > MAX_CHARS:
            break
        n_read += 1
        try:
            text = page.extract_text().strip()
        except Exception:  # noqa: BLE001  # of a hostile or damaged page anything may come
            text = ""
        n_empty += not text
        if text:
            parts.append(f"[page {n_read}]\n{text}")
            n_chars += len(parts[-1])
    return "\n\n".join(parts), n_read, n_empty


def said(stream: Any) -> dict[str, Any]:
    from pypdf import PdfReader

    try:
        reader = PdfReader(stream, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            return {"error": "is encrypted"}
        n_pages = len(reader.pages)
    except Exception:  # noqa: BLE001  # the same
        return {"error": "is no PDF that can be read"}
    text, n_read, n_empty = text_of(reader.pages)
    return {"text": text, "n_pages": n_pages, "n_read": n_read, "n_empty": n_empty}


def main() -> None:
    import io
    import logging

    logging.disable(logging.CRITICAL)
    limit_itself()
    answer = json.dumps(said(io.BytesIO(sys.stdin.buffer.read())))
    sys.stdout.write(answer.encode("ascii", "replace").decode())


if __name__ == "__main__":
    main()
