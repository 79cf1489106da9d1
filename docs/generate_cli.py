"""Writes docs/guide/cli.md: what every command says of itself, as the program prints it.

Run `python docs/generate_cli.py` after a command changed; a test holds the file equal to what this makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bethink.cli.main import cli

OUT = Path(__file__).parent / "guide" / "cli.md"
WIDTH = 100

HEAD = """\
# Every command and its options

Written by `python docs/generate_cli.py` from the program itself.
"""


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """The command and everything below it, in the order of its help."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from commands(child, bare_context(child, name, context))


def bare_context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    """A context that parsed nothing, at a width that does not depend on the terminal."""
    settings: dict[str, Any] = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    return command.context_class(command, info_name=name, parent=parent, **settings)


def page() -> str:
    parts = [HEAD]
    for command, context in commands(cli, bare_context(cli, "bethink", None)):
        text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts.append(f"## {context.command_path}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    OUT.write_text(page(), encoding="utf-8")
