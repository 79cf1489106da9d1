"""The options that `ask` and `chat` share, read once into one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from bethink.cli.model_names import ModelName, offer_engines
from bethink.cli.parameters import (
    AT_LEAST_ONE,
    COUNT,
    EFFORT,
    PATHS,
    PROBABILITY,
    SEED,
    Check,
    Duration,
    Temperature,
    read_text,
)
from bethink.types import Effort, Message, Request

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; None is "as bethink sees fit"."""

    model: str | None = None
    effort: Effort = "auto"
    budget: int | None = None
    within_s: float | None = None
    paths: int | None = None
    check: str = "auto"
    tests: Path | None = None
    unsafe_local: bool = False
    sure: float | None = None
    programs: int | None = None
    seed: int | None = None
    temperature: float | None = None
    system: str | None = None
    max_tokens: int | None = None
    engine: str | None = None
    precision: str | None = None
    no_color: bool = False
    hide_thought: bool = False

    @classmethod
    def of(cls, values: dict[str, Any]) -> Options:
        """Takes its own values out of a command's, and leaves the rest."""
        return cls(**{field.name: values.pop(field.name) for field in fields(cls)})

    def request(self, messages: Sequence[Message], thought: str | None = None) -> Request:
        """Raises: UsageError: a file that was named cannot be read."""
        check, _, file = self.check.partition(":")
        is_schema = check == "schema"
        return Request(
            messages=tuple(messages),
            effort=self.effort,
            budget=self.budget,
            within_s=self.within_s,
            max_tokens=self.max_tokens,
            paths=self.paths,
            check=check if is_schema else self.check,
            tests=read_text(self.tests) if self.tests else None,
            unsafe_local=self.unsafe_local,
            sure=self.sure,
            programs=self.programs,
            json_schema=read_text(Path(file)) if is_schema else None,
            seed=self.seed,
            temperature=self.temperature,
            thought=thought,
        )


_OPTIONS = (
    click.option(
        "-m",
        "--model",
        type=ModelName(),
        metavar="NAME",
        help="A model's name, reference or path (`bethink models list`).",
    ),
    click.option("--effort", type=EFFORT, default="auto", show_default=True, help="How much thinking to spend."),
    click.option(
        "--budget", type=COUNT, metavar="TOKENS", help="Tokens of thought a path may take; 0 answers at once."
    ),
    click.option(
        "--within",
        "within_s",
        type=Duration(),
        metavar="TIME",
        help="Be done in 20s, 2m, …; in `ask` that includes loading the model.",
    ),
    click.option("--paths", type=PATHS, metavar="N", help="At most so many chains of thought, which then vote."),
    click.option("--check", type=Check(), default="auto", show_default=True, help="The evidence that an answer needs."),
    click.option(
        "--tests",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Tests that a program must pass: Python, or JSON with stdin and stdout.",
    ),
    click.option("--unsafe-local", is_flag=True, help="Run programs without a sandbox where there is none."),
    click.option(
        "--sure",
        type=PROBABILITY,
        metavar="P",
        help="Below this probability a vote is unsure; for calibrated models.  [default: 0.8]",
    ),
    click.option(
        "--programs",
        type=COUNT,
        metavar="N",
        help="So many of the paths write a program, whose output votes with the others.",
    ),
    click.option("--seed", type=SEED, metavar="N", help="Makes a run repeatable."),
    click.option("--temperature", type=Temperature(), metavar="T", help="0 is greedy; by default the model's own."),
    click.option("--system", metavar="TEXT", help="The system message."),
    click.option("--max-tokens", type=AT_LEAST_ONE, metavar="N", help="Tokens a path may take, thought and answer."),
    click.option("--engine", metavar="NAME", shell_complete=offer_engines, help="openvino or llamacpp."),
    click.option("--precision", metavar="NAME", help="The precision of the prepared weights."),
    click.option("--no-color", is_flag=True, help="No colours (as the variable NO_COLOR does)."),
    click.option("--hide-thought", is_flag=True, help="Show the answer only; the thought is still in the trace."),
)


def with_options(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """The decorator that gives a command all of these, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


thinking_options = with_options(_OPTIONS)
"""The decorator that gives a command every option of `Options`."""
