"""A calibration as one HTML page: what each effort spends and why, what being right costs, whether the probabilities
hold, and what is right among the answers that are sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from bethink.evals.arms import NEVER
from bethink.evals.calibrate import Findings
from bethink.evals.candidates import SIZES, Samples, n_paths_of, tried
from bethink.evals.chart import Point, cost_chart, coverage_chart, reliability_chart
from bethink.evals.page import facts, frame, grid, interval, percent, spends, stops
from bethink.evals.stats import accuracy, chance_error, coverage, reliability
from bethink.thinking.calibration import Calibration, Chosen
from bethink.thinking.spend import Spend
from bethink.types import EFFORTS, Effort

BY_AGREEMENT, BY_PROBABILITY = ("agreement", 0), ("calibrated probability", 1)


def calibration_page(findings: Findings) -> str:
    """The whole page."""
    calibration = findings.calibration
    body = f"""{_head(calibration)}
<section><h2>What each effort spends</h2>{_efforts(calibration)}</section>
<section><h2>What it costs to be right</h2>{_costs(findings)}</section>
{_belief(findings)}
{_foot(calibration)}"""
    return frame(f"{calibration.model} · bethink calibrate", body)


def _head(c: Calibration) -> str:
    auto = c.efforts["auto"]
    lead = (
        f"By default a question whose answers can be compared gets {spends(auto.spend)}: "
        f"right in {percent(auto.right.value)} ({interval(auto.right)}){' in-sample' if c.is_in_sample else ''}."
    )
    notes = "".join(f'<p class="note">{escape(note[:1].upper() + note[1:])}.</p>' for note in c.notes)
    told = [
        ("model", c.model),
        ("engine", f"{c.engine}, {c.form}"),
        ("questions", f"{c.n_questions:,}"),
        ("calibration error", f"{c.error:.3f}"),
    ]
    heading = f"{c.model} on this machine"
    return f"""<header><p class="over">bethink calibrate · {escape(c.made)}</p><h1>{escape(heading)}</h1>
<p class="lead">{escape(lead)}</p>{notes}{facts(told)}</header>"""


def _efforts(c: Calibration) -> str:
    right = "right, in-sample" if c.is_in_sample else "right"
    head = ["effort", "spends", "vote ends", right, "95 %", "tokens", "chosen because (in-sample)"]
    rows = "".join(_effort(name, c.efforts[name]) for name in EFFORTS)
    told = (
        "An effort is never less right than the next cheaper one on the questions that chose it, and dearer only where "
        "it is shown to be better there, paired by question. A thought that a smaller budget would have cut counts as "
        f"unanswered. {c.of_whom[:1].upper()}{c.of_whom[1:]}."
    )
    return f"<div class='words'>{grid(head, [rows])}</div><p class='note'>{told}</p>"


def _effort(name: Effort, chosen: Chosen) -> str:
    cells = [
        escape(spends(chosen.spend)),
        escape(stops(chosen.spend)),
        f"<b>{percent(chosen.right.value)}</b>",
        f"<small>{interval(chosen.right)}</small>",
        f"{chosen.tokens:,.0f}",
        f'<small class="why">{escape(chosen.why)}</small>',
    ]
    return f"<tr><td>{name}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _costs(findings: Findings) -> str:
    points = [*_fixed(findings.samples, -1, 0), *_fixed(findings.samples, 0, 2)]
    by_spend: dict[Spend, list[str]] = {}
    for name in EFFORTS:
        by_spend.setdefault(findings.calibration.efforts[name].spend, []).append(name)
    for spend, names in by_spend.items():
        candidate = tried(findings.samples, spend)
        points.append(Point(", ".join(names), candidate.tokens, accuracy(candidate.rights), 1))
    told = (
        "Whiskers are 95 % intervals. Green: the efforts. Grey: so many paths with a thought, all to their end; blue: "
        "without one. Full dots are on the dashed front: nothing here is as right for less. All are of all questions; "
        "the green ones were chosen by these, so they are in-sample and flatter."
    )
    return f'<figure class="single">{cost_chart(points, "tokens")}</figure><p class="note">{told}</p>'


def _fixed(samples: Samples, budget: int, colour: int) -> list[Point]:
    found: list[Point] = []
    n_paths = n_paths_of(samples.items(Spend(budget, 1)))
    for size in (s for s in SIZES if s <= n_paths):
        candidate = tried(samples, Spend(budget, size, replace(NEVER, wave=size)))
        found.append(Point(f"{size}", candidate.tokens, accuracy(candidate.rights), colour))
    return found


def _belief(findings: Findings) -> str:
    if not findings.tries:
        return ""
    series: list[tuple[tuple[str, int], Sequence[tuple[float, float]]]] = [
        (BY_AGREEMENT, [(t.agreement, t.is_right) for t in findings.tries]),
        (BY_PROBABILITY, [(t.probability, t.is_right) for t in findings.tries]),
    ]
    measured = [(name, colour, *reliability(pairs)) for (name, colour), pairs in series]
    bins = reliability_chart([(name, colour, found) for name, colour, found, _ in measured], "said to be right")
    covered = coverage_chart([(name, colour, coverage(pairs)) for (name, colour), pairs in series[1:]])
    keys = "".join(f'<i class="swatch c{c}"></i>{name}, error {error:.3f} &nbsp; ' for name, c, _, error in measured)
    chance = chance_error([t.probability for t in findings.tries])
    return f"""<section><h2>Can a probability be trusted?</h2><div class="pair">
<figure><h3>Said to be right against being right</h3>{bins}<figcaption>{keys}<br>On the dashed line
what is said is true. Every question was tried with what was chosen on others. Probabilities that are
perfectly true would show an error of {chance:.3f} on so few.</figcaption></figure>
<figure><h3>Answering only what is sure</h3>{covered}<figcaption>Right among the answered questions, when those
with a lower probability are left unsure.</figcaption></figure></div>{_sure(findings)}</section>"""


def _sure(findings: Findings) -> str:
    rows: list[str] = []
    for sure in (0.5, 0.6, 0.7, 0.8, 0.9):
        kept = [t.is_right for t in findings.tries if t.probability >= sure]
        right = accuracy(kept)
        cells = [
            percent(len(kept) / len(findings.tries)),
            f"<b>{percent(right.value)}</b>" if kept else "–",
            f"<small>{interval(right)}</small>" if kept else "",
        ]
        rows.append(f"<tr><td>--sure {sure}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return grid(["", "answers that are sure", "right among them", "95 %"], rows)


def _foot(c: Calibration) -> str:
    told = [
        ("questions from", c.source),
        ("model", f"{c.model} (SHA-256 {c.sha256})"),
        ("machine", c.machine),
    ]
    rows = "".join(f"<p class='note'>{name}: <code>{escape(value)}</code></p>" for name, value in told)
    return f"<footer><h2>Settings</h2>{rows}</footer>"
