"""The values that options of `ask` and `chat` take: durations, limits, checks, a thought, what a question is about.

A value that cannot be honoured is refused here, before a model is loaded, with what to write instead.
"""

from __future__ import annotations

import math
import re
import select
import sys
from pathlib import Path
from typing import BinaryIO, NoReturn

import click

from bethink.errors import UsageError
from bethink.types import EFFORTS

MAX_INPUT_BYTES = 16_000_000
"""More than any model's context holds: a file of this size was named by mistake."""
STDIN_PATIENCE_S = 2.0

CHECKS = ("auto", "none", "math", "code", "schema:FILE", "cmd:COMMAND")

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?", re.ASCII)

_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)([mhdw])", re.ASCII)


class Duration(click.ParamType[float]):
    """Seconds, written as `90`, `20s`, `1.5m`, `1m30s` or `1h`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        match = _DURATION.fullmatch(text)
        if not text or match is None:
            self.fail(f"{str(value)!r} is not a duration; write 90, 20s, 2m or 1m30s", param, ctx)
        hours, minutes, seconds = (float(match[unit] or 0) for unit in "hms")
        total_s = 3600 * hours + 60 * minutes + seconds
        if not 0 < total_s <= 7 * 86400:
            self.fail(f"{str(value)!r} is not between a moment and a week; write 20s or 2m", param, ctx)
        return total_s


class Age(click.ParamType[float]):
    """Seconds, written as `30d`, `2w` or `12h`."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _AGE.fullmatch(str(value).strip().lower())
        if match is None:
            self.fail(f"{str(value)!r} is not an age; write 12h, 30d or 2w", param, ctx)
        return float(match[1]) * {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}[match[2]]


class Temperature(click.ParamType[float]):
    """0 (greedy) to 5."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(str(value))
        except ValueError:
            self.fail(f"{str(value)!r} is not a number; 0 is greedy, 0.7 is usual", param, ctx)
        if not (math.isfinite(number) and 0 <= number <= 5):
            self.fail(f"{value} is not between 0 and 5; 0 is greedy, 0.7 is usual", param, ctx)
        return number


class Check(click.ParamType[str]):
    """Which verifier looks at the answer: a word, `schema:FILE` or `cmd:COMMAND`."""

    name = "|".join(CHECKS)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        name, colon, rest = text.partition(":")
        known = {check.partition(":")[0]: ":" in check for check in CHECKS}
        if name not in known or (colon and not known[name]):
            self.fail(f"{text!r} is no check; use one of {', '.join(CHECKS)}", param, ctx)
        if known[name] and not rest.strip():
            example = "schema:answer.json" if name == "schema" else 'cmd:"python3 verify.py"'
            self.fail(f"{name} needs to know what to hold the answer against: --check {example}", param, ctx)
        if name == "cmd" and (program := _missing_program(rest)):
            self.fail(
                f"there is no program {program!r} to run; name one on the PATH, or a file that may run", param, ctx
            )
        return text

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        del param, ctx
        return f"[{self.name}]"


def _missing_program(command: str) -> str | None:
    """The program of a command when it cannot be started here. A command that cannot be split is refused elsewhere."""
    import shlex
    import shutil

    try:
        words = shlex.split(command)
    except ValueError:
        return None
    return words[0] if words and shutil.which(words[0]) is None else None


class Thought(click.ParamType[str]):
    """A thought to go on from: the contents of a file of that name if there is one, else the text itself."""

    name = "file|text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        try:
            is_file = len(text) < 4096 and "\n" not in text and Path(text).is_file()
        except (OSError, ValueError):
            is_file = False
        if is_file:
            return read_text(Path(text))
        if re.fullmatch(r"\S+\.(txt|md|json)", text):
            self.fail(f"there is no file {text!r}; name a file, or write the thought itself", param, ctx)
        if not text.strip():
            self.fail("the thought is empty; leave the option out to think from the start", param, ctx)
        return text


EFFORT = click.Choice(EFFORTS)
COUNT = click.IntRange(min=0)
AT_LEAST_ONE = click.IntRange(min=1)
PATHS = click.IntRange(min=1, max=256)
PROBABILITY = click.FloatRange(min=0, max=1, min_open=True)
SEED = click.IntRange(min=0, max=2**31 - 1)


def read_text(path: Path) -> str:
    """A file the user named, as text.

    Raises: UsageError: missing, not a file, too large, not UTF-8.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder, not a file", "name the files one by one: -f a.py -f b.py")
        with path.open("rb") as file:
            return _decode(file, str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "check the name and the rights") from error


def read_stdin(*, is_needed: bool) -> str:
    """Standard input to its end; empty when it is a terminal. `is_needed`: the question itself comes from there.

    Raises: UsageError: too large, not UTF-8.
    """
    if sys.stdin is None or sys.stdin.closed:
        return ""
    if sys.stdin.isatty() and not is_needed:
        return ""
    if not sys.stdin.isatty() and not is_needed:
        _say_if_waiting()
    return _decode(sys.stdin.buffer, "standard input")


def _say_if_waiting() -> None:
    """A script may pass on an input that never ends: say what is waited for."""
    try:
        is_ready = bool(select.select([sys.stdin], [], [], STDIN_PATIENCE_S)[0])
    except (OSError, ValueError):  # Windows selects sockets only
        return
    if not is_ready:
        click.echo("note: reading more of the question from standard input; give </dev/null if none is meant", err=True)


def _decode(file: BinaryIO, name: str) -> str:
    raw = file.read(MAX_INPUT_BYTES + 1)
    if len(raw) > MAX_INPUT_BYTES:
        _refuse(f"{name} holds more than {MAX_INPUT_BYTES // 1_000_000} MB", "no model here reads so much; cut it")
    if b"\0" in raw:
        _refuse(f"{name} is not a text file", "give its text, in UTF-8")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        _refuse(f"{name} is not UTF-8 text", f"convert it first, for example: iconv -f latin1 -t utf-8 {name}")


def _refuse(message: str, hint: str) -> NoReturn:
    raise UsageError(message, hint)


def with_context(question: str, parts: list[tuple[str, str]]) -> str:
    """The question after the (name, text) parts it is about; so a file asked about twice is a shared prefix."""
    shown = [f"{name}:\n{_fenced(text, name)}" for name, text in parts if text.strip()]
    return "\n\n".join([*shown, question])


def _fenced(text: str, name: str) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{Path(name).suffix.lstrip('.')}\n{text.rstrip()}\n{fence}"
