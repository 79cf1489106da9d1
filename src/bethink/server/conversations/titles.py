"""The name of a new conversation, from its first question: a cheap rule, no model is asked."""

from __future__ import annotations

import re

LONGEST = 60
_MARKUP = re.compile(r"^[\s#>*\-+`~|]+|`+|(?<![\w*~])(\*{1,3}|~~)(?=[^\s*~])|(?<=[^\s*~])(\*{1,3}|~~)(?![\w*~])")
"""What marks a line, code, and emphasis where it opens or closes a word: a product keeps its sign."""
_SENTENCE_END = re.compile(r"(?<=[^\W\d_][.!?])\s|(?<=[。！？])")


def title_of(question: str) -> str:
    """The first sentence of the first line that says something, at most `LONGEST` characters and an ellipsis. Empty
    when nothing is said."""
    for line in question.splitlines():
        if said := " ".join(_MARKUP.sub("", line[: 20 * LONGEST]).split()):
            return _shortened(said)
    return ""


def _shortened(line: str) -> str:
    sentence = _SENTENCE_END.split(line, maxsplit=1)[0].strip()
    if len(sentence) <= LONGEST:
        return sentence
    cut = sentence[: LONGEST + 1]
    words = cut.rpartition(" ")[0]
    return (words if len(words) > LONGEST // 2 else cut[:LONGEST]).rstrip(" ,;:.") + "…"
