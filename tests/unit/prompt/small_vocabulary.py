"""Vocabularies small enough to read: every byte, a few merges, the usual special tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bethink.prompt import Tokenizer, tokenizer_from_gguf
from bethink.prompt.tokenizer import byte_alphabet

CONTROL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<｜end▁of▁sentence｜>",
    "<|eot_id|>",
)
CONTROL_TOO = ("<|start_header_id|>", "<|end_header_id|>", "<|begin_of_text|>", "<｜begin▁of▁sentence｜>")
USER_DEFINED = ("<think>", "</think>", "<tool_call>", "</tool_call>")
MERGES = ("Ġ t", "h e", "Ġt he", "u s", "e r", "us er", "Ċ Ċ", "e Ì", "Ã ©", "ð Ł", "ä ½", "ä½ ł")
NORMAL, UNUSED = 1, 5


def byte_level_metadata(pre: str = "qwen2", changes: Mapping[str, object] | None = None) -> dict[str, Any]:
    tokens = [*byte_alphabet(), *(merge.replace(" ", "") for merge in MERGES)]
    types = [NORMAL] * len(tokens)
    tokens += [*CONTROL, *CONTROL_TOO, *USER_DEFINED, "    ", "[PAD1]"]
    types += [3] * len(CONTROL + CONTROL_TOO) + [4] * (len(USER_DEFINED) + 1) + [UNUSED]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": list(MERGES),
    } | {f"tokenizer.ggml.{key}": value for key, value in (changes or {}).items()}


def sentencepiece_metadata() -> dict[str, Any]:
    pieces = {"▁": -3.0, "a": -4.0, "b": -5.0, "c": -6.0, "ab": -7.0, "▁a": -8.0, "▁ab": -9.0, "bc": -1.0, "é": -2.0}
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *pieces]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[NORMAL] * len(pieces)],
        "tokenizer.ggml.scores": [0.0] * 259 + list(pieces.values()),
    }


def small_tokenizer(pre: str = "qwen2") -> Tokenizer:
    return tokenizer_from_gguf(byte_level_metadata(pre))
