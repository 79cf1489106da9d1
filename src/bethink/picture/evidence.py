"""What a result says for itself in words: what closed the thought, how the vote went, what it cost. No styles."""

from __future__ import annotations

from bethink.picture.math_text import plain
from bethink.picture.plain import one_row
from bethink.types import ClosedBy, Result, Verdict, Vote

CLOSINGS: dict[ClosedBy, str] = {
    "natural": "the thought ended by itself",
    "budget": "the thought was closed at its budget",
    "deadline": "the thought was closed by the deadline",
    "loop": "the thought looped and was closed",
    "converged": "the thought was closed: nothing changed any more",
    "user": "the thought was closed by you",
}

MAX_WHY = 200
"""What a test or a command says of an answer may be long; --json has all of it."""

WORTH_SAYING_S = 0.5
"""A load that is shorter explains nothing."""


def closing(result: Result) -> str:
    """What ended the thought. Without a thought there was nothing to close."""
    if result.finish_reason == "user" and result.closed_by == "user":
        return "stopped by you"
    words = CLOSINGS[result.closed_by]
    if not result.thinking.strip() and result.closed_by in ("natural", "budget"):
        words = "answered without thinking"
    match result.finish_reason:
        case "length":
            return f"{words}, the answer was cut at its limit"
        case "deadline" if result.closed_by != "deadline":
            return f"{words}, the answer was cut by the deadline"
        case "loop":
            return f"{words}, the answer looped and was cut"
        case "user":
            return f"{words}, the answer was stopped by you"
        case _:
            return words


def judgement(verdict: Verdict) -> str:
    """The evidence, or empty when there is none to speak of."""
    sure = {True: "", False: "refuted", None: "unsure"}[verdict.passed]
    if verdict.kind == "none":
        return ""
    votes = verdict.votes
    share = f" ({verdict.agreement:.0%})" if verdict.agreement and len(votes) > 1 and votes[0].count > 1 else ""
    likely = "" if verdict.probability is None else f", right with a probability of {verdict.probability:.0%}"
    why = f"{shortened(one_row(verdict.why), MAX_WHY)}{share}{likely}" or verdict.kind
    return f"{sure}: {why}" if sure else why


def outcome(passed: bool | None, why: str, extracted: str | None) -> str:
    """What came of one path, in one row: what judged it, else the answer that votes."""
    if passed is None:
        first, _, rest = (extracted or "").strip().partition("\n")
        return readable(first + (" …" if rest else "")) if extracted else (why or "no answer to compare")
    return one_row(why) or ("passed" if passed else "refuted")


def cost(result: Result) -> str:
    """Tokens by purpose, seconds and rate."""
    usage, timing = result.usage, result.timing
    parts = [(usage.thinking_tokens, "thinking"), (usage.answer_tokens, "answer"), (usage.probe_tokens, "probe")]
    parts.append((usage.discarded_tokens, "discarded"))
    tokens = " + ".join(f"{n:,} {what}" for n, what in parts if n) or "0"
    loading = f" (loading {seconds(timing.load_s)})" if timing.load_s >= WORTH_SAYING_S else ""
    noun = "token" if sum(n for n, _ in parts) == 1 else "tokens"
    return f"{tokens} {noun}, {seconds(timing.total_s)}{loading}, {timing.tokens_per_s:.0f} tokens/s"


def seconds(value: float) -> str:
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def one_line(result: Result, separator: str = " · ") -> str:
    return separator.join(part for part in (closing(result), judgement(result.verdict), cost(result)) if part)


def vote_rows(votes: tuple[Vote, ...], width: int, full: str, *, most: int = 5) -> list[tuple[str, str, int]]:
    """(answer, bar, count) of the leading classes, the bars scaled to the largest within `width` columns."""
    if not votes:
        return []
    top = votes[0].count
    most = len(votes) if len(votes) == most + 1 else most
    rows = [
        (shortened(readable(v.answer), 24), full * max(1, round(width * v.count / top)), v.count) for v in votes[:most]
    ]
    rest = sum(v.count for v in votes[most:])
    if rest:
        rows.append((f"{len(votes) - most} others", full * max(1, round(width * min(rest, top) / top)), rest))
    return rows


def readable(answer: str) -> str:
    """An extracted answer in one line of plain text."""
    return " ".join((plain(answer) or answer).split())


def shortened(text: str, width: int, ellipsis: str = "…") -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - len(ellipsis)] + ellipsis
