"""`Tokenizer`: text to token ids and back, for one model's vocabulary.

Encoding is the `tokenizers` library's; decoding is ours, token by token in bytes, so that a stream never shows half a
character and any list of ids has exactly one text. What always holds: `decode` of a list is what a `Detokenizer`
gives for its ids in turn; an id beyond the vocabulary is an error; with `parse_special=False` no text becomes a
control token or a marker.
"""

from __future__ import annotations

import codecs
import json
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import tokenizers

from bethink.errors import EngineError, InvalidModelFile

Alphabet = Literal["byte_level", "sentencepiece"]
"""How the text of a normal token spells bytes: GPT-2's printable alphabet, or text with ▁ for a space and <0x0A> for
a byte.
"""

MARKUP = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]")
"""Added tokens that look like this structure a dialogue (<think>, <tool_call>, [INST]): never made from a user's
text.
"""

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@cache
def byte_alphabet() -> dict[str, int]:
    """GPT-2's mapping of printable characters to bytes: printable Latin-1 stands for itself, the rest is moved to 256
    and up.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (b for b in range(256) if b not in printable)
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(others)}


@dataclass(frozen=True, slots=True)
class Encoded:
    """Ids and, for each, the half-open range of characters it came from."""

    ids: list[int]
    offsets: list[tuple[int, int]]


@dataclass(slots=True)
class Detokenizer:
    """Turns a stream of ids into text. Holds back the bytes of a character until it is complete."""

    tokenizer: Tokenizer
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )

    def push(self, token_id: int) -> str:
        """The text that `token_id` completed; may be empty.

        Raises: EngineError for an id beyond the vocabulary.
        """
        return self._decoder.decode(self.tokenizer.token_bytes(token_id))

    def flush(self) -> str:
        """Nothing follows: what is left of an incomplete character, as U+FFFD. The detokenizer is then as new."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text


class Tokenizer:
    """One vocabulary. Safe to share between threads.

    `special` maps the text of every token that only a template may write to its id.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        added = backend.get_added_tokens_decoder()
        self.special: dict[str, int] = {token.content: i for i, token in added.items() if token.special}
        self.n_vocab: int = backend.get_vocab_size(with_added_tokens=True)
        self.alphabet, self._has_prefix_space = _alphabet(backend)
        self._added = {i: token.content.encode() for i, token in added.items()}
        self._backend = backend
        self._lock = threading.Lock()  # whether special tokens are parsed is a setting of the backend, not of a call

    @classmethod
    def load(cls, path: Path | str) -> Tokenizer:
        """Read a `tokenizer.json`.

        Raises: InvalidModelFile.
        """
        try:
            source = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidModelFile(
                f"tokenizer {path} cannot be read: {error}", "prepare or pull the model again"
            ) from error
        return cls(_with_special_markup(_parse(source, str(path)), source))

    def save(self, path: Path | str) -> None:
        """Write a `tokenizer.json` that `load` reads."""
        self._backend.save(str(path), pretty=False)

    def encode(self, text: str, *, parse_special: bool = True) -> list[int]:
        """Ids of `text`; nothing is put before or after. Without `parse_special` text that looks like a marker stays
        text.
        """
        return self.encode_with_offsets(text, parse_special=parse_special).ids

    def encode_with_offsets(self, text: str, *, parse_special: bool = True) -> Encoded:
        text = text.encode("utf-8", "replace").decode() if _has_surrogates(text) else text
        with self._lock:
            self._backend.encode_special_tokens = not parse_special
            encoding = self._backend.encode(text, add_special_tokens=False)
        return Encoded(encoding.ids, encoding.offsets)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, special tokens as they are spelled, bytes that are no UTF-8 as U+FFFD.

        Raises: EngineError for an id beyond the vocabulary.
        """
        text = b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")
        return text.removeprefix(" ") if self._has_prefix_space else text

    def detokenizer(self) -> Detokenizer:
        return Detokenizer(self)

    def token_id(self, text: str) -> int | None:
        """The id of the one token that is spelled `text`, special or not; None when it takes several."""
        if (token_id := self.special.get(text)) is not None:
            return token_id
        ids = self.encode(text)
        return ids[0] if len(ids) == 1 else None

    def token_bytes(self, token_id: int) -> bytes:
        """What one token stands for, which may be a part of a character.

        Raises: EngineError for an id beyond the vocabulary.
        """
        if (added := self._added.get(token_id)) is not None:
            return added
        piece = self._backend.id_to_token(token_id) if 0 <= token_id < 2**32 else None
        if piece is None:
            raise EngineError(
                f"token id {token_id} is not in the vocabulary of {self.n_vocab} tokens",
                "the weights and the tokenizer do not belong together: prepare the model again",
            )
        if self.alphabet == "byte_level":
            table = byte_alphabet()
            return b"".join(bytes((table[c],)) if c in table else c.encode() for c in piece)
        if match := _BYTE_TOKEN.fullmatch(piece):
            return bytes((int(match[1], 16),))
        return piece.replace("▁", " ").encode()


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text) if not text.isascii() else False


def _parse(source: str, origin: str) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(source)
    except Exception as error:  # the library raises bare Exception for everything
        raise InvalidModelFile(
            f"tokenizer {origin} is not valid: {error}", "prepare or pull the model again"
        ) from error


def _with_special_markup(backend: tokenizers.Tokenizer, source: str) -> tokenizers.Tokenizer:
    """The same with every markup token special: other makers leave <think> and <tool_call> to be parsed from any
    text.
    """
    added = backend.get_added_tokens_decoder().values()
    if not any(MARKUP.fullmatch(token.content) and not token.special for token in added):
        return backend
    raw = cast("dict[str, Any]", json.loads(source))
    for token in raw["added_tokens"]:
        token["special"] = bool(token["special"] or MARKUP.fullmatch(token["content"]))
    return tokenizers.Tokenizer.from_str(json.dumps(raw))


def _alphabet(backend: tokenizers.Tokenizer) -> tuple[Alphabet, bool]:
    """The alphabet, and whether encoding puts a space before the text that decoding takes away."""
    state = cast("dict[str, Any]", json.loads(backend.decoder.__getstate__())) if backend.decoder else {}
    steps = cast("list[dict[str, Any]]", state.get("decoders", [state]))
    kinds = {step.get("type") for step in steps}
    if "ByteLevel" in kinds:
        return "byte_level", False
    if kinds & {"ByteFallback", "Metaspace"}:
        return "sentencepiece", any(step.get("type") == "Strip" and step.get("start") for step in steps)
    raise InvalidModelFile(
        f"tokenizers that decode with {sorted(map(str, kinds))} are not known here",
        "use a byte-level or SentencePiece vocabulary, or --engine llamacpp",
    )
