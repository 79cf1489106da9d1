"""`Profile`: what the controller must know about a model family, and nothing about engines.

A family is *native* when its weights were trained to think between two markers, and *prompted* when it is a plain
instruct model: its reasoning is then the thinking phase, and a hand-off begins the answer. An unknown family is
native when its chat template speaks of think markers, prompted otherwise.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

from bethink.errors import UsageError

PROGRAM_INSTRUCTION = (
    "Solve this with a short Python program: put the numbers of the question into variables with telling names, "
    "compute step by step, and print the final answer alone at the end. Write only the program, no explanation."
)
"""Source: program-aided language models, arXiv 2211.10435, said as a wish instead of shown by examples."""


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """`temperature` draws the paths of a vote; `single_temperature` draws a path that is alone (0 is greedy)."""

    temperature: float = 0.7
    single_temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """One family. Texts are exact, white space included.

    `open_marker`/`close_marker` are what the model writes (native only). `open_text` is what we force when the
    rendered prompt does not end in the marker already, `close_text` what we force to end a thought. `handoff` is the
    sentence, in the model's own voice, before a close that the model did not choose. For prompted families
    `instruction` (answers that can be compared) or `open_instruction` (others) is added to the last question, and
    `answer_lead` begins the answer. `program_instruction` is added for a path that writes a program. `stop` are the
    texts of tokens that end a turn.
    """

    name: str
    kind: Literal["native", "prompted"]
    families: tuple[str, ...] = ()
    name_pattern: str = ""
    open_marker: str = ""
    close_marker: str = ""
    open_text: str = ""
    close_text: str = ""
    handoff: str = ""
    instruction: str = ""
    open_instruction: str = ""
    answer_lead: str = ""
    program_instruction: str = PROGRAM_INSTRUCTION
    stop: tuple[str, ...] = ()
    keeps_thinking: bool = False
    template_options: Mapping[str, object] = field(default_factory=dict[str, object])
    sampling: SamplingDefaults = SamplingDefaults()

    @property
    def is_native(self) -> bool:
        return self.kind == "native"

    @property
    def markers(self) -> tuple[str, ...]:
        """What an answer must never hold."""
        return (self.open_marker, self.close_marker) if self.is_native else ()


def parse_profile(source: str, origin: str) -> Profile:
    """Read one data file. Unknown keys are refused.

    Raises: UsageError.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"profile {origin} is not valid TOML: {error}") from error
    known = {f.name for f in fields(Profile)}
    if unknown := sorted(raw.keys() - known):
        raise UsageError(
            f"profile {origin} has unknown keys: {', '.join(unknown)}", f"known keys: {', '.join(sorted(known))}"
        )
    for key in ("families", "stop"):
        raw[key] = tuple(cast("list[str]", raw.get(key, [])))
    if "sampling" in raw:
        raw["sampling"] = SamplingDefaults(**cast("dict[str, Any]", raw["sampling"]))
    return Profile(**raw)


@cache
def load_profiles() -> tuple[Profile, ...]:
    """All families shipped with bethink, in the order of their names."""
    folder = resources.files("bethink.profiles")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(parse_profile(f.read_text(encoding="utf-8"), f.name) for f in files)


def choose(*, family: str | None, name: str, template: str) -> Profile:
    """The profile of a model: by the family its catalogue entry states, by its name, by its template's own markers,
    or prompted.

    `name` is matched case-insensitively and should hold whatever is known (the reference, `general.name`).
    """
    profiles = load_profiles()
    for profile in profiles:
        if family and family in profile.families:
            return profile
    for profile in profiles:
        if profile.name_pattern and re.search(profile.name_pattern, name, re.IGNORECASE):
            return profile
    generic = {p.name: p for p in profiles}
    if "<think>" in template or "</think>" in template:
        return generic["generic-native"]
    return generic["generic-prompted"]
