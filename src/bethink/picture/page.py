"""A trace as one HTML page that needs nothing else: the picture over time, the decisions, and every token of the text.

No scripts, no outside resources (the page forbids them to itself); all text is escaped. Every sampled token tells its
id, its probability and its moment when the mouse rests on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from math import exp
from typing import Any, cast

from markdown_it import MarkdownIt

from bethink.picture.chart import CLASS_NAMES, axis_of, chart
from bethink.picture.evidence import outcome, seconds
from bethink.picture.math_text import readable_math
from bethink.picture.story import (
    Speaker,
    Stretch,
    chosen,
    counts,
    decisions,
    is_usual_end,
    local_time,
    name_of,
    question,
    said,
    story,
    verdict_words,
)
from bethink.trace import Trace, TracedPath, TracedToken
from bethink.types import Decided

MAX_HOVERED = 40_000
"""With more tokens than this, they are not told one by one any more: browsers grow slow."""
UNLIKELY = (0.05, 0.2, 0.5)


def page(trace: Trace) -> str:
    """The whole page."""
    answered = chosen(trace)
    title = escape(f"{question(trace)[:80]} · bethink trace {trace.id}")
    n_tokens = sum(len(path.tokens) for path in trace.paths)
    stories = "".join(
        _path(path, trace, is_chosen=path is answered, is_detailed=n_tokens <= MAX_HOVERED) for path in trace.paths
    )
    picture = chart(trace, _group, answered.index if answered else None)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{_style()}</style></head><body><main>
{_head(trace)}
<section><h2>How it went</h2><figure>{picture}{_legend(trace)}</figure></section>
<section><h2>Who decided what</h2>{_decisions(trace)}</section>
<section><h2>Every token</h2>{stories}</section>
{_foot(trace)}
</main></body></html>
"""


def _group(answers: Sequence[str]) -> list[list[int]]:
    from bethink.verify.math import classes  # brings a mathematics library with it

    return classes(answers)


def _style() -> str:
    return resources.files("bethink.picture").joinpath("page.css").read_text(encoding="utf-8")


def _head(trace: Trace) -> str:
    result = trace.result or {}
    usage = cast("dict[str, Any]", result.get("usage") or {})
    timing = cast("dict[str, Any]", result.get("timing") or {})
    facts = [
        ("closed by", str(result.get("closed_by", "unfinished"))),
        ("verdict", verdict_words(trace) or "nothing to compare"),
        ("paths", str(len(trace.paths))),
        ("tokens", f"{usage.get('completion_tokens', 0):,}"),
        ("time", seconds(float(timing.get("total_s") or 0))),
        ("rate", f"{float(timing.get('tokens_per_s') or 0):.0f} tokens/s"),
        ("model", trace.model.get("name", "?")),
    ]
    chips = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    answer = _markdown(str(result.get("answer", "")))
    return f"""<header><p class="over">bethink trace · {escape(local_time(trace.created))}</p>
<h1>{escape(_shortened(question(trace), 600))}</h1>
<div class="answer">{answer}</div><dl class="facts">{chips}</dl></header>"""


