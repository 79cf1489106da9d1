"""A trace in a terminal: who said what, who decided what, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from bethink.cli.terminal import TAB, Glyphs, one_row, safe
from bethink.picture.evidence import outcome, seconds, shortened
from bethink.picture.story import (
    Speaker,
    Stretch,
    chosen,
    counts,
    decisions,
    local_time,
    name_of,
    question,
    said,
    story,
    verdict_words,
)
from bethink.trace import Trace, TracedPath
from bethink.types import Decided

STYLES: dict[Speaker, str] = {"thinking": "dim", "answer": "", "forced": "yellow", "taken back": "red strike dim"}


def row_of(trace: Trace) -> tuple[str, ...]:
    """One trace in a list: id, when, model, question, closed by, tokens, verdict."""
    result = trace.result or {}
    usage = cast("dict[str, Any]", result.get("usage") or {})
    return (
        trace.id,
        local_time(trace.created),
        trace.model.get("name", "?"),
        one_row(question(trace)),
        str(result.get("closed_by") or "unfinished"),
        str(usage.get("completion_tokens", "")),
        verdict_words(trace),
    )


LEAST_QUESTION, LONGEST_VERDICT, GAP = 12, 28, 2
COLUMNS = ("id", "when", "model", "question", "closed by", "tokens", "verdict")


def table(rows: Sequence[tuple[str, ...]], width: int) -> Table:
    """The list for a terminal. A narrow one gets the columns that matter; the question gives way, an id never: it is
    there to be copied.
    """
    shown = [0, 3] if width < 64 else [0, 3, 4, 6] if width < 100 else list(range(len(COLUMNS)))
    at_most = {"question": width, "verdict": LONGEST_VERDICT}
    widths = {
        at: min(at_most.get(COLUMNS[at], width), max(cell_len(row[at]) for row in (COLUMNS, *rows))) for at in shown
    }
    question_at = COLUMNS.index("question")
    left = width - sum(n for at, n in widths.items() if at != question_at) - GAP * (len(shown) - 1)
    widths[question_at] = max(LEAST_QUESTION, min(widths[question_at], left))
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for at in shown:
        justify = "right" if COLUMNS[at] == "tokens" else "left"
        grid.add_column(COLUMNS[at], no_wrap=True, overflow="ellipsis", justify=justify, width=widths[at])
    for row in rows:
        grid.add_row(*(Text(row[at]) for at in shown))
    return grid


def view(trace: Trace, glyphs: Glyphs, paths: Sequence[TracedPath]) -> Iterator[Text]:
    """The whole trace, with the stories of `paths`."""
    yield from _head(trace)
    if len(trace.paths) > 1:
        yield Text("")
        yield from (_summary(path, glyphs, is_chosen=path is chosen(trace)) for path in trace.paths)
    common = [d for d in decisions(trace) if d.path < 0]
    if common:
        yield from (_decision(d, glyphs) for d in common)
    for path in paths:
        yield Text("")
        yield Text(f"{name_of(path)}  seed {path.seed}  temperature {path.temperature:g}", style="bold")
        yield from _told(path, trace, glyphs)


def _head(trace: Trace) -> Iterator[Text]:
    result = trace.result or {}
    usage = cast("dict[str, Any]", result.get("usage") or {})
    timing = cast("dict[str, Any]", result.get("timing") or {})
    rows = [
        ("trace", f"{trace.id}, {local_time(trace.created)}"),
        ("model", f"{trace.model.get('name')} on {trace.engine}, thinking as {trace.profile}"),
        ("question", one_row(question(trace))),
        ("closed by", str(result.get("closed_by", "unfinished"))),
        ("verdict", verdict_words(trace) or "nothing to compare"),
        ("tokens", f"{usage.get('completion_tokens', 0)} in {seconds(float(timing.get('total_s') or 0))}"),
    ]
    for name, value in rows:
        yield Text.assemble((f"{name:>10}  ", "dim"), safe(value))


def _summary(path: TracedPath, glyphs: Glyphs, *, is_chosen: bool) -> Text:
    n = counts(path)
    mark = glyphs.cut if path.is_cancelled else (glyphs.arrow if is_chosen else " ")
    what = "cancelled, not needed any more" if path.is_cancelled else f"closed by {path.closed_by}"
    told = outcome(path.passed, path.why, path.extracted) if not path.purpose else "asked beside the question"
    answer = "" if path.is_cancelled else shortened(one_row(told), 40)
    line = f"{mark:>2} {name_of(path):<8} {n['thinking']:>6} thinking {n['answer']:>5} answer  {what:<20} {answer}"
    return Text(line, style="bold" if is_chosen else ("dim" if path.is_cancelled else ""))


def _told(path: TracedPath, trace: Trace, glyphs: Glyphs) -> Iterator[Text]:
    for part in story(path, trace.decisions):
        if isinstance(part, Decided):
            yield _decision(part, glyphs)
            continue
        yield _heading(part)
        if part.text.strip():
            yield Text(safe(part.text).strip("\n").replace("\t", TAB), style=STYLES[part.speaker])


def _heading(part: Stretch) -> Text:
    words = {"thinking": "the model thinks", "answer": "the model answers", "forced": "forced by bethink"}
    tokens = f"{len(part.tokens)} token{'s' if len(part.tokens) != 1 else ''}"
    return Text(f"[{words.get(part.speaker, part.speaker)}, {tokens}]", style="cyan dim")


def _decision(decision: Decided, glyphs: Glyphs) -> Text:
    sign = {"roll_back": glyphs.back, "close": glyphs.cut, "stop": glyphs.cut}.get(decision.action, glyphs.arrow)
    return Text(f"{sign} at token {decision.at_token}: {one_row(said(decision))}", style="bold yellow")
