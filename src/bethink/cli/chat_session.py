"""A chat while it runs: one conversation, one model, and what each line of the user does to them.

A line is a question, or a command that begins with a slash. What always holds: the conversation is saved before a
question is answered and after; an error of one turn ends that turn, never the chat.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from bethink.cli.conversation import Conversation
from bethink.cli.display import open_display
from bethink.cli.interrupt import on_interrupt
from bethink.cli.loading import load_model
from bethink.cli.options import Options
from bethink.cli.terminal import Terminal, one_row
from bethink.cli.turn import take_turn
from bethink.errors import BethinkError, UsageError
from bethink.types import EFFORTS, Message, Request
from bethink.wording import counted

if TYPE_CHECKING:
    from bethink.model import Model

RETRY_TEMPERATURE = 0.7
"""A greedy answer would come out the same again."""

COMMANDS: dict[str, tuple[str, str]] = {
    "/effort": ("[LEVEL]", f"how much thinking to spend: {', '.join(EFFORTS)}"),
    "/budget": ("[TOKENS|auto]", "tokens of thought a path may take; 0 answers at once"),
    "/retry": ("", "draw another answer to the last question"),
    "/edit": ("[thought|question]", "change the last thought or question in $EDITOR, and go on from it"),
    "/save": ("FILE", "write the conversation as .md or .json"),
    "/load": ("FILE", "go on with a conversation saved as .json"),
    "/new": ("", "begin afresh"),
    "/model": ("[NAME]", "think with another model"),
    "/help": ("", "show this"),
    "/quit": ("", "leave (as Ctrl-D does); bethink chat --resume comes back"),
}


@dataclass(slots=True)
class ChatSession:
    """`folder` is where conversations are kept. `edit` opens an editor: text in, text out, None if not saved."""

    model: Model
    options: Options
    terminal: Terminal
    folder: Path
    conversation: Conversation
    edit: Callable[[str], str | None] = click.edit
    load: Callable[[Options, Terminal], Model] = load_model
    is_over: bool = False
    n_retries: int = field(default=0)

    async def handle(self, line: str) -> None:
        """Do what a line says."""
        line = line.strip()
        if not line:
            return
        try:
            if line.startswith("/") and not line.startswith("//"):
                await self._command(line)
            else:
                self.conversation.ask(line.removeprefix("/") if line.startswith("//") else line)
                await self._answer()
        except BethinkError as error:
            self.tell(f"error: {error}", "red")
            if error.hint:
                self.tell(f"hint: {error.hint}")

    def tell(self, text: str, style: str = "dim") -> None:
        """A line that is neither question nor answer. A pipe's reader gets it on stderr."""
        console = self.terminal.out if self.terminal.is_terminal else self.terminal.err
        console.print(Text(one_row(text), style=style))

    def save(self) -> None:
        if self.conversation.n_turns:
            self.conversation.save(self.folder / f"{self.conversation.id}.json")

    def request(self, *, thought: str | None = None, is_retry: bool = False) -> Request:
        """What the model is asked: the history, with the system message of this chat."""
        history = [message for message in self.conversation.messages if message.role != "system"]
        system = [Message("system", self.options.system)] if self.options.system else []
        request = replace(self.options.request([*system, *history], thought), truncation="auto")
        if not is_retry:
            return request
        seed = None if request.seed is None else (request.seed + self.n_retries) & 0x7FFFFFFF
        warm = RETRY_TEMPERATURE if request.temperature is None else request.temperature
        return replace(request, seed=seed, temperature=warm)

    async def _answer(self, *, thought: str | None = None, is_retry: bool = False) -> None:
        self.save()
        run = self.model.think(self.request(thought=thought, is_retry=is_retry))
        turn = await take_turn(run, open_display(self.terminal, hides_thought=self.options.hide_thought))
        if turn.result is not None:
            self.conversation.answer(turn.result.answer, turn.result.thinking)
            self.save()
        if turn.is_stopped:
            self.tell("stopped; /retry asks again")

    # Commands.

    async def _command(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "/effort": self._effort,
            "/budget": self._budget,
            "/retry": self._retry,
            "/edit": self._edit,
            "/save": self._save,
            "/load": self._load,
            "/new": self._new,
            "/model": self._model,
            "/help": self._help,
            "/quit": self._quit,
            "/exit": self._quit,
            "/bye": self._quit,
        }
        if name not in commands:
            raise UsageError(f"there is no command {name}", "/help shows them; // begins a question with a slash")
        await commands[name](rest.strip())

    async def _effort(self, rest: str) -> None:
        found = [effort for effort in EFFORTS if effort == rest]
        if rest and not found:
            raise UsageError(f"{rest!r} is no effort", f"one of {', '.join(EFFORTS)}")
        if found:
            self.options = replace(self.options, effort=found[0])
        self.tell(f"effort {self.options.effort}")

    async def _budget(self, rest: str) -> None:
        if rest == "auto":
            self.options = replace(self.options, budget=None)
        elif rest:
            if not rest.isascii() or not rest.isdigit():
                raise UsageError(f"{rest!r} is not a number of tokens", "/budget 512, /budget 0, or /budget auto")
            self.options = replace(self.options, budget=int(rest))
        budget = self.options.budget
        self.tell("budget: as the effort says" if budget is None else f"budget {counted(budget, 'token')}")

    async def _retry(self, rest: str) -> None:
        self._refuse_words("/retry", rest)
        if self.conversation.last_question is None:
            raise UsageError("nothing was asked yet", "type a question")
        self.conversation.take_back_answer()
        self.n_retries += 1
        await self._answer(is_retry=True)

    async def _edit(self, rest: str) -> None:
        if rest not in ("", "thought", "question"):
            raise UsageError(f"{rest!r} cannot be edited", "/edit thought, or /edit question")
        question = self.conversation.last_question
        if question is None:
            raise UsageError("nothing was asked yet", "type a question")
        thought = self._own_thought()
        if rest == "thought" and not thought:
            raise UsageError("the last answer came without a thought", "/edit question, or /budget 512 and /retry")
        is_thought = rest == "thought" or (not rest and bool(thought))
        with on_interrupt(lambda: None):  # Ctrl-C belongs to the editor now
            edited = await asyncio.to_thread(self._edited, thought if is_thought else question)
        if edited is None:
            self.tell("nothing was changed")
            return
        self.conversation.take_back_answer()
        if is_thought:
            await self._answer(thought=edited)
            return
        self.conversation.messages.pop()
        self.conversation.ask(edited)
        await self._answer()

    def _own_thought(self) -> str:
        """The last thought without the hand-off: whoever goes on thinking has time again."""
        thought, handoff = self.conversation.last_thought.rstrip(), self.model.profile.handoff.strip()
        return thought.removesuffix(handoff).rstrip() if handoff else thought

    def _edited(self, text: str) -> str | None:
        try:
            edited = self.edit(text)
        except click.ClickException as error:
            raise UsageError(error.format_message(), "set EDITOR to an editor that is installed") from error
        return edited.rstrip("\n") if edited is not None and edited.strip() and edited.strip() != text.strip() else None

    async def _save(self, rest: str) -> None:
        path = _file(rest, "/save talk.md, or /save talk.json")
        self.conversation.export(path)
        self.tell(f"wrote {path}")

    async def _load(self, rest: str) -> None:
        path = _file(rest, "/load talk.json")
        self.conversation = replace(Conversation.load(path), id=Conversation().id)
        self.tell(f"{counted(self.conversation.n_turns, 'question')} of {path}")
        if not self.conversation.is_answered:
            self.tell("the last one has no answer yet; /retry asks it")

    async def _new(self, rest: str) -> None:
        self._refuse_words("/new", rest)
        self.conversation = Conversation(model=self.model.ref.name)
        self.tell("a new conversation")

    async def _model(self, rest: str) -> None:
        if rest:
            await self._change_model(rest)
        self.tell(f"model {self.model.ref.name}")

    async def _change_model(self, name: str) -> None:
        """Two models may not fit at once: the old one makes room, and comes back when the new one cannot come."""
        wanted = replace(self.options, model=name)
        before = replace(self.options, model=self.model.ref.name)
        self.model.close()
        try:
            self.model = await asyncio.to_thread(self.load, wanted, self.terminal)
            self.options, self.conversation.model = wanted, self.model.ref.name
        except BethinkError:
            self.model = await asyncio.to_thread(self.load, before, self.terminal)
            raise

    async def _help(self, rest: str) -> None:
        del rest
        from rich.table import Table

        console = self.terminal.out if self.terminal.is_terminal else self.terminal.err
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, style="bold")
        grid.add_column()
        for name, (usage, what) in COMMANDS.items():
            grid.add_row(Text(f"{name} {usage}"), Text(what))
        console.print(grid)
        console.print(Text("Alt-Enter begins a new line. Ctrl-C: answer now; twice: stop.", style="dim"))

    async def _quit(self, rest: str) -> None:
        self._refuse_words("/quit", rest)
        self.is_over = True

    def _refuse_words(self, command: str, rest: str) -> None:
        if rest:
            raise UsageError(f"{command} takes no {rest!r}", "/help shows what each command takes")


def _file(rest: str, example: str) -> Path:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise UsageError(f"{rest} is not a file name: {error}", example) from error
    if len(words) != 1:
        raise UsageError("one file name is needed", example)
    return Path(words[0]).expanduser()
