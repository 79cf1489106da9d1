"""The part of the report that tells every question: what was asked, what is known, what every arm made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from html import escape
from urllib.parse import quote

from bethink.evals.results import Line

MAX_PAGE_CHARS = 16_000_000
MIN_TEXT_CHARS = 400
MARKS = {"right": "✓", "wrong": "✗", "unsure": "?", "error": "!"}
FILTERS = (
    ("all", "all"),
    ("differ", "the arms differ"),
    ("none", "nobody is right"),
    ("format", "format only"),
    ("error", "errors"),
)


def questions(lines: Sequence[Line], arms: Sequence[str], traces: Collection[str] = ()) -> str:
    """One entry for each question, in the order of the task, with filters that need no script. `traces` are the names
    of the files in the folder `traces` beside the page, which answers link to."""
    by_id: dict[str, list[Line]] = {}
    for line in lines:
        by_id.setdefault(line.id, []).append(line)
    order = {name: at for at, name in enumerate(arms)}
    groups = sorted(by_id.values(), key=lambda g: (g[0].index, g[0].id))
    for group in groups:
        group.sort(key=lambda line: (order.get(line.arm, len(order)), line.seed))
    kinds = [_kinds(group) for group in groups]
    counts = Counter(kind for found in kinds for kind in found)
    shown = [(name, words) for name, words in FILTERS if counts[name] or name == "all"]
    inputs = "".join(
        f'<input type="radio" name="show" id="show-{name}"{" checked" if name == "all" else ""}>' for name, _ in shown
    )
    labels = "".join(f'<label for="show-{name}">{words} <b>{counts[name]}</b></label>' for name, words in shown)
    limit = _limit(lines)
    told = "".join(_question(group, found, limit, traces) for group, found in zip(groups, kinds, strict=True))
    cut = (
        ""
        if limit is None
        else f'<p class="note">Texts are cut at {limit:,} characters; results.jsonl has them whole.</p>'
    )
    return f'{inputs}<div class="filters">{labels}</div>{cut}<div class="questions">{told}</div>'


def state(line: Line) -> str:
    if line.error is not None:
        return "error"
    return {True: "right", False: "wrong", None: "unsure"}[line.lenient]


def _kinds(group: Sequence[Line]) -> list[str]:
    rights = {line.lenient is True for line in group}
    found = ["all"]
    found += ["differ"] if len(rights) > 1 else []
    found += ["none"] if rights == {False} else []
    found += ["format"] if any(line.lenient is True and line.strict is not True for line in group) else []
    found += ["error"] if any(line.error is not None for line in group) else []
    return found


def _limit(lines: Sequence[Line]) -> int | None:
    """How many characters of a text may be shown; None: all."""
    total = sum(len(line.answer) + len(line.thinking) for line in lines)
    return None if total <= MAX_PAGE_CHARS else max(MIN_TEXT_CHARS, MAX_PAGE_CHARS // (2 * len(lines)))


def _question(group: Sequence[Line], kinds: Sequence[str], limit: int | None, traces: Collection[str]) -> str:
    first = group[0]
    marks = "".join(
        f'<span class="mark {state(line)}" title="{escape(line.arm)}">{MARKS[state(line)]}</span>'
        for line in group[:24]
    )
    short = " ".join(first.question.split())
    short = short if len(short) <= 160 else short[:160] + "…"
    gold = f'<p class="gold">known answer: <b>{escape(_cut(first.gold, 2000))}</b></p>' if first.gold else ""
    answers = "".join(_answer(line, limit, traces) for line in group)
    css = " ".join(kind for kind in kinds if kind != "all")
    return (
        f'<details class="{css}"><summary><span class="n">{first.index + 1}</span>'
        f'<span class="q">{escape(short)}</span>'
        f'<span class="marks">{marks}</span></summary><div class="inside">'
        f'<div class="text">{escape(_cut(first.question, 20_000))}</div>{gold}{answers}</div></details>\n'
    )


def _answer(line: Line, limit: int | None, traces: Collection[str]) -> str:
    found = state(line)
    said = "" if line.extracted is None else " ".join(line.extracted.split())[:200]
    cost = f"{line.tokens:,} tokens · {line.closed_by}" if line.error is None else "no answer"
    why = f"<p class='note'>{escape(_cut(line.error or line.why, 2000))}</p>"
    strict = (
        "" if line.strict is line.lenient else ' · <span title="nothing is stated as the answer">lenient only</span>'
    )
    thinking = f'<span class="think">{escape(_cut(line.thinking, limit))}</span>\n\n' if line.thinking.strip() else ""
    text = f'<div class="text">{thinking}{escape(_cut(line.answer, limit))}</div>'
    return (
        f'<details><summary><span class="mark {found}">{MARKS[found]}</span><span class="arm">{escape(line.arm)}</span>'
        f'<span class="said">{escape(said)}</span><small>{escape(cost)}{strict} · seed {line.seed}</small></summary>'
        f'<div class="inside">{why}{_votes(line)}{_links(line, traces)}{text}</div></details>'
    )


def _votes(line: Line) -> str:
    """What the paths of a vote said, as written, most frequent first."""
    if not line.paths:
        return ""
    counted = Counter("no answer" if p.extracted is None else p.extracted for p in line.paths if not p.is_cancelled)
    told = [f"{' '.join(answer.split())[:80]} × {n}" for answer, n in counted.most_common(12)]
    n_cancelled = sum(p.is_cancelled for p in line.paths)
    told += [f"{n_cancelled} not needed any more"] if n_cancelled else []
    return f'<p class="votes">{len(line.paths)} paths: {escape(" · ".join(told))}</p>'


def _links(line: Line, traces: Collection[str]) -> str:
    """To what was kept of every token and decision: a page where one was written, else the trace itself."""
    names = [next((n for n in (f"{trace}.html", f"{trace}.json") if n in traces), "") for trace in line.traces]
    told = [
        f'<a href="traces/{escape(quote(name))}">{"trace" if len(names) == 1 else f"path {at}"}</a>'
        for at, name in enumerate(names, 1)
        if name
    ]
    return f'<p class="votes">every token and decision: {" · ".join(told)}</p>' if told else ""


def _cut(text: str | None, limit: int | None) -> str:
    text = text or ""
    return text if limit is None or len(text) <= limit else text[:limit] + "…"
