"""Finding the answer in what a model wrote.

*Strict* takes only what the text states to be its answer: `\\boxed{…}`, `#### …`, "the final answer is …", "Answer:
…", or an `answer` in a JSON object. *Lenient* also takes the last thing that could be one: a number, a choice letter,
yes or no, the last line. Everything is linear in the text's length. What is found is a short text for people;
`bethink.verify.math` compares.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from typing import cast

MAX_ANSWER_CHARS = 500
MAX_TAIL_CHARS = 20_000
"""Only the end of a text is searched; answers are not stated before."""

MAX_STATEMENT = 120
"""What follows a lead is a statement when it is one line of at most so many characters."""

MAX_BOXES = 50
MAX_JSON_CHARS = 4000

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{}$]+)")
_HASHES = re.compile(r"^[ \t]*####(?!#)[ \t]*(?!(?:\**)?(?:final )?answer\b)(\S[^\n]*)$", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(
    r"^[#* \t]*(?:final )?answer[* \t]*\n{1,3}(?:[ \t]*\\\[[ \t]*\n)?([^\n]+)", re.MULTILINE | re.IGNORECASE
)
_STATED = re.compile(
    r"(?:\b(?:final|correct|my|the)\s{1,3}){0,3}\banswer\b(?:\s(?:to|for)\s[^\n.:]{1,60}?)?"
    r"(?:\s{1,3}should\s{1,3}be|\s{1,3}is|[ \t]{0,3}\*{0,2}[ \t]{0,3}[:=])"
    r"(?:\s{1,3}(?:therefore|thus))?[ \t]{0,3}[:=]?(?:[ \t]{0,3}\*\*)?[ \t]*(?P<same>[^\n]*)"
    r"(?:(?=\n{1,3}[ \t]*(?P<next>[^\n]+)))?",
    re.IGNORECASE,
)
_NO_STATEMENT = re.compile(
    r"\\boxed|\\begin\{|(?:within|below|above|as follows|(?:in)?correct|right|wrong|found|obtained|given|written"
    r"|a result of|the result of|in the form)\b",
    re.IGNORECASE,
)
"""What often follows "the answer is" without being one: talk about it, and boxes (found already, or empty)."""

_FENCE = re.compile(r"```(?:json)?\s*(\{.*?\})\s{0,9}```", re.DOTALL)
_NUMBER = re.compile(
    r"(?<![\w.])(?:(?<![\d)}])|(?<=\s))[-−]?[$€£]?\s?\d{1,3}(?:(?:,|\{,\})\d{3})+(?:\.\d+)?%?"
    r"|(?<![\w.,])[-−]?[$€£]?(?:\d+\.?\d*|\.\d+)(?:\s?/\s?\d+(?:\.\d+)?)?\s?(?:\\?%)?"
    r"|-?\\[dt]?frac\{-?\d+\}\{\d+\}"
)
_CHOICE_LINE = re.compile(r"[*_\s]*(?:option|choice)?\s*(?:\(([A-J])\)|([A-J])(?:[.):]|\s*$))", re.IGNORECASE)
_YES_NO = re.compile(r"[*_\s]*(yes|no|true|false)\b", re.IGNORECASE)
_REASON = re.compile(r"[,;]?\s+(?:because|since|as|which means|so that)\b.*", re.IGNORECASE | re.DOTALL)
_WORDS = re.compile(r"[A-Za-z]{2,}")
_ABOUT_A_NUMBER = re.compile(r"[^\w]*[\d.,]+\s+(?:is|are|was|cannot|can|has)\s+(?!the\b)", re.IGNORECASE)
_ALGEBRA = re.compile(r"[\\^_=+*<>{}\[\]()]|\d\s*[-/]\s*\d")


def extract(text: str, *, strict: bool) -> str | None:
    """The answer that `text` gives, or None. Of several statements of a kind the last one holds."""
    tail = text[-MAX_TAIL_CHARS:]
    ways: list[Callable[[str], str | None]] = [_boxed, _hashes, _stated, _headed, _from_json]
    if not strict:
        ways += [_open_box, _choice_or_verdict, _last_number, _last_line]
    for way in ways:
        if (found := way(tail)) and len(found) <= MAX_ANSWER_CHARS:
            return found
    return None


def compared_answer(answer: str, thinking: str, *, lead: str = "") -> str | None:
    """What a vote compares: the answer's own statement (one line is a statement after `lead`, which was forced before
    it), else the thought's, else the last value of the answer."""
    if len(answer) > MAX_STATEMENT or "\n" in answer:
        lead = ""
    return extract(lead + answer, strict=True) or extract(thinking, strict=True) or extract(answer, strict=False)


