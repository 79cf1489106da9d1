"""`render`: messages -> ids, exactly as the model's own tokenizer would have it, and with no way in for injected
markers.

Every special token spelled in a message is replaced, before the template sees it, by a private character of its own.
In what the template writes, a special token is then the template's; the text between two of them is put back as it
was and encoded as plain text. So the template may trim, split and repeat contents as it likes, ids are those of the
whole text's tokenization, and `<|im_end|>` in a question stays eight characters of text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from bethink.errors import BethinkError, UsageError
from bethink.prompt.template import Template
from bethink.prompt.tokenizer import Tokenizer
from bethink.prompt.turns import Hide, Turn, options_of, turns_of
from bethink.types import Message, Tool

_PRIVATE = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open range of ids that holds the content of one message."""

    start: int
    stop: int
    message_index: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an engine starts from. `text` is what was encoded. A message whose content the template dropped or rewrote
    has no span; a token that reaches over the edge of a content belongs to its span.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    text: str


def render(
    messages: Sequence[Message],
    template: Template,
    tokenizer: Tokenizer,
    *,
    keep_thinking: bool = False,
    extra: Mapping[str, object] | None = None,
    tools: Sequence[Tool] = (),
) -> Prompt:
    """The prompt that asks for the next assistant turn. Thinking of earlier turns is left out unless `keep_thinking`.
    `tools` are shown as the template does, or in the system message.

    Raises: UsageError when the template refuses the messages; InvalidModelFile when it is broken.
    """
    options = {**(extra or {}), **options_of(tools, template.source)}

    def written_by(hide: Hide) -> list[Turn]:
        return turns_of(messages, tools, template.source, keep_thinking=keep_thinking, hide=hide)

    spoken = written_by(lambda value: value)
    code = _Code.for_texts([template.source, *_texts([turn.said for turn in spoken]), *_texts(options)], tokenizer)
    turns = written_by(code.hide)
    said = [dict(turn.said) for turn in turns]
    hidden = cast("dict[str, object]", code.hide(options))
    written = template.render(said, extra=hidden)
    marked = [
        turn if source is None or not turn["content"] else {**turn, "content": code.place(source)}
        for turn, source in zip(said, [turn.source for turn in turns], strict=True)
    ]
    try:
        shown = {turn.source: str(one["content"]) for turn, one in zip(turns, said, strict=True)}
        contents = _align(written, code.split_places(template.render(marked, extra=hidden)), shown)
    except BethinkError:  # a template may insist on contents of a certain form
        contents = []
    return _encode(written, contents, tokenizer, code)


def _texts(value: object) -> Iterator[str]:
    """Every text inside nested mappings and sequences, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(tuple(cast("Mapping[object, object]", value).items()))
    elif isinstance(value, Sequence):
        for item in cast("Sequence[object]", value):
            yield from _texts(item)


class _Code:
    """Private characters that no text holds: one for each special token that some text spells, and one a message for
    its place.
    """

    def __init__(self, special: Mapping[str, int], spelled: Mapping[str, str], free: Iterator[str]) -> None:
        self.pattern = _any_of(special)
        self._hidden_as = spelled
        self._shown_as = {hidden: text for text, hidden in spelled.items()}
        self._hidden = re.compile(f"[{''.join(self._shown_as)}]") if spelled else _NEVER
        self._free = free
        self._places: dict[str, int] = {}

    @classmethod
    def for_texts(cls, texts: Iterable[str], tokenizer: Tokenizer) -> _Code:
        joined = "\x00".join(texts)
        used = {c for c in set(joined) if c >= "\U000f0000"}
        free = (chr(c) for block in _PRIVATE for c in block if chr(c) not in used)
        found = dict.fromkeys(_any_of(tokenizer.special).findall(joined))
        return cls(tokenizer.special, {text: _next(free) for text in found}, free)

    def hide(self, value: object) -> object:
        """The same value with every special token in its texts hidden."""
        if isinstance(value, str):
            return self.pattern.sub(lambda m: self._hidden_as[m[0]], value) if self._hidden_as else value
        if isinstance(value, Mapping):
            items = cast("Mapping[object, object]", value).items()
            return {self.hide(key): self.hide(item) for key, item in items}
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in cast("Sequence[object]", value)]
        return value

    def hides_in(self, text: str) -> bool:
        return self._hidden.search(text) is not None

    def show(self, text: str) -> str:
        return self._hidden.sub(lambda m: self._shown_as[m[0]], text)

    def place(self, message_index: int) -> str:
        """Stands for the content of one message."""
        place = _next(self._free)
        self._places[place] = message_index
        return place

    def split_places(self, text: str) -> tuple[list[str], list[int]]:
        """The text around the places, one more than there are, and the message of each place."""
        parts = re.split(f"([{''.join(self._places)}])", text) if self._places else [text]
        return parts[::2], [self._places[place] for place in parts[1::2]]


_NEVER = re.compile(r"(?!)")


def _any_of(special: Mapping[str, int]) -> re.Pattern[str]:
    longest_first = sorted(special, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if special else _NEVER


def _next(free: Iterator[str]) -> str:
    if (found := next(free, None)) is None:
        raise UsageError("the messages use every private character of Unicode", "take some out")
    return found


@dataclass(frozen=True, slots=True)
class _Content:
    """Where the content of a message stands in a text."""

    start: int
    stop: int
    message_index: int


def _align(written: str, around: tuple[list[str], list[int]], contents: Mapping[int | None, str]) -> list[_Content]:
    """Find the contents in `written`, knowing the texts between them; stops where the template rewrote more than
    contents.
    """
    between, order = around
    found: dict[int, _Content] = {}
    if not written.startswith(between[0]):
        return []
    at = len(between[0])
    for i, after in zip(order, between[1:], strict=True):
        content = contents[i]
        forms = (content, content.strip(), content.lstrip(), content.rstrip())
        stop = next((at + len(f) for f in forms if written.startswith(f + after, at)), written.find(after, at))
        if stop < 0:
            break
        found.setdefault(i, _Content(at, stop, i))
        at = stop + len(after)
    return list(found.values())


def _encode(written: str, contents: Sequence[_Content], tokenizer: Tokenizer, code: _Code) -> Prompt:
    """Encode what the template wrote; the stretches that hide special tokens as plain text, all else as it stands."""
    ids: list[int] = []
    edges: list[tuple[int, int]] = []
    text = ""
    for stretch, is_plain in _stretches(written, code):
        shown = code.show(stretch)
        encoded = tokenizer.encode_with_offsets(shown, parse_special=not is_plain)
        ids += encoded.ids
        edges += [(len(text) + start, len(text) + stop) for start, stop in encoded.offsets]
        text += shown
    starts, stops = [start for start, _ in edges], [stop for _, stop in edges]
    spans: list[Span] = []
    for content in contents:
        start, stop = len(code.show(written[: content.start])), len(code.show(written[: content.stop]))
        if start < stop:
            spans.append(Span(bisect_right(stops, start), bisect_left(starts, stop), content.message_index))
    return Prompt(tuple(ids), tuple(spans), text)


def _stretches(written: str, code: _Code) -> Iterator[tuple[str, bool]]:
    """`written` in pieces: (text between two special tokens that hides some, True), (everything from there to the
    next, False).
    """
    if not code.hides_in(written):
        yield written, False
        return
    at = kept = 0
    for match in [*code.pattern.finditer(written), None]:
        end = match.start() if match else len(written)
        if code.hides_in(written[at:end]):
            if kept < at:
                yield written[kept:at], False
            yield written[at:end], True
            kept = end
        at = match.end() if match else end
    if kept < len(written):
        yield written[kept:], False
