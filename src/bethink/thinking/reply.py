"""`Reply`: what of an answer's text is shown, where it ends, and what it calls.

Fed with the text of the answer as it comes, however it is split. What always holds: shown text is never taken back,
holds no stop text and no tool call, and neither begins nor ends in white space; what could still become a stop text
or a call is held back; a call is given out once, whole; what looked like a call and is none is shown as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bethink.prompt.hermes import CLOSE, OPEN, Wish, ends_in_string, heads, read_block
from bethink.thinking.phases import Trimmer, n_begun
from bethink.types import Tool, ToolCall

Out = str | ToolCall
_FENCES = ("```json", "```xml", "```tool_call", "```")


@dataclass(slots=True)
class Reply:
    """`tools` may be called (none: everything is text). `id_of` names the n-th call. `most_calls` bounds them."""

    stop: Sequence[str] = ()
    tools: Sequence[Tool] = ()
    id_of: Callable[[int], str] = "call_{}".format
    most_calls: int | None = None
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    text: str = ""
    is_stopped: bool = False
    stop_text: str | None = None
    """The one of `stop` that ended it."""
    trimmer: Trimmer = field(default_factory=Trimmer)
    _held: str = ""
    _is_in_call: bool = False
    _is_bare_refused: bool = False
    _is_behind_call: bool = False
    _n_plain: int = 0
    """Of what is held, so many characters begin no call: it was tried."""
    _n_after: int = 0
    """Characters behind what was shown that belong to a call, or stand behind a stop text."""

    @property
    def is_empty(self) -> bool:
        return not self.text and not self.calls

    @property
    def n_held(self) -> int:
        """How many of the last characters that were fed were not shown."""
        n_opened = len(OPEN) if self._is_in_call else 0
        return self._n_after + len(self.trimmer.held) + n_opened + len(self._held)

    @property
    def is_full(self) -> bool:
        return self.most_calls is not None and len(self.calls) >= self.most_calls

    def feed(self, text: str) -> list[Out]:
        """Take more text; give out what is certain."""
        if self.is_stopped:
            self._n_after += len(text)
            return []
        self._held += text
        out: list[Out] = []
        while self._step(out):
            pass
        return out

    def finish(self, *, is_cut: bool = False) -> list[Out]:
        """Nothing follows. `is_cut`: the model was stopped, so what is missing of a call was not forgotten."""
        out: list[Out] = []
        while True:
            while self._step(out):
                pass
            if self._is_in_call:
                self._end_call(len(self._held), 0, out, is_cut=is_cut)
            elif self._may_be_bare:
                self._end_bare(out, is_cut=is_cut)
            else:
                break
        self._show(self._held, out)
        self._held = ""
        return out

    def say(self, text: str) -> list[Out]:
        """Words that are put in the model's mouth: no stop text is looked for in them."""
        out: list[Out] = []
        self._held, self._n_after = "", 0
        self._show(text, out)
        return out

    def _step(self, out: list[Out]) -> bool:
        """Go on by one stop text, call or piece of text. False: more text is needed."""
        if self._is_in_call:
            return self._step_in_call(out)
        if self._may_be_bare:
            return False
        marks = [*self.stop, *((OPEN,) if self.tools else ())]
        found = [(at + len(mark), at, mark) for mark in marks if (at := self._find(mark)) >= 0]
        if not found:
            self._show_first(len(self._held) - n_begun(self._held, marks), out)
            return False
        _, at, mark = min(found)  # the first to be complete, so that it does not matter how the text was split
        self._show_first(at, out)
        if mark in self.stop:
            self.is_stopped, self.stop_text = True, mark
            self._n_after += len(self._held)
            self._held = ""
            return False
        self._held = self._held[len(OPEN) :]
        self._is_in_call = True
        return True

    def _find(self, mark: str) -> int:
        return self._held.find(mark, self._n_plain if mark == OPEN else 0)

    def _step_in_call(self, out: list[Out]) -> bool:
        at = 0
        while True:
            found = [(n, mark) for mark in (CLOSE, OPEN) if (n := self._held.find(mark, at)) >= 0]
            if not found:
                return False
            end, mark = min(found)
            if not ends_in_string(self._held[:end]):
                break
            at = end + len(mark)
        self._end_call(end, len(CLOSE) if mark == CLOSE else 0, out, is_cut=False)
        return True

    def _end_call(self, end: int, n_close: int, out: list[Out], *, is_cut: bool) -> None:
        """The call holds the first `end` held characters; `n_close` more close it."""
        block = read_block(self._held[:end], self.tools, is_cut=is_cut)
        self._is_in_call = False
        if block is None:
            self._held = OPEN + self._held
            self._n_plain = len(OPEN)
            return
        self._call(block[0], len(OPEN) + end + n_close, out)
        self._held = (f"\n{block[1]}\n" if block[1] else "") + self._held[end + n_close :]

    def _end_bare(self, out: list[Out], *, is_cut: bool) -> None:
        block = read_block(self._held, self.tools, is_cut=is_cut)
        self._is_bare_refused = True
        if block and not block[1]:
            self._call(block[0], len(self._held), out)
            self._held = ""

    def _call(self, wishes: Sequence[Wish], n_chars: int, out: list[Out]) -> None:
        for wish in wishes:
            if not self.is_full:
                call = ToolCall(self.id_of(len(self.calls)), wish.name, wish.arguments)
                self.calls.append(call)
                out.append(call)
        self._n_after += len(self.trimmer.held) + n_chars
        self.trimmer.held = "\n" if self.trimmer.has_text and not self.stop else ""  # it might be a stop text
        self._n_after -= len(self.trimmer.held)
        self._is_behind_call = True

    def _show_first(self, n: int, out: list[Out]) -> None:
        self._show(self._held[:n], out)
        self._held = self._held[n:]
        self._n_plain = max(0, self._n_plain - n)

    def _show(self, text: str, out: list[Out]) -> None:
        if self._is_behind_call:
            self._n_after += len(text) - len(text.lstrip())
            text = text.lstrip()
        if text and (shown := self.trimmer.feed(text)):
            self._is_behind_call = False
            self._n_after = 0
            self.text += shown
            out.append(shown)

    @property
    def _may_be_bare(self) -> bool:
        """Whether all of the answer so far may be a call without its tags, as small models write them."""
        if not self.tools or not self.is_empty or self._is_in_call or self._is_bare_refused:
            return False
        begun = self._held.lstrip()
        if any(fence.startswith(begun) for fence in _FENCES):
            return bool(begun)
        fence = next((fence for fence in _FENCES if begun.startswith(fence)), "")
        begun = "".join(begun[len(fence) :].split())
        begun = begun[1:] if begun.startswith("{{") else begun
        return bool(begun or fence) and any(h.startswith(begun) or begun.startswith(h) for h in heads(self.tools))
