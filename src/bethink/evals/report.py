"""The report of a measurement as one HTML page that needs nothing else: cost against accuracy, differences, whether
agreement can be trusted, and every question with every answer.

No scripts and no outside resources (the page forbids them to itself); everything that a model or a file wrote is
escaped. Texts are cut where the page would grow beyond what a browser opens; results.jsonl has them whole.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any, cast

from bethink.evals.chart import N_COLOURS, Point, cost_chart, coverage_chart, reliability_chart
from bethink.evals.page import facts, frame, grid, interval, percent, points, span
from bethink.evals.questions import questions
from bethink.evals.results import Line
from bethink.evals.stats import Difference
from bethink.evals.summary import ArmSummary, Comparison, Summary, power_lines


def page(summary: Summary, lines: Sequence[Line], traces: Collection[str] = ()) -> str:
    """The whole page. `traces` are the names of the files in the folder `traces` beside it."""
    settings = summary.settings
    title = f"{settings.get('task', 'questions')}: {_model(settings)} · bethink eval"
    body = f"""{_head(summary)}
<section><h2>What it costs to be right</h2>{_costs(summary)}</section>
<section><h2>The arms</h2>{_table(summary.arms)}</section>
{_differences(summary.comparisons)}
{_samples(summary.arms)}
{_agreement(summary.arms)}
<section><h2>Every question</h2>{questions(lines, [a.name for a in summary.arms], traces)}</section>
{_foot(summary)}"""
    return frame(title, body)


def _model(settings: Mapping[str, Any], key: str = "name") -> str:
    return str(cast("dict[str, Any]", settings.get("model") or {}).get(key, "?"))


def _head(summary: Summary) -> str:
    s = summary.settings
    n = max((a.n for a in summary.arms), default=0)
    told = [
        ("model", _model(s)),
        ("engine", f"{s.get('engine', '?')} {s.get('engine_settings', '')}".strip()),
        ("questions", f"{n:,}"),
        ("answers", f"{sum(a.n_answers for a in summary.arms):,}"),
        ("seed", str(s.get("seed", "?"))),
        ("machine", str(s.get("machine", "?"))),
    ]
    notes = "".join(f'<p class="note">{escape(str(note))}</p>' for note in s.get("notes", ()))
    heading = f"{s.get('task', 'questions')}: {n:,} questions, {len(summary.arms)} ways to ask"
    return f"""<header><p class="over">bethink eval · {escape(str(s.get("created", "")))}</p><h1>{escape(heading)}</h1>
<p class="lead">{escape(headline(summary))}</p>{notes}{facts(told)}</header>"""


def headline(summary: Summary) -> str:
    """The finding in one or two sentences, no more than the numbers carry."""
    if not summary.arms:
        return "Nothing is measured yet."
    first = summary.arms[0]
    best = max(summary.arms, key=lambda a: a.lenient.value)
    right = f"{percent(best.lenient.value)} ({interval(best.lenient)})"
    if best is first:
        rest = "" if len(summary.arms) == 1 else ", and no other arm in more"
        return f"{first.name} is right in {right}{rest}."
    pair = next((c.lenient for c in summary.comparisons if (c.a, c.b) == (first.name, best.name)), None)
    if pair is None:
        return f"{best.name} is right most often: {right}."
    gain = (
        f"{best.name} is right most often: {right}. That is {points(pair.difference.value)} points against {first.name}"
    )
    if pair.difference.low <= 0:
        return f"{gain}, which these {pair.n} questions do not show to be more than chance."
    return f"{gain} ({span(pair.difference)}), for {best.tokens / max(first.tokens, 1e-9):.1f} times its tokens."


def _costs(summary: Summary) -> str:
    tokens = [Point(a.name, a.tokens, a.lenient, at) for at, a in enumerate(summary.arms)]
    seconds = [Point(a.name, a.seconds, a.lenient, at) for at, a in enumerate(summary.arms)]
    told = (
        "Whiskers are 95 % intervals. Full dots are on the dashed front: nothing here is as right for less. "
        "Seconds are the machine's time for one question while it is kept busy with many."
    )
    return f"""<div class="pair"><figure><h3>Accuracy against tokens</h3>{cost_chart(tokens, "tokens")}</figure>
