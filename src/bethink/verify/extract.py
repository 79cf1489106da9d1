"""The program in a model's answer."""

from __future__ import annotations

import ast
import re
import textwrap

MAX_CHARS = 200_000

_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<language>[^\n`]*)$", re.MULTILINE)
_PYTHON = frozenset({"", "python", "python3", "py", "py3", "pycon", "python2", "sage"})


def extract_program(text: str, *, entry_point: str | None = None) -> str | None:
    """The Python program in an answer, or None. It parses.

    Of several blocks in fences the last that defines `entry_point` counts, together with those before it that hold
    what it needs; without an entry point all blocks that define something, in their order. Without fences, the longest
    run of lines that is code.
    """
    text = text[:MAX_CHARS]
    blocks = [block for block in _blocks(text) if _parses(block)]
    if not blocks:
        bare = _bare(text)
        blocks = [bare] if bare else []
    if not blocks:
        return None
    if entry_point is not None:
        having = [place for place, block in enumerate(blocks) if entry_point in _defined(block)]
        if having:
            return _with_what_it_needs(blocks, having[-1])
    defining = [block for block in blocks if _defined(block)]
    if len(defining) <= 1:
        return (defining or [max(blocks, key=len)])[0]
    return _joined(defining)


def is_program(text: str) -> bool:
    """Whether a text as a whole is Python that does something."""
    return len(text) <= MAX_CHARS and _looks_like_code(text.strip("\n"))


def _blocks(text: str) -> list[str]:
    """What stands in fences, an unclosed one to the end of the text."""
    found: list[str] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence["mark"].startswith(opened["mark"]) and not fence["language"].strip():
            found += _block(opened, text[opened.end() + 1 : fence.start()])
            opened = None
        elif fence["language"].strip().lower() in _PYTHON - {""}:
            opened = fence  # the one before was never closed
    if opened is not None:
        found += _block(opened, _longest_start(text[opened.end() + 1 :]))
    return found


def _block(fence: re.Match[str], body: str) -> list[str]:
    words = fence["language"].strip().lower().strip("{}.").split()
    body = textwrap.dedent(body).strip("\n")
    if (words[0] if words else "") not in _PYTHON or not body.strip():
        return []
    return [_from_console(body) if ">>> " in body else body]


def _from_console(body: str) -> str:
    """A session at the prompt, as the program that was typed."""
    lines = [line for line in body.splitlines() if line.startswith((">>> ", "... "))]
    typed = "\n".join(line[4:] for line in lines)
    return typed if lines and body.lstrip().startswith(">>> ") else body


def _longest_start(text: str) -> str:
    """As much from the beginning as is a program: an answer may have been cut in the middle of a line."""
    lines = textwrap.dedent(text).splitlines()
    for end in range(len(lines), max(0, len(lines) - 40), -1):
        if _parses("\n".join(lines[:end])):
            return "\n".join(lines[:end])
    return text


def _bare(text: str) -> str | None:
    """Code without fences: from a line that opens a definition or an import, as far as it parses."""
    lines = textwrap.dedent(text).splitlines()
    best = ""
    tries = 0
    start = 0
    while start < len(lines) and tries < 40:
        if not re.match(r"(?:def|class|import|from|async def|@)\b", lines[start]) and not re.match(
            r"@\w", lines[start]
        ):
            start += 1
            continue
        tries += 1
        end = _furthest(lines, start)
        piece = "\n".join(lines[start:end]).strip("\n")
        if len(piece) > len(best) and _defined(piece):
            best = piece
        start = max(end, start + 1)
    if best:
        return best
    whole = "\n".join(lines).strip("\n")
    return whole if _looks_like_code(whole) else None


def _furthest(lines: list[str], start: int) -> int:
    """The end of the longest piece from `start` that parses, tried at lines where a statement can end."""
    ends = [
        place
        for place in range(start + 1, len(lines) + 1)
        if place == len(lines) or not lines[place].strip() or not lines[place][:1].isspace()
    ]
    best = start
    for n_tried, end in enumerate(ends):
        if n_tried > 200:
            break
        if _parses("\n".join(lines[start:end])):
            best = end
        elif best > start and end - best > 60:
            break
    return best


def _looks_like_code(text: str) -> bool:
    """Whether a text that has no definition is a program all the same: one word is a name, and no program."""
    if not text or not _parses(text):
        return False
    return any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call) for node in ast.parse(text).body)


def _parses(code: str) -> bool:
    try:
        return bool(ast.parse(code).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _defined(code: str) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {it.id for it in node.targets if isinstance(it, ast.Name)}
    return names


def _with_what_it_needs(blocks: list[str], place: int) -> str:
    """A block, after those before it that define or import names it uses and does not define."""
    own = blocks[place]
    used = {node.id for node in ast.walk(ast.parse(own)) if isinstance(node, ast.Name)}
    missing = used - _defined(own) - _imported(own)
    before = [
        it for it in blocks[:place] if missing & (_defined(it) | _imported(it)) and not _defined(own) & _defined(it)
    ]
    return _joined([*before, own])


def _imported(code: str) -> set[str]:
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {(alias.asname or alias.name).partition(".")[0] for node in nodes for alias in node.names}


def _joined(blocks: list[str]) -> str:
    """All of them; of blocks that define the same, the later one."""
    kept = [
        block
        for place, block in enumerate(blocks)
        if not any(_defined(block) and _defined(block) <= _defined(later) for later in blocks[place + 1 :])
    ]
    return "\n\n\n".join(kept)
