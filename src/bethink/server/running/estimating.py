"""About how much a request may read and sample at the most, said before it has its turn, or even its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bethink.prompt import last_question
from bethink.thinking.calibration import Calibration
from bethink.thinking.checks import MAX_QUESTION_CHARS, asks_for_function
from bethink.thinking.effort import DEFAULT_ANSWER, DEFAULT_THOUGHT, efforts, is_comparable
from bethink.thinking.spend import Spend
from bethink.types import Completion, Request

CHARS_A_TOKEN = 2
"""Few enough that what is estimated of a text is rarely too little."""


def n_chars_of(request: Request | Completion) -> int:
    """How much text a model is given to read."""
    if isinstance(request, Completion):
        return len(request.prompt) + len(request.suffix or "")
    return sum(len(message.content) + len(message.thinking or "") for message in request.messages)


@dataclass(slots=True)
class Estimate:
    """Of one choice. `calibration` is that of a model that is in memory already. The question is read once."""

    request: Request | Completion
    calibration: Calibration | None = None
    _spend: Spend = field(init=False)

    def __post_init__(self) -> None:
        self._spend = Spend(0, 1) if isinstance(self.request, Completion) else _spend(self.request, self.calibration)

    def tokens(self, paths: int) -> int:
        """The most along so many paths."""
        request, read = self.request, n_chars_of(self.request) // CHARS_A_TOKEN
        if isinstance(request, Completion):
            return read + request.max_tokens
        budget = self._spend.budget if request.budget is None else request.budget
        thought = DEFAULT_THOUGHT if budget < 0 else budget
        return read + paths * (request.max_tokens or thought + DEFAULT_ANSWER)

    @property
    def possible_paths(self) -> Sequence[int]:
        """Along how many paths it may be answered, the wish first. Only where bethink chooses them itself may it be
        fewer than wished."""
        request = self.request
        if isinstance(request, Completion):
            return (1,)
        wish = self._spend.paths if request.paths is None else request.paths
        if request.effort != "auto" or request.paths is not None:
            return (wish,)
        return [wish, *(paths for paths in (8, 4, 2, 1) if paths < wish)]

    def held_to(self, paths: int) -> Request | Completion:
        """The request along no more than so many paths, which are one of those that are possible."""
        if isinstance(self.request, Request) and paths < self.possible_paths[0]:
            return replace(self.request, paths=paths)
        return self.request


def _spend(request: Request, calibration: Calibration | None) -> Spend:
    """As it is shipped or as it was measured, whichever is more."""
    is_compared = _is_compared(request)
    auto = "auto-comparable" if is_compared else "auto-native"
    spend = efforts()[auto if request.effort == "auto" else request.effort]
    if not is_compared:
        return Spend(spend.budget, 1)
    if calibration is None:
        return spend
    measured = calibration.efforts[request.effort].spend
    is_unbounded = min(measured.budget, spend.budget) < 0
    return Spend(-1 if is_unbounded else max(measured.budget, spend.budget), max(measured.paths, spend.paths))


def _is_compared(request: Request) -> bool:
    if request.check != "auto":
        return request.check not in ("none", "schema")
    if request.tools and request.tool_choice != "none":
        return False
    question = request.messages[last_question(request.messages)].content if request.messages else ""
    return request.tests is not None or is_comparable(question) or asks_for_function(question[-MAX_QUESTION_CHARS:])