<figure><h3>Accuracy against seconds</h3>{cost_chart(seconds, "seconds")}</figure></div><p class="note">{told}</p>"""


def _table(arms: Sequence[ArmSummary]) -> str:
    head = ["arm", "right", "95 %", "strict", "tokens", "seconds", "latency", "unsure", "errors"]
    rows: list[str] = []
    for at, a in enumerate(arms):
        name = f'<i class="swatch c{at % N_COLOURS}"></i>{escape(a.name)}'
        cells = [
            f"<b>{percent(a.lenient.value)}</b>",
            f"<small>{interval(a.lenient)}</small>",
            percent(a.strict.value),
            f"{a.tokens:,.0f}",
            f"{a.seconds:.2f}",
            f"{a.latency_s:.1f} s",
            str(a.n_unsure),
            str(a.n_errors),
        ]
        rows.append(f"<tr><td>{name}</td>{''.join(f'<td>{c}</td>' for c in cells)}</tr>")
    told = (
        "<b>Right</b> takes the last thing that could be an answer, <b>strict</b> only what the answer states as its "
        "own: what lies between is format, not skill. <b>Seconds</b> are the machine's share, <b>latency</b> is how "
        "long one question took with others beside it. Errors and unsure verdicts count as not right."
    )
    return f"{grid(head, rows)}<p class='note'>{told}</p>"


def _differences(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    head = ["arm", "difference", "95 %", "strict", "won", "lost", "McNemar p", "can show"]
    rows = [_difference(c) for c in comparisons]
    power = "".join(f'<p class="note">{escape(line[:1].upper() + line[1:])}.</p>' for line in power_lines(comparisons))
    told = (
        "Paired by question: <b>won</b> are those that the arm alone got right, <b>lost</b> those that only the other "
        "did. The interval is a bootstrap over questions, p is McNemar's exact test; the last column is the smallest "
        "difference so many questions can show."
    )
    return f"<section><h2>Differences, in points</h2>{grid(head, rows)}<p class='note'>{told}</p>{power}</section>"


def _difference(c: Comparison) -> str:
    d: Difference = c.lenient
    css = "shows" if d.difference.low > 0 else "loses" if d.difference.high < 0 else ""
    cells = [
        f'<span class="{css}">{points(d.difference.value)}</span>',
        f"<small>{span(d.difference)}</small>",
        points(c.strict.difference.value),
        "–" if d.only_b is None else str(d.only_b),
        "–" if d.only_a is None else str(d.only_a),
        "–" if d.p is None else f"{d.p:.2g}",
        f"{100 * d.least:.0f}",
    ]
    name = f"{escape(c.b)} <small>against</small> {escape(c.a)}"
    return f"<tr><td>{name}</td>{''.join(f'<td>{x}</td>' for x in cells)}</tr>"


def _samples(arms: Sequence[ArmSummary]) -> str:
    known = [a for a in arms if a.any_at]
    if not known:
        return ""
    ks = sorted({k for a in known for k in a.any_at})
    rows: list[str] = []
    for a in known:
        for name, found in (("one of k is right", a.any_at), ("the vote of k is right", a.majority_at)):
            if not found:
                continue
            cells = "".join(f"<td>{percent(found[k]) if k in found else '–'}</td>" for k in ks)
            rows.append(f"<tr><td>{escape(a.name)}</td><td>{name}</td>{cells}</tr>")
    told = "Exact over all subsets of k of the sampled paths. What lies between the two, a better choice could win."
    head = ["arm", "", *(f"k = {k}" for k in ks)]
    return f"<section><h2>More samples</h2>{grid(head, rows)}<p class='note'>{told}</p></section>"


def _agreement(arms: Sequence[ArmSummary]) -> str:
    known = [(a.name, at, a) for at, a in enumerate(arms) if a.bins]
    if not known:
        return ""
    errors = ", ".join(f"{name} {a.calibration_error or 0:.2f}" for name, _, a in known)
    bins = reliability_chart([(name, at, a.bins) for name, at, a in known])
    covered = coverage_chart([(name, at, a.coverage) for name, at, a in known])
    keys = "".join(f'<i class="swatch c{at % N_COLOURS}"></i>{escape(name)} &nbsp; ' for name, at, _ in known)
    return f"""<section><h2>Can agreement be trusted?</h2><div class="pair">
<figure><h3>Agreement against being right</h3>{bins}<figcaption>{keys}<br>On the dashed line,
agreement is a probability. Expected calibration error: {escape(errors)}.</figcaption></figure>
<figure><h3>Answering only what is sure</h3>{covered}<figcaption>{keys}<br>Right among the answered
questions, when those with less agreement are left out.</figcaption></figure></div></section>"""


def _foot(summary: Summary) -> str:
    s = summary.settings
    rows = [
        ("questions from", f"{s.get('source', '?')} (SHA-256 {s.get('task_sha256', '?')})"),
        ("model", f"{_model(s)} (SHA-256 {_model(s, 'sha256')})"),
        ("engine", f"{s.get('engine', '?')} {s.get('engine_settings', '')}".strip()),
        ("first question, number, seeds", f"{s.get('first', 0)}, {s.get('n', '?')}, {s.get('seeds', '?')}"),
        ("tokens a path, at most", str(s.get("max_tokens") or "as bethink sees fit")),
        ("paths at once", str(s.get("parallel", "?"))),
        ("bethink", str(s.get("bethink", "?"))),
    ]
    body = "".join(f"<p class='note'>{escape(name)}: <code>{escape(value)}</code></p>" for name, value in rows)
    command = escape(str(s.get("command", "")))
    return f"<footer><h2>Settings</h2>{body}<p class='note'>This repeats it:</p><pre>{command}</pre></footer>"
