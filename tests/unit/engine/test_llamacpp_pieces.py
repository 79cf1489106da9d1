"""Which tokens stood inside a character is told by its bytes, or it is said that they do not tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.engine.llamacpp.pieces import Pieces
from bethink.prompt.tokenizer import byte_alphabet

_SYMBOLS = {byte: symbol for symbol, byte in byte_alphabet().items()}


def spelled(data: bytes) -> str:
    return "".join(_SYMBOLS[byte] for byte in data)


# One token a byte, then halves that merging made, then whole words and a control token.
MERGED = (b"\xf0\x9f", b"\x9f\x99", b"\xe4\xb8", b"fox", "中".encode())
PIECES = Pieces(
    {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [spelled(bytes([byte])) for byte in range(256)]
        + [spelled(data) for data in MERGED]
        + ["<|im_end|>", "<tool>"],
        "tokenizer.ggml.token_type": [1] * 261 + [3, 4],
    }
)


def test_bytes_are_those_that_the_server_writes() -> None:
    assert [PIECES.bytes_of(token) for token in (0, 65, 259, 261, 262)] == [b"\0", b"A", b"fox", b"", b"<tool>"]


def test_sentencepiece_bytes_and_spaces_are_known() -> None:
    metadata = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["<0xF0>", "▁fox"]}
    pieces = Pieces(metadata | {"tokenizer.ggml.token_type": [6, 1]})
    assert [pieces.bytes_of(0), pieces.bytes_of(1)] == [b"\xf0", b" fox"]


def test_one_byte_a_token_is_told() -> None:
    assert PIECES.between("龘", "龘".encode()[-1], 2) == list("龘".encode()[:-1])


def test_of_two_spellings_the_commoner_is_taken() -> None:
    assert PIECES.between("🙂", 0x82, 2) == [256, 0x99]  # F0 9F | 99, not F0 | 9F 99
    assert PIECES.between("🙂", 0x82, 3) == [0xF0, 0x9F, 0x99]


@pytest.mark.parametrize(
    ("text", "last", "n_missing"),
    [
        ("\ufffd!", ord("!"), 1),  # the server replaced bytes that are no character
        ("🙂", 0x83, 2),  # the last token is not what the text ends with
        ("🙂", 0x82, 5),  # more tokens than bytes
        ("🙂", 261, 3),  # a control token says nothing of the text
        ("", 65, 1),
    ],
)
def test_what_the_text_does_not_tell_is_not_guessed(text: str, last: int, n_missing: int) -> None:
    assert PIECES.between(text, last, n_missing) is None


@given(st.characters(min_codepoint=0x80, exclude_categories=("Cs",), exclude_characters="\ufffd"))
def test_every_character_of_several_bytes_is_told(character: str) -> None:
    data = character.encode()
    told = PIECES.between(character, data[-1], len(data) - 1)
    assert told is not None
    assert b"".join(map(PIECES.bytes_of, told)) + data[-1:] == data
