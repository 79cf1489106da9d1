"""The pictures of the report, as plain SVG that the page's CSS colours: accuracy against cost, and agreement against
being right. No scripts, nothing from outside; what a name could smuggle in is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

from bethink.evals.stats import Bin, Estimate

WIDTH, HEIGHT = 520, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 18, 44
N_COLOURS = 6
LABEL_HEIGHT = 15
DOT = 8


@dataclass(frozen=True, slots=True)
class Point:
    """An arm: what it costs and how right it is. `colour` is its number among the arms."""

    name: str
    cost: float
    right: Estimate
    colour: int


def pareto(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats: none is as right for less, or more right for as much. By cost."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.right.value)):
        if not front or point.right.value > front[-1].right.value:
            front.append(point)
    return front


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels; `is_log` for costs that differ by factors."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        low, high = (log10(self.low), log10(self.high)) if self.is_log else (self.low, self.high)
        value = log10(max(value, self.low)) if self.is_log else value
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def cost_chart(points: Sequence[Point], unit: str) -> str:
    """Accuracy against cost on a logarithmic axis, with intervals and the Pareto front."""
    known = [p for p in points if p.cost > 0]
    if not known:
        return ""
    costs = [p.cost for p in known]
    x = Scale(min(costs) / 1.6, max(costs) * 1.9, LEFT, WIDTH - RIGHT, is_log=True)
    low, high, step = _range([p.right.low for p in known], [p.right.high for p in known])
    y = Scale(low, high, HEIGHT - BOTTOM, TOP)
    front = pareto(known)
    parts = [_rows(y, low, high, step), _columns(x), _front(front, x, y)]
    parts += [_point(p, x, y, is_best=p in front) for p in known]
    parts += _labels(known, front, x, y)
    parts.append(_axis_name(f"{unit} a question"))
    label = f"accuracy against {unit}"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _range(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float, float]:
    """(low, high, step) of an axis of shares that holds all intervals."""
    width = max(highs) - min(lows)
    step = 0.2 if width > 0.5 else 0.1 if width > 0.25 else 0.05
    low = max(0.0, floor(min(lows) / step) * step)
    high = min(1.0, (floor(max(highs) / step - 1e-9) + 1) * step)
    return low, max(high, low + step), step


def _rows(y: Scale, low: float, high: float, step: float) -> str:
    parts: list[str] = []
    for n in range(round((high - low) / step) + 1):
        at = y.at(low + n * step)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>')
        text = f"{100 * (low + n * step):.0f} %"
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    return "".join(parts)


def _columns(x: Scale) -> str:
    parts: list[str] = []
    ticks = [m * 10.0**e for e in range(-4, 9) for m in (1, 2, 5) if x.low <= m * 10.0**e <= x.high]
    if len(ticks) > 8:
        ticks = [t for t in ticks if f"{t:e}".startswith("1")]
    for tick in ticks:
        at = x.at(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        text = f"{tick:,.0f}" if tick >= 1 else f"{tick:g}"
        y = HEIGHT - BOTTOM + 17
        parts.append(f'<text class="tick" x="{at:.1f}" y="{y}" text-anchor="middle">{text}</text>')
    return "".join(parts)


def _axis_name(text: str) -> str:
    x = (LEFT + WIDTH - RIGHT) / 2
    return f'<text class="name" x="{x:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(text)}</text>'


def _front(front: Sequence[Point], x: Scale, y: Scale) -> str:
    line = ""
    for p in front:
        line += f"H{x.at(p.cost):.1f}" if line else f"M{x.at(p.cost):.1f} {y.at(p.right.value):.1f}"
        line += f"V{y.at(p.right.value):.1f}"
    return f'<path class="front" d="{line}H{WIDTH - RIGHT}"/>'


def _point(p: Point, x: Scale, y: Scale, *, is_best: bool) -> str:
    cx, cy, low, high = x.at(p.cost), y.at(p.right.value), y.at(p.right.low), y.at(p.right.high)
    css = f"c{p.colour % N_COLOURS}"
    span = f"{100 * p.right.low:.1f} to {100 * p.right.high:.1f}"
    title = escape(f"{p.name}: {100 * p.right.value:.1f} % ({span}), {p.cost:.4g}")
    whisker = f"M{cx:.1f} {low:.1f}V{high:.1f}M{cx - 4:.1f} {low:.1f}h8M{cx - 4:.1f} {high:.1f}h8"
    dot = f'<circle class="{css}{"" if is_best else " beaten"}" cx="{cx:.1f}" cy="{cy:.1f}" r="6"/>'
    return f'<g><title>{title}</title><path class="whisker {css}" d="{whisker}"/>{dot}</g>'


def _labels(points: Sequence[Point], front: Sequence[Point], x: Scale, y: Scale) -> list[str]:
    """Names beside their points, where they cover neither a dot nor each other."""
    parts: list[str] = []
    taken = [Box(x.at(p.cost) - DOT, x.at(p.cost) + DOT, y.at(p.right.value) + 4) for p in points]
    for p in sorted(points, key=lambda p: -p.right.value):
        box, is_left = _free(taken, x.at(p.cost), y.at(p.right.value) + 4, 7.2 * len(p.name))
        taken.append(box)
        css = f"c{p.colour % N_COLOURS}" + (" best" if p in front else "")
        anchor = f'x="{box.right:.1f}" text-anchor="end"' if is_left else f'x="{box.left:.1f}" text-anchor="start"'
        parts.append(f'<text class="arm {css}" {anchor} y="{box.base:.1f}">{escape(p.name)}</text>')
    return parts


@dataclass(frozen=True, slots=True)
class Box:
    """What a dot or a name covers; `base` is where the letters stand."""

    left: float
    right: float
    base: float

    def covers(self, other: Box) -> bool:
        return self.left < other.right and other.left < self.right and abs(self.base - other.base) < LABEL_HEIGHT


def _free(taken: Sequence[Box], cx: float, base: float, width: float) -> tuple[Box, bool]:
    """Where a name of that width may stand, and whether that is left of its point: at its height if it can, then below
    and above. Where nothing is free it stands at its point."""
    places: list[tuple[Box, bool]] = []
    for down in sorted(range(-150, 151, 5), key=lambda d: (abs(d), -d)):
        at = base + down
        right, left = Box(cx + 12, cx + 12 + width, at), Box(cx - 12 - width, cx - 12, at)
        if not places or TOP <= at <= HEIGHT - BOTTOM:
            places += [(right, False)] * (right.right <= WIDTH) + [(left, True)] * (left.left >= LEFT)
    free = ((box, is_left) for box, is_left in places if not any(box.covers(other) for other in taken))
    return next(free, places[0] if places else (Box(LEFT, LEFT + width, base), False))


def reliability_chart(arms: Sequence[tuple[str, int, Sequence[Bin]]], what: str = "paths that agree") -> str:
    """`what` is said against being right; on the diagonal it is a probability. Dots are as large as their bin."""
    x, y = Scale(0, 1, LEFT, WIDTH - RIGHT), Scale(0, 1, HEIGHT - BOTTOM, TOP)
    parts = [_rows(y, 0.0, 1.0, 0.2)]
    for n in range(6):
        at = x.at(n / 5)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        tick = f"{20 * n} %"
        parts.append(f'<text class="tick" x="{at:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{tick}</text>')
    parts.append(f'<path class="front" d="M{x.at(0):.1f} {y.at(0):.1f}L{x.at(1):.1f} {y.at(1):.1f}"/>')
    for name, colour, bins in arms:
        parts.append(_bins(name, colour, bins, x, y))
    parts.append(_axis_name(what))
    label = "agreement against being right"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _bins(name: str, colour: int, bins: Sequence[Bin], x: Scale, y: Scale) -> str:
    css, total = f"c{colour % N_COLOURS}", sum(b.n for b in bins)
    line = "".join(
        f"{'L' if at else 'M'}{x.at(b.agreement):.1f} {y.at(b.right.value):.1f}" for at, b in enumerate(bins)
    )
    parts = [f'<path class="curve {css}" d="{line}"/>'] if bins else []
    for b in bins:
        cx, cy = x.at(b.agreement), y.at(b.right.value)
        title = escape(
            f"{name}: of {b.n} answers with {100 * b.agreement:.0f} % agreement {100 * b.right.value:.0f} % are right"
        )
        whisker = f'<path class="whisker {css}" d="M{cx:.1f} {y.at(b.right.low):.1f}V{y.at(b.right.high):.1f}"/>'
        radius = 4 + 9 * (b.n / total) ** 0.5
        dot = f'<circle class="{css}" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius:.1f}"/>'
        parts.append(f"<g><title>{title}</title>{whisker}{dot}</g>")
    return "".join(parts)


def coverage_chart(arms: Sequence[tuple[str, int, Sequence[tuple[float, float, float]]]]) -> str:
    """Right among the answered against the share that is answered, when what is less sure is left out."""
    x, y = Scale(0, 1, LEFT, WIDTH - RIGHT), Scale(0, 1, HEIGHT - BOTTOM, TOP)
    parts = [_rows(y, 0.0, 1.0, 0.2)]
    for n in range(6):
        at = x.at(n / 5)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{20 * n} %</text>'
        )
    for name, colour, steps in arms:
        css = f"c{colour % N_COLOURS}"
        line = "".join(f"{'L' if i else 'M'}{x.at(c):.1f} {y.at(r):.1f}" for i, (_, c, r) in enumerate(steps))
        parts.append(f'<path class="curve {css}" d="{line}"/>')
        for threshold, covered, right in steps:
            share = f"{100 * right:.0f} % of {100 * covered:.0f} % are right"
            words = f"{name}: answering at {100 * threshold:.0f} % agreement and above, {share}"
            circle = f'<circle class="{css}" cx="{x.at(covered):.1f}" cy="{y.at(right):.1f}" r="4"/>'
            parts.append(f"<g><title>{escape(words)}</title>{circle}</g>")
    parts.append(_axis_name("questions answered, the surest first"))
    label = "right among the answered, against the share answered"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
