"""The picture of a trace: one SVG with a bar for each path over time, its marks, and the vote as it moved.

Plain SVG text, coloured by the page's CSS classes. Time runs from the request's start; where a trace has no times (a
scripted one), tokens are counted instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, cast

from bethink.picture.evidence import outcome, readable, shortened
from bethink.picture.story import Speaker, name_of, said, speaker_of
from bethink.trace import Trace, TracedPath
from bethink.types import Decided
from bethink.wording import counted

WIDTH, LEFT, RIGHT = 1000, 64, 190
ROW, BAR, TOP = 30, 14, 10
VOTE_HEIGHT = 130
MAX_CLASSES = 6
CLASS_NAMES: dict[Speaker, str] = {"thinking": "think", "answer": "say", "forced": "force", "taken back": "back"}

Grouping = Callable[[Sequence[str]], list[list[int]]]


@dataclass(frozen=True, slots=True)
class Axis:
    """From seconds (or tokens) to x. `end` is the last moment of the trace."""

    end: float
    is_time: bool

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, value / self.end)

    def at(self, path: TracedPath, token: int) -> float:
        """The moment after `token` tokens of a path."""
        if not self.is_time:
            return float(token)
        return path.tokens[min(token, len(path.tokens)) - 1].t if token and path.tokens else 0.0


def axis_of(trace: Trace) -> Axis:
    last_s = max((token.t for path in trace.paths for token in path.tokens), default=0.0)
    if last_s > 0.05:
        return Axis(last_s, is_time=True)
    return Axis(float(max((len(path.tokens) for path in trace.paths), default=1) or 1), is_time=False)


def chart(trace: Trace, group: Grouping, chosen_index: int | None) -> str:
    """The SVG of the whole trace."""
    axis = axis_of(trace)
    paths = trace.paths
    bottom = TOP + ROW * len(paths)
    is_vote = len(paths) > 1 and any(path.extracted for path in paths) and _is_vote_of_values(trace)
    height = bottom + 28 + (VOTE_HEIGHT + 30 if is_vote else 0)
    parts = [_grid(axis, bottom + (VOTE_HEIGHT + 30 if is_vote else 0))]
    for row, path in enumerate(paths):
        parts.append(_row(path, trace.decisions, axis, TOP + ROW * row, is_chosen=path.index == chosen_index))
    if is_vote:
        parts.append(_vote(trace, axis, group, bottom + 24))
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="the paths over time">{"".join(parts)}</svg>'


def _is_vote_of_values(trace: Trace) -> bool:
    """Whether the answers of the paths can be compared again, as the vote compared them."""
    verdict = cast("dict[str, Any]", (trace.result or {}).get("verdict") or {})
    return verdict.get("kind", "vote") == "vote"


def _grid(axis: Axis, bottom: float) -> str:
    step = _step(axis.end)
    parts: list[str] = []
    value = 0.0
    while value <= axis.end * 1.0001:
        x = axis.x(value)
        label = f"{value:g} s" if axis.is_time else f"{value:g}"
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
        value += step
    return "".join(parts)


def _step(end: float) -> float:
    """A round distance that gives four to ten lines."""
    size = 10.0 ** len(str(int(end))) if end >= 1 else 1.0
    for divisor in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        if end / (size / divisor) >= 4:
            return size / divisor
    return end


def _row(path: TracedPath, decisions: Sequence[Decided], axis: Axis, y: float, *, is_chosen: bool) -> str:
    name = f"{'▸ ' if is_chosen else ''}{path.purpose or path.index + 1}"
    css = "name chosen" if is_chosen else "name"
    parts = [f'<text class="{css}" x="{LEFT - 10}" y="{y + 12}" text-anchor="end">{name}</text>']
    parts += _bars(path, axis, y)
    parts += [_mark(path, d, axis, y) for d in decisions if d.path == path.index]
    x = axis.x(axis.at(path, len(path.tokens))) + 8
    words = (
        "not needed"
        if path.is_cancelled
        else shortened(outcome(path.passed, path.why, path.extracted or path.closed_by), 22)
    )
    css = "label cut" if path.is_cancelled else ("label chosen" if is_chosen else "label")
    parts.append(f'<text class="{css}" x="{x:.1f}" y="{y + 12}">{escape(words)}</text>')
    return "".join(parts)


def _bars(path: TracedPath, axis: Axis, y: float) -> list[str]:
    """One rectangle for each stretch of one speaker."""
    edges = [0]
    for at, (before, token) in enumerate(pairwise(path.tokens), start=1):
        if speaker_of(before) != speaker_of(token):
            edges.append(at)
    edges.append(len(path.tokens))
    bars = [_bar(path, start, stop, axis, y) for start, stop in pairwise(edges) if start < stop]
    return sorted(bars, key=lambda bar: bar.startswith("<path"))


def _bar(path: TracedPath, start: int, stop: int, axis: Axis, y: float) -> str:
    """Forced tokens take no time: they are a diamond."""
    speaker = speaker_of(path.tokens[start])
    css = CLASS_NAMES[speaker] + (" lost" if path.is_cancelled else "")
    title = escape(f"{name_of(path)}: {counted(stop - start, 'token')}, {speaker}")
    x = axis.x(axis.at(path, start) if start or not axis.is_time else path.tokens[0].t)
    if speaker == "forced":
        title += ": " + escape(shortened("".join(token.text for token in path.tokens[start:stop]), 120))
        return f'<path class="{css}" d="M{x:.1f} {y + BAR / 2 - 8}l6 8l-6 8l-6 -8z"><title>{title}</title></path>'
    width = max(1.5, axis.x(axis.at(path, stop)) - x)
    shape = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"'
    return f'<rect class="{css}" {shape}><title>{title}</title></rect>'


def _mark(path: TracedPath, decision: Decided, axis: Axis, y: float) -> str:
    x = axis.x(axis.at(path, decision.at_token))
    when = f"after {counted(decision.at_token, 'token')}"
    title = f"<title>{escape(f'{when} {said(decision)}')}</title>"
    if decision.action == "roll_back":
        return f'<path class="mark back" d="M{x + 4:.1f} {y - 5}v8l-9 -4z">{title}</path>'
    if decision.action == "close":
        return f'<path class="mark close" d="M{x:.1f} {y - 4}v{BAR + 8}">{title}</path>'
    if decision.action == "stop" and path.is_cancelled:
        cy = y + BAR / 2
        return f'<path class="mark cut" d="M{x - 5:.1f} {cy - 5}l10 10m0 -10l-10 10">{title}</path>'
    return ""


@dataclass(frozen=True, slots=True)
class Moment:
    """A path gave its answer: the counts of every class from then on."""

    when: float
    counts: tuple[int, ...]


def vote_moments(trace: Trace, axis: Axis, group: Grouping) -> tuple[list[str], list[Moment]]:
    """The names of the classes, largest first, and how their counts grew."""
    voters = [path for path in trace.paths if path.extracted and not path.is_cancelled]
    ended = [(axis.at(path, len(path.tokens)), path) for path in voters]
    ended.sort(key=lambda pair: (pair[0], pair[1].index))
    answers = [path.extracted or "" for _, path in ended]
    classes = sorted(group(answers), key=len, reverse=True)
    of = {at: number for number, members in enumerate(classes) for at in members}
    counts = [0] * len(classes)
    moments: list[Moment] = []
    for at, (when, _) in enumerate(ended):
        counts[of[at]] += 1
        moments.append(Moment(when, tuple(counts)))
    return [answers[members[0]] for members in classes], moments


def _vote(trace: Trace, axis: Axis, group: Grouping, top: float) -> str:
    names, moments = vote_moments(trace, axis, group)
    most = max(moments[-1].counts)
    unit = (VOTE_HEIGHT - 16) / most
    base = top + VOTE_HEIGHT
    parts = [f'<text class="name" x="{LEFT - 10}" y="{base - 4}" text-anchor="end">votes</text>']
    labels: list[tuple[float, int]] = []
    for number in reversed(range(min(len(names), MAX_CLASSES))):
        line = ""
        for moment in (m for m in moments if m.counts[number]):
            x = axis.x(moment.when)
            line += f"H{x:.1f}" if line else f"M{x:.1f} {base:.1f}"
            line += f"V{base - unit * moment.counts[number]:.1f}"
        line += f"H{axis.x(axis.end):.1f}"
        parts.append(f'<path class="vote v{number}" d="{line}"/>')
        labels.append((base - unit * moments[-1].counts[number], number))
    below = base + 4.0
    for y, number in sorted(labels, key=lambda label: (-label[0], -label[1])):
        below = min(y + 4, below)
        words = escape(f"{shortened(readable(names[number]), 20)} × {moments[-1].counts[number]}")
        parts.append(f'<text class="label v{number}" x="{axis.x(axis.end) + 8:.1f}" y="{below:.1f}">{words}</text>')
        below -= 14
    return "".join(parts)
