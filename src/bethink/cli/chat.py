"""`bethink chat`: a conversation in the terminal, kept after every turn.

Lines are read with prompt_toolkit in a terminal (history, editing, completion of commands), and plainly from a pipe.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bethink.cli.options import Options, thinking_options
from bethink.cli.terminal import Terminal, open_terminal
from bethink.wording import counted

if TYPE_CHECKING:
    from bethink.cli.chat_session import ChatSession


@click.command()
@thinking_options
@click.option(
    "--resume",
    is_flag=False,
    flag_value="last",
    metavar="[ID]",
    help="Go on with the last conversation, or with the one of that id.",
)
def chat(resume: str | None, **values: Any) -> int:
    """Hold a conversation in the terminal.

    It is kept after every turn. Type a question, or a command: /help shows them. Ctrl-C once means
    "answer now", twice stops the answer; Ctrl-D quits.

    \b
      bethink chat
      bethink chat --model qwen2.5-coder:1.5b --effort low
      bethink chat --resume
    """
    from bethink.cli.chat_session import ChatSession
    from bethink.cli.conversation import Conversation, latest
    from bethink.cli.loading import load_model
    from bethink.config import Settings

    options = Options.of(values)
    terminal = open_terminal(no_color=options.no_color)
    home = Settings.from_env().home
    conversation = Conversation.load(latest(home / "chats", resume)) if resume else Conversation()
    if conversation.model and not options.model:
        options = replace(options, model=conversation.model)
    model = load_model(options, terminal)
    conversation.model = model.ref.name
    session = ChatSession(model, options, terminal, home / "chats", conversation)
    try:
        asyncio.run(_converse(session, home))
    finally:
        session.model.close()
    return 0


async def _converse(session: ChatSession, home: Path) -> None:
    from bethink.cli.chat_session import COMMANDS

    n_turns = session.conversation.n_turns
    if session.terminal.is_terminal:
        session.tell(f"{session.model.ref.name}; /help shows the commands, Ctrl-D quits")
    if n_turns:
        session.tell(f"{counted(n_turns, 'question')} so far; the last: {session.conversation.last_question}")
        if not session.conversation.is_answered:
            session.tell("it has no answer yet; /retry asks it")
    async for line in _lines(session.terminal, home, list(COMMANDS)):
        await session.handle(line)
        if session.is_over:
            return


def _lines(terminal: Terminal, home: Path, commands: list[str]) -> AsyncIterator[str]:
    if terminal.is_live and sys.stdin.isatty():
        return _typed_lines(terminal, home, commands)
    return _plain_lines(terminal)


async def _plain_lines(terminal: Terminal) -> AsyncIterator[str]:
    """One line a turn, without echo or editing."""
    while True:
        if terminal.is_terminal and sys.stdin.isatty():
            terminal.out.file.write("> ")
            terminal.out.file.flush()
        line = _interruptible_line()
        if not line:
            return
        yield line


def _interruptible_line() -> str:
    """The event loop turns Ctrl-C into a cancellation, which nobody sees while a line is waited for."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)


async def _typed_lines(terminal: Terminal, home: Path, commands: list[str]) -> AsyncIterator[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    try:
        home.mkdir(parents=True, exist_ok=True)
        history: History = FileHistory(str(home / "chat-history"))
    except OSError:
        history = InMemoryHistory()
    prompt: PromptSession[str] = PromptSession(
        history=history,
        completer=WordCompleter(commands, sentence=True),
        complete_while_typing=False,
        key_bindings=keys,
        prompt_continuation="  ",
    )
    while True:
        terminal.out.file.write("\n")
        try:
            yield await prompt.prompt_async(f"{'>' if terminal.glyphs.dot == '|' else '›'} ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
