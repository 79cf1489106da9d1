"""What every page of the evaluation is made of: the frame, tables, facts, and how shares and settings are written.

No scripts and no outside resources (the frame forbids them to itself). What is put into it is escaped by whoever puts
it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Protocol

from bethink.thinking.spend import Spend
from bethink.thinking.vote import VoteRule
from bethink.wording import counted

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Spanned(Protocol):
    """A value with its interval."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def frame(title: str, body: str) -> str:
    """The whole page."""
    style = resources.files("bethink.evals").joinpath("report.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title><style>{style}</style></head><body><main>
{body}
</main></body></html>
"""


def facts(found: Sequence[tuple[str, str]]) -> str:
    chips = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in found)
    return f'<dl class="facts">{chips}</dl>'


def grid(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{h}</th>" for h in head)
    return f'<div class="scroll"><table><tr>{cells}</tr>{"".join(rows)}</table></div>'


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def interval(found: Spanned) -> str:
    return f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def span(found: Spanned) -> str:
    """The interval of a difference."""
    return f"{points(found.low)} to {points(found.high)}"


def spends(spend: Spend) -> str:
    """A setting in words."""
    thought = {0: "no thought", -1: "any thought"}.get(spend.budget, f"{counted(spend.budget, 'token')} of thought")
    if spend.paths == 1:
        return f"one path, {thought}"
    is_whole = (spend.rule or VoteRule()).confidence > 1
    return f"{'' if is_whole else 'up to '}{spend.paths} paths, {thought}"


def stops(spend: Spend) -> str:
    """When the vote of a setting ends."""
    rule = spend.rule or VoteRule()
    if spend.paths == 1:
        return ""
    if rule.confidence > 1:
        return "all paths vote"
    gives_up = f", or under {100 * rule.futile_share:.0f} % after {rule.futile_after}"
    return f"{100 * rule.confidence:.0f} % decided{gives_up if rule.futile_after <= spend.paths else ''}"
