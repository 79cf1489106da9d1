"""The bytes of every token, and the ids of tokens that llama.cpp's server sampled without telling.

Its stream reports no token while a character is incomplete, and then only the character's last one, with the text of
all and their number. Which tokens stood before is found from the bytes: they must spell the text, be as many as said,
and leave the character incomplete until the end. Source: llama.cpp b11549, server-context.cpp, `process_token`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from bethink.prompt.tokenizer import byte_alphabet

_CONTROL, _USER_DEFINED, _BYTE = 3, 4, 6


class Pieces:
    """The vocabulary of a GGUF's metadata."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._tokens: Sequence[str] = metadata["tokenizer.ggml.tokens"]
        self._types: Sequence[int] = metadata.get("tokenizer.ggml.token_type") or (1,) * len(self._tokens)
        self._is_byte_level = metadata.get("tokenizer.ggml.model") == "gpt2"

    def __len__(self) -> int:
        return len(self._tokens)

    def bytes_of(self, token: int) -> bytes:
        """As the server writes them: a control token has none."""
        text, kind = self._tokens[token], self._types[token]
        if kind == _CONTROL:
            return b""
        if kind == _BYTE:
            return bytes([int(text[3:5], 16)])
        if kind == _USER_DEFINED:
            return text.encode()
        if self._is_byte_level:
            alphabet = byte_alphabet()
            return bytes(alphabet.get(character, 0x3F) for character in text)
        return text.replace("▁", " ").encode()

    def between(self, text: str, last: int, n_missing: int) -> list[int] | None:
        """The `n_missing` tokens before `last` in `text`. None: the text does not tell.

        Among several spellings the one whose tokens are commonest (lowest ids) is taken, as byte-pair merging does.
        """
        data, tail = text.encode(), self.bytes_of(last)
        if "\ufffd" in text or not tail or not data.endswith(tail):
            return None
        spellings = self._spellings(data[: len(data) - len(tail)], n_missing)
        return min(spellings, key=max, default=None)

    def _spellings(self, data: bytes, n_tokens: int) -> list[list[int]]:
        if n_tokens == 0:
            return [] if data else [[]]
        return [
            [token, *rest]
            for length in range(1, len(data) - n_tokens + 2)
            for token in self._halves.get(data[:length], ())
            for rest in self._spellings(data[length:], n_tokens - 1)
        ]

    @cached_property
    def _halves(self) -> dict[bytes, list[int]]:
        """Tokens whose bytes are not whole characters."""
        found: dict[bytes, list[int]] = {}
        for token, kind in enumerate(self._types):
            if kind in (_CONTROL, _USER_DEFINED) or (self._tokens[token].isascii() and kind != _BYTE):
                continue
            data = self.bytes_of(token)
            try:
                data.decode()
            except UnicodeDecodeError:
                found.setdefault(data, []).append(token)
        return found
