"""`Reply`: what of an answer's text is shown, where it ends, and what it calls.

Fed with the text of the answer as it comes, however it is split, and in a time that grows with its length alone. What
always holds: shown text is never taken back, holds no stop text, no marker and no tool call, and neither begins nor
ends in white space; what could still become a stop text or a call is held back; a call is given out once, whole; what
looked like a call and is none is shown as it stands, and so is a call that is only quoted (`prose` has that rule).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bethink.prompt.hermes import CLOSE, OPEN, Wish, heads, read_block, unfenced
from bethink.thinking.call_body import CallBody
from bethink.thinking.phases import Trimmer, n_begun
from bethink.thinking.prose import Prose
from bethink.types import Tool, ToolCall

Out = str | ToolCall
_FENCES = ("```json", "```xml", "```tool_call", "```")
MOST_BEFORE = 1000
"""A call without tags shows in so many characters which tool it is of."""


@dataclass(slots=True)
class Reply:
    """`tools` may be called (none: everything is text). `id_of` names the n-th call. `most_calls` bounds them.
    `markers` may stand in the texts of a call's arguments, and nowhere else: those of what is no call are dropped."""

    stop: Sequence[str] = ()
    tools: Sequence[Tool] = ()
    id_of: Callable[[int], str] = "call_{}".format
    most_calls: int | None = None
    markers: Sequence[str] = ()
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    text: str = ""
    is_stopped: bool = False
    stop_text: str | None = None
    """The one of `stop` that ended it."""
    trimmer: Trimmer = field(default_factory=Trimmer)
    _held: str = ""
    _prose: Prose = field(default_factory=Prose)
    _body: CallBody | None = None
    """The call that is being read."""
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
        body = self._body
        n_call = 0 if body is None else len(_dropped(body.text, self.markers)) + len(OPEN) * body.has_tags
        return self._n_after + len(self.trimmer.held) + n_call + len(self._held)

    @property
    def is_in_argument(self) -> bool:
        """Whether what follows next is part of a text in a call's arguments."""
        return self._body is not None and self._body.is_in_text

    @property
    def is_full(self) -> bool:
        return self.most_calls is not None and len(self.calls) >= self.most_calls

    def feed(self, text: str, *, is_spoken: bool = False) -> list[Out]:
        """Take more text; give out what is certain. `is_spoken`: bethink says it for the model, and no stop text is
        looked for in it."""
        if self.is_stopped:
            self._n_after += len(text)
            return []
        self._held += text
        out: list[Out] = []
        stops = () if is_spoken else self.stop
        while self._step(out, stops):
            pass
        return out

    def finish(self, *, is_cut: bool = False) -> list[Out]:
        """Nothing follows. `is_cut`: the model was stopped, so what is missing of a call was not forgotten."""
        out: list[Out] = []
        while True:
            while self._step(out, self.stop):
                pass
            if self._body is not None:
                self._end_call(self._body, out, is_cut=is_cut)
            elif self._may_be_bare:
                self._is_bare_refused = True
            else:
                break
        self._show(self._held, out)
        self._held = ""
        return out

    def sayable(self, words: Sequence[str]) -> str:
        """The first of `words` that says something before any stop text, up to there. Where none does, the last one
        whole: an answer that is not empty matters more."""
        for one in words:
            if said := one[: min((at for stop in self.stop if (at := one.find(stop)) >= 0), default=None)].strip():
                return said
        return words[-1]

    def say(self, text: str) -> list[Out]:
        """Words that are put in the model's mouth, as `sayable` gave them: no stop text is looked for in them."""
        out: list[Out] = []
        self._held, self._n_after = "", 0
        self._show(text, out)
        return out

    def _step(self, out: list[Out], stops: Sequence[str]) -> bool:
        """Go on by one stop text, call or piece of text. False: more text is needed."""
        if self._body is not None:
            return self._step_in_call(self._body, out)
        if self._may_be_bare:
            self._body = CallBody(has_tags=False) if self._has_begun_bare else None
            return self._body is not None
        found = [(at + len(mark), at, mark) for mark in stops if (at := self._held.find(mark)) >= 0]
        if self.tools and (at := self._find_call()) >= 0:
            found.append((at + len(OPEN), at, OPEN))
        if not found:
            marks = [*stops, *((OPEN,) if self.tools else ())]
            self._show_first(len(self._held) - n_begun(self._held, marks), out)
            return False
        _, at, mark = min(found)  # the first to be complete, so that it does not matter how the text was split
        self._show_first(at, out)
        if mark in stops:
            self.is_stopped, self.stop_text = True, mark
            self._n_after += len(self._held)
            self._held = ""
            return False
        self._held = self._held[len(OPEN) :]
        self._body = CallBody()
        return True

    def _find_call(self) -> int:
        """Where a call begins in what is held; below 0: nowhere yet."""
        before, done = replace(self._prose), 0
        at = self._held.find(OPEN, self._n_plain)
        while at >= 0:
            before.feed(self._held[done:at])
            if before.may_call:
                break
            done, at = at, self._held.find(OPEN, at + len(OPEN))
        return at

    def _step_in_call(self, body: CallBody, out: list[Out]) -> bool:
        text, self._held = self._held, ""
        body.feed(text)
        if not body.is_over and not (body.has_tags and body.is_hopeless):
            return False
        self._end_call(body, out, is_cut=False)
        return True

    def _end_call(self, body: CallBody, out: list[Out], *, is_cut: bool) -> None:
        """A call, or what looked like one, is over."""
        self._body = None
        if body.has_tags:
            block = read_block(body.text, self.tools, is_cut=is_cut)
            n_open = len(OPEN)
        else:
            block, n_open = self._read_bare(body.text, is_cut=is_cut), 0
            self._is_bare_refused = True
        if block is None:
            self._held = OPEN[:n_open] + _dropped(body.text, self.markers) + body.rest
            self._n_plain = n_open
            return
        n_close = len(CLOSE) if body.rest.startswith(CLOSE) else 0
        self._call(block[0], n_open + body.n_chars + n_close, out)
        self._held = (f"\n{block[1]}\n" if block[1] else "") + body.rest[n_close:]

    def _read_bare(self, text: str, *, is_cut: bool) -> tuple[Sequence[Wish], str] | None:
        """All of an answer as calls, without tags or in a fence around them; nothing else may be said."""
        inside = unfenced(text.strip())
        if inside[0].startswith(OPEN) and not inside[1]:
            tagged = Reply(tools=self.tools)
            said = [*tagged.feed(inside[0]), *tagged.finish(is_cut=is_cut)]
            wishes = [Wish(call.name, call.arguments) for call in said if isinstance(call, ToolCall)]
            return None if len(wishes) < len(said) else (wishes, "")
        block = read_block(text, self.tools, is_cut=is_cut)
        return block if block and not block[1] else None

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
        self._prose.end_call()

    def _show_first(self, n: int, out: list[Out]) -> None:
        self._prose.feed(self._held[:n])
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
        """Whether all of the answer so far may be a call without its tags, as small models write them, or with them in
        a fence."""
        if not self.tools or not self.is_empty or self._is_bare_refused:
            return False
        begun = self._held[:MOST_BEFORE].lstrip()
        if any(fence.startswith(begun) for fence in _FENCES):
            return bool(begun)
        is_fenced, begun = _bare_beginning(begun)
        if is_fenced and OPEN.startswith(begun):
            return True
        return bool(begun or is_fenced) and any(h.startswith(begun) or begun.startswith(h) for h in heads(self.tools))

    @property
    def _has_begun_bare(self) -> bool:
        """Whether it surely begins as one."""
        begun = _bare_beginning(self._held[:MOST_BEFORE].lstrip())[1]
        return any(begun.startswith(head) for head in heads(self.tools))


def _bare_beginning(text: str) -> tuple[bool, str]:
    """Whether a text begins with a fence, and what comes then, but for tags, white space and a brace too many."""
    fence = next((fence for fence in _FENCES if text.startswith(fence)), "")
    begun = "".join(text[len(fence) :].split())
    begun = begun.removeprefix(OPEN) if fence else begun
    return bool(fence), begun[1:] if begun.startswith("{{") else begun


def _dropped(text: str, markers: Sequence[str]) -> str:
    """A text without any marker."""
    while any(marker in text for marker in markers):
        for marker in markers:
            text = text.replace(marker, "")
    return text