def _markdown(text: str) -> str:
    """The answer as HTML; its own HTML is shown as text, and nothing is fetched."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return str(parser.render(readable_math(text)))


def _shortened(text: str, n: int) -> str:
    text = text.strip()
    return text if len(text) <= n else text[:n].rstrip() + "…"


def _legend(trace: Trace) -> str:
    words: dict[Speaker, str] = {
        "thinking": "thought",
        "answer": "answer",
        "forced": "put in its mouth",
        "taken back": "taken back",
    }
    items: list[str] = []
    for name, word in words.items():
        n = sum(counts(path)[name] for path in trace.paths)
        if n:
            items.append(f'<li><i class="{CLASS_NAMES[name]}"></i>{word} <b>{n:,}</b></li>')
    if any(path.is_cancelled for path in trace.paths):
        items.append('<li><i class="think lost"></i>of a path that was not needed any more</li>')
    return f'<figcaption><ul class="legend">{"".join(items)}</ul></figcaption>'


def _decisions(trace: Trace) -> str:
    axis = axis_of(trace)
    rows: list[tuple[float, str]] = []
    by_index = {path.index: path for path in trace.paths}
    for decision in decisions(trace):
        if is_usual_end(decision):
            continue
        path = by_index.get(decision.path)
        when = axis.at(path, decision.at_token) if path and axis.is_time else (axis.end if not path else 0.0)
        moment = f"{when:.2f} s" if path and axis.is_time else "–"
        who = name_of(path) if path else "the vote"
        at = str(decision.at_token) if path else ""
        cells = f"<td>{moment}</td><td>{who}</td><td>{at}</td><td>{escape(said(decision))}</td>"
        rows.append((when, f'<tr class="{escape(decision.action)}">{cells}</tr>'))
    if not rows:
        return "<p>Nothing had to be decided: the model thought and answered by itself.</p>"
    if axis.is_time:
        rows.sort(key=lambda row: row[0])
    body = "".join(row for _, row in rows)
    head = "<tr><th>when</th><th>who</th><th>at token</th><th>what and why</th></tr>"
    return f'<div class="scroll"><table>{head}{body}</table></div>'


def _path(path: TracedPath, trace: Trace, *, is_chosen: bool, is_detailed: bool) -> str:
    n = counts(path)
    fate = "not needed any more" if path.is_cancelled else f"closed by {path.closed_by}"
    told = outcome(path.passed, path.why, path.extracted) if path.extracted or path.why else ""
    answer = f" → {escape(_shortened(told, 60))}" if told else ""
    chip = ' <span class="chip">answered</span>' if is_chosen else ""
    text = "".join(_told(path, trace, is_detailed=is_detailed))
    return f"""<details{" open" if is_chosen else ""}><summary>{escape(name_of(path))}{answer}{chip}
<small>{n["thinking"]:,} thought + {n["answer"]:,} answer tokens, {escape(fate)}, seed {path.seed},
temperature {path.temperature:g}</small></summary><div class="text">{text}</div></details>"""


def _told(path: TracedPath, trace: Trace, *, is_detailed: bool) -> Iterator[str]:
    for part in story(path, trace.decisions):
        if isinstance(part, Decided):
            yield f'<div class="decision {escape(part.action)}">{escape(said(part))}</div>'
            continue
        inner = "".join(_tokens(part)) if is_detailed else escape(part.text)
        yield f'<span class="{CLASS_NAMES[part.speaker]}">{inner}</span>'


def _tokens(part: Stretch) -> Iterator[str]:
    has_begun = False
    for token in part.tokens:
        has_begun = has_begun or bool(token.text.strip("\n"))
        if not token.text or not has_begun:
            continue
        yield f'<span{_unlikely(token)} title="{_hover(token)}">{escape(token.text)}</span>'


def _hover(token: TracedToken) -> str:
    if token.origin == "forced":
        return f"{token.id} · forced"
    likely = (
        f" · p {exp(min(0.0, token.logprob)):.3f} · logprob {token.logprob:.2f}" if token.logprob is not None else ""
    )
    return f"{token.id}{likely} · {token.t:.2f} s"


def _unlikely(token: TracedToken) -> str:
    if token.logprob is None or token.origin == "forced":
        return ""
    p = exp(min(0.0, token.logprob))
    level = sum(p < limit for limit in UNLIKELY)
    return f' class="u{level}"' if level else ""


def _foot(trace: Trace) -> str:
    budget = cast("dict[str, Any]", trace.request.get("plan") or {}).get("budget")
    facts = [
        f"model {trace.model.get('name')} ({trace.model.get('sha256', '')[:12]})",
        f"engine {trace.engine}",
        f"profile {trace.profile}",
        f"budget {'none' if budget is None else budget}",
        f"seed {trace.request.get('seed')}",
        f"{len(trace.prompt_ids):,} prompt tokens",
        f"trace {trace.id}",
    ]
    text = f'<div class="text">{escape(trace.prompt_text)}</div>'
    prompt = f"<details><summary>the prompt as the model saw it</summary>{text}</details>"
    return f"<footer>{prompt}<p>{escape(' · '.join(facts))}</p></footer>"
