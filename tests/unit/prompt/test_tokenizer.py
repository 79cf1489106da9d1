"""Text to ids and back, on small vocabularies; tests/real/test_token_truth.py holds real ones against other readers."""

from __future__ import annotations

import json
import threading
import unicodedata
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

from bethink.errors import EngineError, InvalidModelFile
from bethink.prompt import Tokenizer, tokenizer_from_gguf
from bethink.prompt.splits import SPLITS
from bethink.prompt.vocabulary import splitting_steps
from tests.unit.prompt.small_vocabulary import (
    byte_level_metadata,
    sentencepiece_metadata,
    small_tokenizer,
)

BYTE_LEVEL = small_tokenizer()
SENTENCEPIECE = tokenizer_from_gguf(sentencepiece_metadata())
GPT2 = small_tokenizer("gpt-2")


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.decode([i]) for i in tokenizer.encode(text)]


@settings(deadline=None)
@given(st.text())
def test_decoding_gives_the_text_back(text: str) -> None:
    assert GPT2.decode(GPT2.encode(text)) == text
    assert GPT2.decode(GPT2.encode(text, parse_special=False)) == text
    assert BYTE_LEVEL.decode(BYTE_LEVEL.encode(text)) == unicodedata.normalize("NFC", text)


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="▁", exclude_categories=["Cs"])))
def test_sentencepiece_text_comes_back_too(text: str) -> None:
    assert SENTENCEPIECE.decode(SENTENCEPIECE.encode(text)) == text


@settings(deadline=None)
@given(st.lists(st.integers(0, BYTE_LEVEL.n_vocab - 1)))
def test_a_stream_gives_what_decoding_at_once_gives_and_never_half_a_character(ids: list[int]) -> None:
    detokenizer = BYTE_LEVEL.detokenizer()
    parts = [detokenizer.push(i) for i in ids]
    assert "".join(parts) + detokenizer.flush() == BYTE_LEVEL.decode(ids)


def test_a_character_of_several_tokens_appears_when_it_is_complete() -> None:
    ids = BYTE_LEVEL.encode("🤖")
    detokenizer = BYTE_LEVEL.detokenizer()
    assert [detokenizer.push(i) for i in ids] == [""] * (len(ids) - 1) + ["🤖"]
    assert detokenizer.push(ids[0]) == ""
    assert detokenizer.flush() == "\ufffd"
    assert detokenizer.flush() == ""


@pytest.mark.parametrize("token_id", [-1, BYTE_LEVEL.n_vocab, 2**31, 2**40])
def test_an_id_beyond_the_vocabulary_is_a_clear_error(token_id: int) -> None:
    with pytest.raises(EngineError, match=f"{token_id} is not in the vocabulary of {BYTE_LEVEL.n_vocab}"):
        BYTE_LEVEL.decode([token_id])
    with pytest.raises(EngineError):
        BYTE_LEVEL.detokenizer().push(token_id)


def test_special_tokens_are_parsed_only_when_asked() -> None:
    text = "<|im_start|>user<think></think><tool_call><|im_end|>"
    special = [BYTE_LEVEL.special[t] for t in ("<|im_start|>", "<think>", "</think>", "<tool_call>", "<|im_end|>")]
    assert [i for i in BYTE_LEVEL.encode(text) if i in special] == special
    assert not set(BYTE_LEVEL.encode(text, parse_special=False)) & set(BYTE_LEVEL.special.values())


def test_an_added_token_that_is_no_markup_is_vocabulary_in_any_text() -> None:
    assert BYTE_LEVEL.encode("a    b", parse_special=False) == BYTE_LEVEL.encode("a    b")
    assert "    " in pieces(BYTE_LEVEL, "a    b")