def _boxed(text: str) -> str | None:
    for match in reversed(deque(_BOXED.finditer(text), maxlen=MAX_BOXES)):
        if match[1] != "{":
            return _bare(match[1])
        end = _closing_brace(text, match.end())
        if end is not None and (content := _bare(text[match.end() : end])):
            return content
    return None


def _closing_brace(text: str, start: int) -> int | None:
    """Where the brace opened before `start` closes, within the length of an answer."""
    depth = 1
    for at in range(start, min(len(text), start + MAX_ANSWER_CHARS)):
        if text[at] == "\\":
            continue
        is_escaped = text[at - 1] == "\\" and text[at - 2 : at] != "\\\\"
        depth += 0 if is_escaped else (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    return None


def _headed(text: str) -> str | None:
    """The line under a heading "Final answer"."""
    found = _HEADING.findall(text)
    return _shortened(found[-1]) or None if found else None


def _hashes(text: str) -> str | None:
    found = _HASHES.findall(text)
    return _shortened(found[-1]) if found else None


def _stated(text: str) -> str | None:
    for match in reversed(list(_STATED.finditer(text))):
        line = _bare(match["same"])
        if not line and match["next"]:
            line = _bare(match["next"])
            if not line:  # an opening \[ or $$ alone on its line
                line = _bare(text[match.end("next") :].lstrip().partition("\n")[0])
        if line and not _NO_STATEMENT.match(line):
            return _shortened(line)
    return None


def _from_json(text: str) -> str | None:
    stripped = text.strip()
    candidates = [stripped] if stripped.startswith("{") else []
    candidates += reversed(_FENCE.findall(text[-MAX_JSON_CHARS:]))
    for source in candidates:
        try:
            value: object = json.loads(source)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            fields = cast("dict[str, object]", value)
            for key in ("final_answer", "answer", "result"):
                if isinstance(found := fields.get(key), str | int | float):
                    return _bare(str(found))
    return None


def _open_box(text: str) -> str | None:
    """A box that the end of the text cut."""
    at = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    start = text.index("{", at) + 1 if at >= 0 else 0
    is_open = at >= 0 and _closing_brace(text, start) is None
    return _bare(text[start:].partition("\n")[0]) if is_open else None


def _choice_or_verdict(text: str) -> str | None:
    line = _last_line(text) or ""
    if match := _CHOICE_LINE.match(line):
        return (match[1] or match[2]).upper()
    return match[1].lower() if (match := _YES_NO.match(line)) else None


def _last_number(text: str) -> str | None:
    found = deque(_NUMBER.finditer(text), maxlen=1)
    return found[0][0].strip().rstrip(".,").replace(" ", "") if found else None


def _last_line(text: str) -> str | None:
    lines = [bare for line in text.strip().splitlines()[-3:] if (bare := _bare(line))]
    return lines[-1] if lines else None


def _shortened(statement: str) -> str:
    """A statement in words cut down to what it states: the reason dropped, the one number or choice of a sentence
    taken.
    """
    statement = _bare(_REASON.sub("", statement)) or statement
    head = _bare(re.split(r"(?<=[\w)}])\.\s", statement, maxsplit=1)[0])
    if (result := _bare(head.rpartition("=")[2])) and "=" in head and _NUMBER.fullmatch(result):
        return result
    if match := re.match(r"(?:option|choice)?\s*\(?([A-J])\)?(?:[.):]\s|$)", head, re.IGNORECASE):
        return match[1].upper()
    if len(_WORDS.findall(head)) > 1 and not _ALGEBRA.search(head) and not _ABOUT_A_NUMBER.match(head):
        numbers = _NUMBER.findall(head)
        if len(numbers) == 1:
            return str(numbers[0]).strip().rstrip(".,").replace(" ", "")
    return head


_MARKS = "*_`\"“”'"


def _bare(text: str) -> str:
    """Without markdown, mathematics' own delimiters, and final punctuation."""
    before = None
    text = re.sub(r"<\|[^|<>]*\|>", "", text)
    while before != text:
        before = text
        text = text.strip().strip(_MARKS).strip().rstrip(".,;:").removesuffix("\\\\").strip()
        for opening, closing in (
            ("\\(", "\\)"),
            ("\\[", "\\]"),
            ("$$", "$$"),
            ("$", "$"),
            ("\\text{", "}"),
            ("\\mathbf{", "}"),
        ):
            inner = text.removeprefix(opening).removesuffix(closing)
            is_whole = "}" not in inner if closing == "}" else opening not in inner
            if len(inner) == len(text) - len(opening) - len(closing) and is_whole:
                text = inner
        if text in ("\\[", "\\]", "\\(", "\\)", "$", "$$", "#", "##", "###"):
            text = ""
    return text
