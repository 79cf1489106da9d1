"""The door of the command line: which commands exist, and what every failure looks like from a shell.

Owns the table of commands and the one boundary where errors become words and exit codes; with `--json` among its
arguments a command prints one object on stdout, also when it fails. Refuses to know what a command
does: a command's module is imported when it is run, so that `bethink --help` loads nothing.

Exit codes: 0 answered, 2 wrong usage, 3 model or store, 4 engine, 5 unsure or refused (`check`), 130 interrupted, 1 a
fault of bethink itself (`check`: failed), 141 the reader of a pipe went away.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from bethink import __version__
from bethink.errors import BethinkError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXIT_FAULT = 1
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141

SHELLS = ("bash", "zsh", "fish")
BASH_COLONS = """
# A model's name holds a colon, at which bash would begin a new word.
COMP_WORDBREAKS=${COMP_WORDBREAKS//:}
"""

COMMANDS: dict[str, str] = {
    "ask": "bethink.cli.ask:ask",
    "chat": "bethink.cli.chat:chat",
    "serve": "bethink.cli.serve:serve",
    "eval": "bethink.cli.eval:evaluate",
    "calibrate": "bethink.cli.calibrate:calibrate",
    "pull": "bethink.cli.pull:pull",
    "models": "bethink.cli.models:models",
    "doctor": "bethink.cli.doctor:doctor",
    "keys": "bethink.cli.keys:keys",
    "usage": "bethink.cli.usage:usage",
    "check": "bethink.cli.check:check",
    "trace": "bethink.cli.trace:trace",
    "completion": "bethink.cli.main:completion",
}
"""Where each command lives, as `module:attribute`."""

SECTIONS: dict[str, dict[str, str]] = {
    "Think": {
        "ask": "Ask QUESTION and print the answer.",
        "chat": "Hold a conversation in the terminal.",
        "serve": "Serve models to any client that speaks OpenAI's API.",
    },
    "Measure": {
        "eval": "Measure how right a model is, and what it costs.",
        "calibrate": "Let efforts and probabilities follow from a measurement.",
    },
    "Models": {
        "pull": "Download models, check them against their hash, and keep them.",
        "models": "List, show and remove models; see what fits this machine.",
    },
    "Serve": {
        "keys": "Make, list, limit and revoke the keys of a server.",
        "usage": "See what a server's keys used, and what it cost.",
    },
    "Look closer": {
        "check": "Hold an answer against mathematics, tests or a schema.",
        "trace": "See who decided what in an earlier request.",
        "doctor": "See what this machine has and what bethink chooses.",
    },
    "Shell": {
        "completion": "Print the completion script of a shell.",
    },
}
"""The headings of `--help`, each with its commands and their one line (so that help imports none of them)."""

ELSEWHERE: dict[str, str] = {
    "run": "bethink chat --model NAME",
    "get": "bethink pull NAME",
    "list": "bethink models list",
    "ls": "bethink models list",
    "show": "bethink models show NAME",
    "rm": "bethink models rm NAME",
    "fit": "bethink models fit",
    "traces": "bethink trace list",
    "workspaces": "bethink keys workspaces list",
    "users": "bethink keys users",
    "prices": "bethink usage prices list",
    "version": "bethink --version",
    "help": "bethink --help",
}
"""What people type who know other runners, or our commands by half; and what does that here."""


@dataclass
class Invocation:
    """What the boundary below must know of the command line."""

    is_json: bool = False
    shows_traceback: bool = False


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for commands in SECTIONS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        return _load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise UsageError(f"there is no command {name!r}", _command_meant(name))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()), col_max=20)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        lines = {name: line for commands in SECTIONS.values() for name, line in commands.items()}
        return [
            CompletionItem(name, help=lines[name]) for name in self.list_commands(ctx) if name.startswith(incomplete)
        ]


def _command_meant(name: str) -> str:
    from difflib import get_close_matches

    if name in ELSEWHERE:
        return f"here that is: {ELSEWHERE[name]}"
    near = get_close_matches(name, COMMANDS, n=1)
    return f"did you mean `bethink {near[0]}`? `bethink --help` shows all" if near else "`bethink --help` shows all"


def _load(name: str) -> click.Command:
    from importlib import import_module

    module, _, attribute = COMMANDS[name].partition(":")
    command: object = getattr(import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{COMMANDS[name]} is not a command")
    return command


def _show_version(ctx: click.Context, _param: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        click.echo(f"bethink {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, envvar="BETHINK_DEBUG", help="Show the whole traceback of an error.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.pass_obj
def cli(invocation: Invocation, debug: bool) -> None:
    """Open reasoning models on your own hardware: thinking that ends, answers with evidence.

    \b
    Examples:
      bethink ask "What is 17 * 23?"     one question; fetches a model the first time
      bethink chat                       a conversation
      bethink serve                      the chat page, and an API for programs
    """
    invocation.shows_traceback = debug


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash   add to ~/.bashrc:  eval "$(bethink completion bash)"
    zsh    add to ~/.zshrc:   eval "$(bethink completion zsh)"
    fish   run once:          bethink completion fish > ~/.config/fish/completions/bethink.fish

    Then open a new shell.
    """
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    if script is None:
        raise click.BadParameter(f"click knows no completion for {shell}")
    click.echo(script(cli, {}, "bethink", "_BETHINK_COMPLETE").source() + (BASH_COLONS if shell == "bash" else ""))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Every failure is told: on stderr in words, or as `--json` says."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    invocation = Invocation(is_json="--json" in arguments[: [*arguments, "--"].index("--")])
    try:
        returned = _run(arguments, invocation)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the one boundary: nothing may leave as a bare traceback
        try:
            return _tell(error, invocation)
        except BrokenPipeError:
            _forget_stdout()
            return EXIT_PIPE_CLOSED
    return returned if isinstance(returned, int) else 0


def _run(arguments: list[str], invocation: Invocation) -> object:
    """What click's own `main` does, less its handling of errors: ours knows more exit codes."""
    instruction = os.environ.get("_BETHINK_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "bethink", "_BETHINK_COMPLETE", instruction)
    with cli.make_context("bethink", arguments, obj=invocation) as context:
        return cast("object", cli.invoke(context))


def _tell(error: BaseException, invocation: Invocation) -> int:
    """Say what went wrong and return the exit code it stands for."""
    cause = _sole_cause(error)
    if invocation.shows_traceback and not isinstance(cause, click.exceptions.Exit | SystemExit):
        traceback.print_exception(error)
    match cause:
        case click.exceptions.Exit():
            return cause.exit_code
        case BrokenPipeError():
            _forget_stdout()
            return EXIT_PIPE_CLOSED
        case SystemExit():
            return cause.code if isinstance(cause.code, int) else EXIT_FAULT
        case KeyboardInterrupt() | click.Abort():
            if invocation.is_json:
                _say(invocation, "interrupted", "interrupted before it was done")
            return EXIT_INTERRUPTED
        case BethinkError():
            _say(invocation, cause.code, str(cause), cause.hint)
            return cause.exit_code
        case click.exceptions.NoArgsIsHelpError():
            is_group = isinstance(cause.ctx.command, click.Group)
            click.echo(cause.format_message(), err=not is_group)
            return 0 if is_group else cause.exit_code
        case click.UsageError():
            _say(invocation, "invalid_request", *wrong_usage(cause))
            return cause.exit_code
        case click.ClickException():
            _say(invocation, "invalid_request", cause.format_message())
            return 2
        case _:
            _say(
                invocation,
                "fault",
                f"bethink itself failed: {type(cause).__name__}: {cause}",
                "run it again as `bethink --debug …` and report what it shows",
            )
            return EXIT_FAULT


KINDS = {"integer range": "a whole number", "float range": "a number", "integer": "a whole number"}
"""What click calls a value's kind, in a reader's words."""


def wrong_usage(error: click.UsageError) -> tuple[str, str]:
    """What was wrong, and what to do. Of options that are near to what was typed the nearest alone: click names all, by
    the alphabet."""
    from difflib import get_close_matches

    where = f"`{error.ctx.command_path} --help` shows how" if error.ctx else ""
    if not isinstance(error, click.NoSuchOption):
        message = error.format_message()
        for theirs, ours in KINDS.items():
            message = message.replace(f"is not a valid {theirs}", f"is not {ours}")
        return message, where
    near = get_close_matches(error.option_name, error.possibilities or (), n=1)
    return f"there is no option {error.option_name}", f"did you mean {near[0]}? {where}" if near else where


def _sole_cause(error: BaseException) -> BaseException:
    """The one error inside groups of one (task groups wrap what their tasks raise)."""
    is_group = issubclass(type(error), BaseExceptionGroup)
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ())) if is_group else ()
    return _sole_cause(inner[0]) if len(inner) == 1 else error


def _say(invocation: Invocation, code: str, message: str, hint: str = "") -> None:
    if invocation.is_json:
        print_json({"error": {"code": code, "message": message, "hint": hint}})
        return
    has_color = False if os.environ.get("NO_COLOR") else None
    click.echo(click.style("error:", fg="red", bold=True) + f" {message}", err=True, color=has_color)
    if hint:
        click.echo(click.style("hint:", fg="cyan") + f" {hint}", err=True, color=has_color)


def print_json(record: Mapping[str, Any]) -> None:
    """One object: on one line in a pipe, spread out for a reader."""
    import json

    if (out := cast("TextIO | None", sys.stdout)) is None:  # it was closed before we began
        return
    is_utf8 = (out.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(record, ensure_ascii=not is_utf8, indent=2 if out.isatty() else None)
    out.write(text.encode("utf-8", "replace").decode() + "\n")
    out.flush()


def _forget_stdout() -> None:
    """Let the interpreter's last flush go nowhere, instead of complaining about the closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
