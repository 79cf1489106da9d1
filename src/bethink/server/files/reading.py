"""From the bytes of a file to text that a model can be told.

Owns which kinds there are, how much of one is kept, and the words for what is not. What always holds: what is kept is a
beginning of the file, cut at a line; nothing is left out in silence; a file that cannot be read is refused, not
guessed.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from bethink.errors import UsageError

Kind = Literal["text", "code", "csv", "pdf"]
MAX_CHARS = 200_000
"""About 50,000 tokens: more than most contexts hold."""
MAX_NAME = 200
SNIFFED = 8192
CSV = frozenset((".csv", ".tsv"))
CODE = frozenset((
    ".bash", ".bat", ".c", ".cc", ".clj", ".cpp", ".cs", ".css", ".cxx", ".dart", ".erl", ".ex", ".go", ".h", ".hpp",
    ".hs", ".html", ".java", ".jl", ".js", ".json", ".jsx", ".kt", ".lua", ".m", ".mjs", ".ml", ".php", ".pl", ".ps1",
    ".py", ".pyi", ".r", ".rb", ".rs", ".scala", ".sh", ".sql", ".svelte", ".swift", ".tex", ".toml", ".ts", ".tsx",
    ".vue", ".xml", ".yaml", ".yml", ".zig",
))  # fmt: skip
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class UnreadableFile(UsageError):
    code = "unreadable_file"
    http_status = 415


@dataclass(frozen=True, slots=True)
class ReadFile:
    """`cut` says what was left out (None: nothing)."""

    name: str
    kind: Kind
    text: str
    cut: str | None = None


def safe_name(name: str) -> str:
    """The last part of a file's name, as one line that stands between backticks."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in last if char.isprintable() and char != "`").strip()
    return shown[-MAX_NAME:] or "file"


def is_pdf(data: bytes) -> bool:
    """Readers look for the mark within the first kilobyte."""
    return b"%PDF-" in data[:1024]


def read_text(name: str, data: bytes) -> ReadFile:
    """A file that is text. Raises: UnreadableFile."""
    text = _decoded(name, data).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise UnreadableFile(f"{name} is empty", "send a file that holds something")
    suffix = PurePath(name).suffix.lower()
    kind: Kind = "csv" if suffix in CSV else "code" if suffix in CODE else "text"
    kept, cut = shortened(text, "rows" if kind == "csv" else "lines")
    return ReadFile(name, kind, kept, cut)


def shortened(text: str, unit: str) -> tuple[str, str | None]:
    """At most `MAX_CHARS` of it, ending with a whole line where lines are short enough; and what that leaves out."""
    if len(text) <= MAX_CHARS:
        return text, None
    kept = text[:MAX_CHARS]
    whole = kept.rfind("\n") + 1
    kept = kept[:whole] if whole > MAX_CHARS // 2 else kept
    n_kept, n_all = kept.count("\n"), text.count("\n") + (not text.endswith("\n"))
    if n_all > n_kept > 0:
        return kept, f"only the first {n_kept:,} of {n_all:,} {unit} were read ({len(kept):,} characters)"
    return kept, f"only the first {len(kept):,} of {len(text):,} characters were read"


def _decoded(name: str, data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                raise UnreadableFile(f"{name} is damaged: it is no {encoding}", "save it as UTF-8") from None
    if b"\x00" in data[:SNIFFED]:
        raise UnreadableFile(
            f"{name} is no text", "text, code, CSV and PDF can be read; export other formats to one of them"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # what editors on Windows wrote before UTF-8