def test_parsing_is_a_matter_of_the_call_on_any_number_of_threads() -> None:
    plain, parsed = BYTE_LEVEL.encode("<|im_end|>", parse_special=False), BYTE_LEVEL.encode("<|im_end|>")
    wrong: list[list[int]] = []

    def encode(parse_special: bool, expected: list[int]) -> None:
        for _ in range(300):
            if (ids := BYTE_LEVEL.encode("<|im_end|>", parse_special=parse_special)) != expected:
                wrong.append(ids)

    threads = [threading.Thread(target=encode, args=(i % 2 == 0, parsed if i % 2 == 0 else plain)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_token_id_finds_special_and_normal_tokens_and_nothing_longer() -> None:
    assert BYTE_LEVEL.token_id("<|im_end|>") == BYTE_LEVEL.special["<|im_end|>"]
    assert BYTE_LEVEL.token_id(" the") == BYTE_LEVEL.encode(" the")[0]
    assert BYTE_LEVEL.token_id("no such token") is None


def test_merges_follow_the_vocabulary_within_the_splits() -> None:
    assert pieces(BYTE_LEVEL, "user the12") == ["user", " the", "1", "2"]


@pytest.mark.parametrize(
    ("pre", "text", "first_split"),
    [
        ("qwen2", "1234", ["1", "2", "3", "4"]),
        ("llama-bpe", "1234", ["123", "4"]),
        ("smollm", "a 12", ["a", " ", "1", "2"]),
        ("gpt-2", "a 12", ["a", " 12"]),
        ("default", "a12345", ["a", "123", "45"]),
        ("qwen2", "I'M", ["I", "'M"]),
        ("gpt-2", "I'M", ["I", "'", "M"]),
        ("gpt-4o", "fooBarBAZ", ["foo", "Bar", "BAZ"]),
        ("deepseek-v3", "東京12345", ["東京", "123", "45"]),
        ("qwen35", "न्न", ["न्न"]),
        ("deepseek-coder", "x1 ab", ["x", "1", " ab"]),
        ("deepseek-llm", "ab 123 東京!!", ["ab", " ", "123", " ", "東京", "!!"]),
    ],
)
def test_text_is_split_as_the_models_makers_do(pre: str, text: str, first_split: list[str]) -> None:
    steps = pre_tokenizers.Sequence(splitting_steps(SPLITS[pre]))
    assert [piece for piece, _ in steps.pre_tokenize_str(text)] == first_split


@pytest.mark.parametrize("pre", sorted(SPLITS))
def test_every_known_split_loses_nothing(pre: str) -> None:
    tokenizer = small_tokenizer(pre)
    text = "I'm 12345 ünï 東京 ทดสอบ\r\n\n  x+=1; … 👩‍👩‍👧 \t'LL न्न"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_saving_and_loading_changes_no_id(tmp_path: Path) -> None:
    text = "the user 🤖 <|im_end|> <think> é 123\n\n    x"
    for tokenizer in (BYTE_LEVEL, GPT2, SENTENCEPIECE):
        tokenizer.save(tmp_path / "tokenizer.json")
        loaded = Tokenizer.load(tmp_path / "tokenizer.json")
        assert loaded.special == tokenizer.special
        assert loaded.alphabet == tokenizer.alphabet
        for parse_special in (True, False):
            ids = tokenizer.encode(text, parse_special=parse_special)
            assert loaded.encode(text, parse_special=parse_special) == ids
            assert loaded.decode(ids) == tokenizer.decode(ids)


def test_markup_in_another_makers_file_is_special_here(tmp_path: Path) -> None:
    """Qwen's own tokenizer.json has <think> as an ordinary added token, which any text would turn into."""
    path = tmp_path / "tokenizer.json"
    BYTE_LEVEL.save(path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    for token in raw["added_tokens"]:
        token["special"] = False
    path.write_text(json.dumps(raw), encoding="utf-8")
    loaded = Tokenizer.load(path)
    assert loaded.special == BYTE_LEVEL.special
    assert loaded.encode("<think>", parse_special=False) == BYTE_LEVEL.encode("<think>", parse_special=False)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": 1}', '{"version":"1.0"}', "\x00"])
def test_a_file_that_is_no_tokenizer_is_a_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(InvalidModelFile, match=r"tokenizer\.json is not valid"):
        Tokenizer.load(path)


def test_a_missing_or_unreadable_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelFile, match="cannot be read"):
        Tokenizer.load(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidModelFile, match="cannot be read"):
        Tokenizer.load(tmp_path / "bytes.json")


def test_a_tokenizer_whose_decoding_is_not_known_is_refused() -> None:
    with pytest.raises(InvalidModelFile, match="are not known here"):
        Tokenizer(tokenizers.Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model": "t5"}, "kind 't5'"),
        ({"model": None}, "kind None"),
        ({"pre": "never-heard-of"}, "never-heard-of"),
        ({"tokens": None}, "tokens is missing"),
        ({"tokens": [1, 2]}, "no list of texts"),
        ({"merges": None}, "merges is missing"),
        ({"merges": ["no such-tokens"]}, "inconsistent"),
        ({"merges": ["nospace"]}, "inconsistent"),
        ({"token_type": [1, 2, 3]}, "3 token types"),
    ],
)
def test_a_vocabulary_that_cannot_be_read_is_refused_with_the_reason(
    changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(InvalidModelFile, match=complaint):
        tokenizer_from_gguf(byte_level_metadata(changes=changes))


def test_sentencepiece_scores_decide_the_merges() -> None:
    spelled = [SENTENCEPIECE.token_bytes(i) for i in SENTENCEPIECE.encode("abc")]
    assert spelled == [b" a", b"bc"]  # bc has the best score, so a joins the space
    with pytest.raises(InvalidModelFile, match="scores"):
        tokenizer_from_gguf(sentencepiece_metadata() | {"tokenizer.ggml.scores": [0.0]})


def test_sentencepiece_falls_back_to_bytes() -> None:
    ids = SENTENCEPIECE.encode("日")
    assert len(ids) == 4  # the space, and three bytes
    detokenizer = SENTENCEPIECE.detokenizer()
    assert [detokenizer.push(i) for i in ids] == [" ", "", "", "日"]


def test_half_a_surrogate_pair_is_text_like_any_other() -> None:
    assert BYTE_LEVEL.decode(BYTE_LEVEL.encode("a\ud83db")) == "a?b"
