"""A trace as Markdown: to read, to paste into an issue, to keep beside the code it is about."""

from __future__ import annotations

import re
from typing import Any, cast

from bethink.picture.evidence import seconds
from bethink.picture.story import chosen, decisions, question, said, verdict_words
from bethink.trace import Trace
from bethink.types import Decided
from bethink.wording import counted


def notes(trace: Trace) -> str:
    """Question, answer, evidence, decisions, and the thought that led to the answer."""
    result = trace.result or {}
    usage = cast("dict[str, Any]", result.get("usage") or {})
    timing = cast("dict[str, Any]", result.get("timing") or {})
    facts = [
        ("model", f"{trace.model.get('name')} (`{trace.model.get('sha256', '')[:12]}`)"),
        ("engine", trace.engine),
        ("closed by", str(result.get("closed_by", "unfinished"))),
        ("verdict", verdict_words(trace) or "nothing to compare"),
        ("tokens", str(usage.get("completion_tokens", 0))),
        ("time", seconds(float(timing.get("total_s") or 0))),
        ("seed", str(trace.request.get("seed"))),
        ("when", trace.created),
    ]
    answered = chosen(trace)
    parts = [
        f"# Trace {trace.id}",
        "## Question\n\n" + fenced(question(trace)),
        "## Answer\n\n" + str(result.get("answer", "")).strip(),
        "## Evidence\n\n| | |\n| --- | --- |\n" + "\n".join(f"| {name} | {_cell(value)} |" for name, value in facts),
        "## Decisions\n\n" + _decisions(trace),
    ]
    if answered is not None and answered.thinking.strip():
        parts.append("## Thought\n\n" + fenced(answered.thinking))
    return "\n\n".join(parts) + "\n"


def fenced(text: str) -> str:
    """Text as it is, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text.strip()}\n{fence}"


def _decisions(trace: Trace) -> str:
    lines = [f"- {_who(d)}: {_cell(said(d))}" for d in decisions(trace)]
    return "\n".join(lines) or "None: the model thought and answered by itself."


def _who(decision: Decided) -> str:
    when = counted(decision.at_token, "token")
    return f"path {decision.path + 1}, after {when}" if decision.path >= 0 else "the vote"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
