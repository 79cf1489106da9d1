"""Arms: the ways to ask that are compared. `"plain, effort=low, vote:16, budget:256+vote:4, plain@0.7"` becomes values.

`plain` is the engine alone: the model's own chain of thought without bethink's control, greedy. `vote:N` may stop
early, as `bethink ask` does; `fixed:N` takes all N paths to their end, which is what `simulate` replays. In
`vote:16+programs:4` four of the paths write programs whose output votes. Settings of
one arm are joined by `+`; `@T` at the end is the temperature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from bethink.errors import UsageError
from bethink.thinking.spend import MAX_PATHS
from bethink.thinking.vote import VoteRule
from bethink.types import EFFORTS, Effort

DEFAULT_ARMS = "plain, effort=auto"
NEVER = VoteRule(wave=MAX_PATHS, confidence=2.0, futile_after=10**6, straggler=10.0**6)
"""The rule of `fixed`: one wave, and nothing ends it early."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to ask. None is "as bethink sees fit"; a plain arm has a temperature only."""

    name: str
    is_plain: bool = False
    effort: Effort = "auto"
    budget: int | None = None
    paths: int | None = None
    within_s: float | None = None
    temperature: float | None = None
    is_fixed: bool = False
    programs: int | None = None

    @property
    def is_greedy(self) -> bool:
        """Whether a second seed would only repeat the first."""
        return self.is_plain and not self.temperature


def parse_arms(text: str) -> tuple[Arm, ...]:
    """Raises: UsageError."""
    names = ["".join(part.split()) for part in text.split(",")]
    if not any(names):
        raise UsageError("there is no arm", f'for example --arms "{DEFAULT_ARMS}"')
    arms = tuple(_arm(name) for name in names if name)
    for at, arm in enumerate(arms):
        if arm.name in [a.name for a in arms[:at]]:
            raise UsageError(f"the arm {arm.name} is there twice", "name each arm once; --seeds repeats all")
    return arms


def _arm(text: str) -> Arm:
    settings, at, temperature = text.partition("@")
    arm = Arm(text)
    seen: set[str] = set()
    for setting in settings.split("+"):
        kind = setting.replace(":", "=").partition("=")[0]
        field = "paths" if kind in ("vote", "fixed") else kind
        if field in seen:
            raise UsageError(f"the arm {text!r} sets {kind} twice", "each setting once")
        seen.add(field)
        arm = _with(arm, setting, text)
    if arm.is_plain and len(seen) > 1:
        raise UsageError(f"the arm {text!r} cannot be: plain is the engine without control", "give plain alone")
    if arm.programs is not None and (arm.is_fixed or arm.programs >= (arm.paths or MAX_PATHS)):
        raise UsageError(f"the arm {text!r} cannot be: programs are some of the paths of a vote", "vote:16+programs:4")
    return replace(arm, temperature=_temperature(temperature, text)) if at else arm


def _with(arm: Arm, setting: str, text: str) -> Arm:
    kind, _, value = setting.replace(":", "=").partition("=")
    readers: Mapping[str, Callable[[], Arm]] = {
        "plain": lambda: _plain(arm, value, text),
        "effort": lambda: replace(arm, effort=_effort(value, text)),
        "budget": lambda: _alone(replace(arm, budget=_count(value, 0, 10**7, text))),
        "vote": lambda: replace(arm, paths=_count(value, 1, MAX_PATHS, text)),
        "fixed": lambda: replace(arm, paths=_count(value, 1, MAX_PATHS, text), is_fixed=True),
        "programs": lambda: replace(arm, programs=_count(value, 0, MAX_PATHS - 1, text)),
        "within": lambda: replace(arm, within_s=_seconds(value, text)),
    }
    if kind not in readers:
        near = get_close_matches(kind, readers, n=1)
        hint = (
            f"did you mean {near[0]}?"
            if near
            else "plain, effort=low, vote:16, vote:16+programs:4, fixed:16, budget:256, within:20s"
        )
        raise UsageError(f"unknown arm {text!r}", hint)
    return readers[kind]()


def _plain(arm: Arm, value: str, text: str) -> Arm:
    if value:
        raise UsageError(f"the arm {text!r} has a value, plain takes none", "plain, or plain@0.7 for its temperature")
    return replace(arm, is_plain=True)


def _alone(arm: Arm) -> Arm:
    """A budget alone is a budget of one path."""
    return replace(arm, paths=arm.paths or 1)


def _effort(value: str, text: str) -> Effort:
    if value not in EFFORTS:
        raise UsageError(f"the arm {text!r} has no effort that is known", f"one of {', '.join(EFFORTS)}")
    return value


def _count(value: str, least: int, most: int, text: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 12 and least <= int(value) <= most):
        raise UsageError(
            f"the arm {text!r} needs a whole number from {least} to {most}", "for example vote:16, budget:256"
        )
    return int(value)


def _seconds(value: str, text: str) -> float:
    return _number(value.removesuffix("s"), 0.001, 7 * 86400, text, "seconds, for example within:20s")


def _temperature(value: str, text: str) -> float:
    return _number(value, 0, 5, text, "a temperature from 0 to 5 after @, for example plain@0.7")


def _number(value: str, least: float, most: float, text: str, what: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise UsageError(f"the arm {text!r} has no number that can be used", what)
    return number
