"""A trace told in order: for each path what was said by whom, and between it every decision with its cause.

The terminal view and the page are both made from this. Also here: finding a trace by `last`, its id or a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

from bethink.errors import UsageError
from bethink.picture.evidence import shortened
from bethink.picture.plain import one_row
from bethink.trace import Trace, TracedPath, TracedToken, trace_files
from bethink.types import Decided
from bethink.wording import counted

Speaker = Literal["thinking", "answer", "forced", "taken back"]

ACTIONS = {
    "close": "the thought is closed",
    "force": "words are put in its mouth",
    "roll_back": "tokens are taken back",
    "stop": "the path ends",
    "decided": "the vote is decided",
    "proven": "an answer is proven",
    "learned": "programs are compared",
    "futile": "the vote is given up",
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens in a row of one speaker; `start` is the place of the first among the path's tokens."""

    speaker: Speaker
    start: int
    tokens: tuple[TracedToken, ...]

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)


def name_of(path: TracedPath) -> str:
    """How a path is called; what was asked beside the question has its purpose for a name."""
    return path.purpose or f"path {path.index + 1}"


def speaker_of(token: TracedToken) -> Speaker:
    if not token.is_kept:
        return "taken back"
    return "forced" if token.origin == "forced" else token.phase


def story(path: TracedPath, decisions: Sequence[Decided]) -> list[Stretch | Decided]:
    """What happened on one path, in order; a decision stands before the first token that came after it."""
    mine = sorted((d for d in decisions if d.path == path.index), key=lambda d: d.at_token)
    told: list[Stretch | Decided] = []
    start = 0
    for at, token in enumerate(path.tokens):
        here = [d for d in mine if d.at_token == at]
        is_new = at > start and speaker_of(token) != speaker_of(path.tokens[start])
        if (here and at > start) or is_new:
            told.append(_stretch(path, start, at))
            start = at
        told += here
    if start < len(path.tokens):
        told.append(_stretch(path, start, len(path.tokens)))
    return told + [d for d in mine if d.at_token >= len(path.tokens)]


def _stretch(path: TracedPath, start: int, stop: int) -> Stretch:
    return Stretch(speaker_of(path.tokens[start]), start, tuple(path.tokens[start:stop]))


def decisions(trace: Trace) -> list[Decided]:
    """What is worth telling: a vote of one path is none."""
    return [d for d in trace.decisions if d.path >= 0 or len(trace.paths) > 1 or d.action == "proven"]


def is_usual_end(decision: Decided) -> bool:
    """The model ended its answer by itself: nobody else decided anything."""
    return decision.action == "stop" and decision.cause == "stop"


def said(decision: Decided) -> str:
    """A decision in words, with what it worked on."""
    details = decision.details
    words = ACTIONS.get(decision.action, decision.action.replace("_", " "))
    if is_usual_end(decision):
        return "the model ends its answer"
    if decision.action == "roll_back":
        n = details.get("n", 0)
        words = (
            f"{counted(n, 'token')} {'is' if n == 1 else 'are'} taken back" if n else "the last token is drawn again"
        )
    if decision.action == "close" and "closed_by" in details:
        words += f" ({details['closed_by']})"
    return f"{words}: {decision.cause}" if decision.cause else words


def counts(path: TracedPath) -> dict[Speaker, int]:
    totals: dict[Speaker, int] = {"thinking": 0, "answer": 0, "forced": 0, "taken back": 0}
    for token in path.tokens:
        totals[speaker_of(token)] += 1
    return totals


def chosen(trace: Trace) -> TracedPath | None:
    """The path whose answer was given."""
    answer = (trace.result or {}).get("answer")
    given = [path for path in trace.paths if not path.is_cancelled and not path.purpose and path.answer == answer]
    return next(iter(given or trace.paths), None)


def question(trace: Trace) -> str:
    """What the user asked last."""
    messages = cast("Sequence[dict[str, Any]]", trace.request.get("messages", ()))
    asked = [str(message.get("content", "")) for message in messages if message.get("role") == "user"]
    return asked[-1] if asked else ""


def verdict_words(trace: Trace) -> str:
    """The verdict in two or three words; empty when nothing was compared."""
    verdict = cast("dict[str, Any]", (trace.result or {}).get("verdict") or {})
    if not verdict or verdict.get("kind") == "none":
        return ""
    words = {True: "", False: "refuted", None: "unsure"}[verdict.get("passed")]
    agreement = verdict.get("agreement")
    share = _share(verdict) if isinstance(agreement, float) else ("" if words else "passed")
    if verdict.get("kind") not in (None, "vote") and not isinstance(agreement, float):
        share = shortened(one_row(str(verdict.get("why") or share)), 100)
    likely = verdict.get("probability")
    chance = f"right with {likely:.0%}" if isinstance(likely, float) else ""
    return ", ".join(part for part in (words, share, chance) if part)


def _share(verdict: Mapping[str, Any]) -> str:
    """How much of a vote its leader has; one path alone agrees with nobody."""
    votes = cast("Sequence[dict[str, Any]]", verdict.get("votes") or ())
    if not votes:
        return "no answers to compare"
    return f"{verdict['agreement']:.0%} agree" if votes[0].get("count") != 1 else "no two agree"


def find_trace(folder: Path, name: str) -> Path:
    """The file of a trace: `last`, its id, or the only one whose id, or the last part of it, begins so.

    Raises: UsageError: none, or several.
    """
    files = trace_files(folder)
    if not files:
        raise UsageError(f"there are no traces in {folder}", 'bethink ask "…" writes one')
    if name == "last":
        return files[0]
    exact = [file for file in files if file.stem == name]
    near = exact or [file for file in files if name and _begins(file.stem, name)]
    if not near:
        raise UsageError(f"there is no trace {name!r}", "bethink trace list shows them; `last` is the newest")
    if len(near) > 1:
        shown = ", ".join(file.stem for file in near[:4]) + (", …" if len(near) > 4 else "")
        raise UsageError(f"{name!r} could be {len(near)} traces: {shown}", "write more of the id")
    return near[0]


def _begins(trace_id: str, name: str) -> bool:
    return trace_id.startswith(name) or trace_id.rpartition("-")[2].startswith(name)


def local_time(created: str) -> str:
    try:
        return datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return created
