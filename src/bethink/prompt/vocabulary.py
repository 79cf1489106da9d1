"""`tokenizer_from_gguf`: the tokenizer that a GGUF file describes in its metadata.

Takes byte-level BPE (`gpt2`) and SentencePiece BPE (`llama`) vocabularies; refuses, by name, every other kind and
every pre-tokenizer whose splits are not known here, since a wrong split gives wrong ids without any error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from bethink.errors import InvalidModelFile
from bethink.prompt.splits import SPLITS, Split
from bethink.prompt.tokenizer import MARKUP, Tokenizer

_UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 2, 3, 4, 6
_OTHER_ENGINE = "run it with --engine llamacpp, which reads the file's own tokenizer"


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
    """Build the tokenizer from the keys `tokenizer.ggml.*`. Costs about 0.3 s for 150,000 tokens.

    Raises: InvalidModelFile when the vocabulary is missing, inconsistent or of a kind not known here.
    """
    kind = metadata.get("tokenizer.ggml.model")
    tokens = _strings(metadata, "tokenizer.ggml.tokens")
    types = _types(metadata, len(tokens))
    if kind == "gpt2":
        backend = _byte_level(metadata, tokens)
    elif kind == "llama":
        backend = _sentencepiece(metadata, tokens, types)
    else:
        raise InvalidModelFile(f"the vocabulary is of kind {kind!r}; gpt2 and llama are known here", _OTHER_ENGINE)
    _add_special(backend, tokens, types)
    return Tokenizer(backend)


def _byte_level(metadata: Mapping[str, Any], tokens: Sequence[str]) -> tokenizers.Tokenizer:
    name = metadata.get("tokenizer.ggml.pre", "default")
    split = SPLITS.get(name)
    if split is None:
        raise InvalidModelFile(f"the pre-tokenizer {name!r} is not known here", _OTHER_ENGINE)
    merges: list[tuple[str, str]] = []
    for merge in _strings(metadata, "tokenizer.ggml.merges"):
        left, _, right = merge.partition(" ")
        merges.append((left, right))
    backend = _bpe(tokens, merges, ignore_merges=split.takes_whole_words)
    if split.nfc:
        backend.normalizer = normalizers.NFC()
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([*splitting_steps(split), bytes_only])
    backend.decoder = decoders.ByteLevel()
    return backend


def splitting_steps(split: Split) -> list[pre_tokenizers.PreTokenizer]:
    return [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in split.patterns]


def _sentencepiece(metadata: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]) -> tokenizers.Tokenizer:
    """SentencePiece BPE has scores instead of merges: a pair may merge when its join is a token, the best score
    first.
    """
    scores = cast("Sequence[float]", metadata.get("tokenizer.ggml.scores", ()))
    if len(scores) != len(tokens):
        raise InvalidModelFile(f"the vocabulary has {len(tokens)} tokens and {len(scores)} scores")
    unknown = next((text for text, kind in zip(tokens, types, strict=True) if kind == _UNKNOWN), None)
    normal = {text: score for text, score, kind in zip(tokens, scores, types, strict=True) if kind not in (2, 3, 6)}
    backend = _bpe(tokens, _merges_by_score(normal), unk_token=unknown, fuse_unk=True, byte_fallback=True)
    has_prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    prepend = [normalizers.Prepend("▁")] if has_prefix else []
    strip = [decoders.Strip(" ", 1, 0)] if has_prefix else []
    backend.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return backend


def _merges_by_score(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    found: list[tuple[float, int, str, str]] = []
    for text, score in scores.items():
        for at in range(1, len(text)):
            left, right = text[:at], text[at:]
            if left in scores and right in scores:
                found.append((-score, at, left, right))
    found.sort()
    return [(left, right) for _, _, left, right in found]


def _bpe(tokens: Sequence[str], merges: list[tuple[str, str]], **options: Any) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer(models.BPE({text: i for i, text in enumerate(tokens)}, merges, **options))
    except Exception as error:  # the library raises bare Exception for everything
        raise InvalidModelFile(f"the vocabulary is inconsistent: {error}", "pull the model again") from error


def _add_special(backend: tokenizers.Tokenizer, tokens: Sequence[str], types: Sequence[int]) -> None:
    """Control tokens, and what the vocabulary's makers added: matched in the text before anything else."""
    added = [
        AddedToken(text, normalized=False, special=kind != _USER_DEFINED or MARKUP.fullmatch(text) is not None)
        for text, kind in zip(tokens, types, strict=True)
        if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED) and text
    ]
    backend.add_tokens(added)  # pyright: ignore[reportUnknownMemberType]  the library types it as a bare list


def _strings(metadata: Mapping[str, Any], key: str) -> Sequence[str]:
    value = metadata.get(key)
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in cast("Sequence[Any]", value)):
        raise InvalidModelFile(f"{key} is missing or is no list of texts", _OTHER_ENGINE)
    return cast("Sequence[str]", value)


def _types(metadata: Mapping[str, Any], n_tokens: int) -> Sequence[int]:
    types = cast("Sequence[int]", metadata.get("tokenizer.ggml.token_type") or (1,) * n_tokens)
    if len(types) != n_tokens:
        raise InvalidModelFile(f"the vocabulary has {n_tokens} tokens and {len(types)} token types")
    return types
