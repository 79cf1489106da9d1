"""`bethink ask`: one question, a thought that ends, an answer with its evidence.

In a terminal the thought streams by; a pipe gets the answer alone;
`--json` prints exactly one object, also when it fails.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from bethink.cli.display import open_display
from bethink.cli.main import EXIT_INTERRUPTED, print_json
from bethink.cli.options import Options, thinking_options
from bethink.cli.parameters import Thought, read_stdin, read_text, with_context
from bethink.cli.terminal import Terminal, open_terminal
from bethink.errors import UsageError
from bethink.types import Message, Request


@click.command()
@click.argument("words", nargs=-1, metavar="[QUESTION]")
@click.option("-f", "--file", "files", multiple=True, type=click.Path(path_type=Path), help="A text file to ask about.")
@thinking_options
@click.option("--thought", type=Thought(), help="Go on from this thought (one you edited, for example).")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object with everything.")
@click.option("--trace", "shows_trace", is_flag=True, help="Say where the trace of this request is.")
def ask(
    words: tuple[str, ...],
    files: tuple[Path, ...],
    thought: str | None,
    is_json: bool,
    shows_trace: bool,
    **values: Any,
) -> int:
    """Ask QUESTION and print the answer.

    Without QUESTION (or with -) it is read from standard input; with one, standard input is what it is about:

    \b
      bethink ask "A train goes 60 km in 45 minutes. How fast is it in km/h?"
      bethink ask --budget 256 --within 20s "Is 1001 prime?"
      git diff | bethink ask "What could break here?"

    What an answer is held against is --check: auto looks at the question (values and Python functions are compared over
    several paths), the others are

    
      --check math               values, compared as mathematics
      --check code               programs, compared by what they do in a sandbox
      --check code --tests FILE  the first program that passes these tests
      --check schema:FILE        JSON that this schema allows
      --check cmd:"COMMAND"      what this command ends with exit code 0 for
      --check none               nothing

    Ctrl-C once means "answer now", twice stops. Exit codes: 0 answered, 2 wrong usage, 3 model or store, 4 engine,
    5 no sandbox for code, 130 interrupted.
    """
    options = Options.of(values)
    terminal = open_terminal(no_color=options.no_color)
    messages = [Message("system", options.system)] if options.system else []
    messages.append(Message("user", _question(words, files)))
    return _answer(options, options.request(messages, thought), terminal, is_json=is_json, shows_trace=shows_trace)


def _question(words: tuple[str, ...], files: tuple[Path, ...]) -> str:
    """The whole question: files and standard input first, then what is asked about them.

    Raises: UsageError. Several words are not joined: the shell may have changed them (`*`, `?`, `'`).
    """
    if len(words) > 1:
        raise UsageError("the question came as several words", f'put it in quotes: bethink ask "{words[0]} …"')
    question = words[0] if words else None
    parts = [(path.name, read_text(path)) for path in files]
    asked = "" if question in (None, "-") else (question or "")
    if question in (None, "-"):
        if sys.stdin.isatty() and question is None:
            raise UsageError("there is no question", 'bethink ask "…", or pipe one in')
        asked = read_stdin(is_needed=True)
    else:
        parts.append(("Input", read_stdin(is_needed=False)))
    if not asked.strip():
        raise UsageError("the question is empty", 'bethink ask "What is 17 * 23?"')
    return with_context(asked.strip(), parts)


def _answer(options: Options, request: Request, terminal: Terminal, *, is_json: bool, shows_trace: bool) -> int:
    """Load, think, show. Returns the exit code."""
    from bethink.cli.loading import load_model
    from bethink.cli.turn import take_turn

    with load_model(options, terminal) as model:
        run = model.think(request, counts_loading=True)
        display = open_display(terminal, hides_thought=options.hide_thought, is_json=is_json)
        turn = asyncio.run(take_turn(run, display))
    if is_json and turn.result is not None:
        from bethink.trace import result_record

        print_json(result_record(turn.result))
    elif is_json:
        raise KeyboardInterrupt
    if shows_trace and turn.result is not None:
        terminal.err.print(Text(_where(turn.result.trace_id, model.traces)), soft_wrap=True)
    return EXIT_INTERRUPTED if turn.is_stopped else 0


def _where(trace_id: str, folder: Path | None) -> str:
    """Where the trace of a request is; a folder that cannot be written was complained about already."""
    file = folder / f"{trace_id}.json" if folder else None
    if file is None or not file.is_file():
        return "no trace of this request was kept" + ("" if file else " (BETHINK_TRACES_MB says so)")
    return f"trace {trace_id} ({file}): bethink trace show {trace_id}"
