"""The verifiable instructions of IFEval that need no model of language, each a predicate of the text.

Source: arXiv 2311.07911, table of instructions; names and settings are the benchmark's. Words are runs of letters,
digits and underscores, as the benchmark counts them; keywords are matched anywhere, ignoring case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

Kwargs = Mapping[str, object]
Check = Callable[[str, Kwargs], bool]

_CONSTRAINED = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\]")
_BULLET = re.compile(r"^[ \t]*(?:\*(?!\*)|-)", re.MULTILINE)
_HIGHLIGHT = re.compile(r"\*\*([^\n*]+)\*\*|\*([^\n*]+)\*")
_TITLE = re.compile(r"<<([^\n]+?)>>")


def _number(given: Kwargs, name: str) -> int:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is no number")
    return int(value)


def _text(given: Kwargs, name: str) -> str:
    value = given[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value


def _texts(given: Kwargs, name: str) -> Sequence[str]:
    value = given[name]
    if not isinstance(value, list) or not all(isinstance(v, str) for v in cast("list[object]", value)):
        raise TypeError(f"{name} is no list of texts")
    return cast("list[str]", value)


def _related(n: int, given: Kwargs, relation: str, bound: int) -> bool:
    match given[relation]:
        case "less than":
            return n < bound
        case "at least":
            return n >= bound
        case other:
            raise ValueError(f"{relation} is {other!r}")


def _no_comma(text: str, _: Kwargs) -> bool:
    return "," not in text


def _n_words(text: str, given: Kwargs) -> bool:
    return _related(len(re.findall(r"\w+", text)), given, "relation", _number(given, "num_words"))


def _n_paragraphs(text: str, given: Kwargs) -> bool:
    """Paragraphs are divided by `***`; an empty one inside breaks the rule."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    if any(not part for part in parts[1:-1]):
        return False
    return sum(map(bool, parts)) == _number(given, "num_paragraphs")


def _nth_paragraph(text: str, given: Kwargs) -> bool:
    parts = re.split(r"\n\n", text)
    n, nth = sum(bool(p.strip()) for p in parts), _number(given, "nth_paragraph")
    if nth < 1 or nth > len(parts) or n != _number(given, "num_paragraphs") or not parts[nth - 1].strip():
        return False
    first = parts[nth - 1].split()[0].lstrip("'\"")
    word = re.match(r"[^.,?!'\"]*", first)
    return bool(word) and word[0].casefold() == _text(given, "first_word").casefold()


def _placeholders(text: str, given: Kwargs) -> bool:
    return len(_PLACEHOLDER.findall(text)) >= _number(given, "num_placeholders")


def _postscript(text: str, given: Kwargs) -> bool:
    marker = _text(given, "postscript_marker").strip().casefold()
    loose = r"\s*".join(re.escape(char) for char in marker if not char.isspace())
    return re.search(rf"(?:^|\s){loose}", text.casefold()) is not None


def _bullets(text: str, given: Kwargs) -> bool:
    return len(_BULLET.findall(text)) == _number(given, "num_bullets")


def _constrained(text: str, _: Kwargs) -> bool:
    return any(answer in text for answer in _CONSTRAINED)


def _highlights(text: str, given: Kwargs) -> bool:
    n = sum(bool((double or single).strip()) for double, single in _HIGHLIGHT.findall(text))
    return n >= _number(given, "num_highlights")


def _sections(text: str, given: Kwargs) -> bool:
    splitter = re.escape(_text(given, "section_spliter").strip())
    return len(re.findall(rf"\s?{splitter}\s?\d+", text)) >= _number(given, "num_sections")


def _json_format(text: str, _: Kwargs) -> bool:
    bare = re.sub(r"\A```(?:json)?\s*|\s*```\Z", "", text.strip(), flags=re.IGNORECASE)
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, _: Kwargs) -> bool:
    return any(title.strip("<> \t") for title in _TITLE.findall(text))


def _two_responses(text: str, _: Kwargs) -> bool:
    parts = [part.strip() for part in text.split("******")]
    if any(not part for part in parts[1:-1]):
        return False
    kept = [part for part in parts if part]
    return len(kept) == 2 and kept[0] != kept[1]


def _repeats_prompt(text: str, given: Kwargs) -> bool:
    return text.strip().casefold().startswith(_text(given, "prompt_to_repeat").strip().casefold())


def _ends(text: str, given: Kwargs) -> bool:
    return text.strip().strip('"').casefold().endswith(_text(given, "end_phrase").strip().casefold())


def _is_quoted(text: str, _: Kwargs) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


def _holds(text: str, keyword: str) -> bool:
    return keyword.casefold() in text.casefold()


def _keywords(text: str, given: Kwargs) -> bool:
    return all(_holds(text, word) for word in _texts(given, "keywords"))


def _forbidden(text: str, given: Kwargs) -> bool:
    words = _texts(given, "forbidden_words")
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in words)


def _frequency(text: str, given: Kwargs) -> bool:
    n = text.casefold().count(_text(given, "keyword").strip().casefold())
    return _related(n, given, "relation", _number(given, "frequency"))


def _letter_frequency(text: str, given: Kwargs) -> bool:
    n = text.casefold().count(_text(given, "letter").strip().casefold())
    return _related(n, given, "let_relation", _number(given, "let_frequency"))


CHECKS: Mapping[str, Check] = {
    "combination:repeat_prompt": _repeats_prompt,
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:json_format": _json_format,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:title": _title,
    "keywords:existence": _keywords,
    "keywords:forbidden_words": _forbidden,
    "keywords:frequency": _frequency,
    "keywords:letter_frequency": _letter_frequency,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "length_constraints:number_paragraphs": _n_paragraphs,
    "length_constraints:number_words": _n_words,
    "punctuation:no_comma": _no_comma,
    "startend:end_checker": _ends,
    "startend:quotation": _is_quoted,
}
