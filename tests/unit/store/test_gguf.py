"""Headers that are what they say, and headers that lie."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bethink.errors import InvalidModelFile
from bethink.store.gguf import MAX_ARRAY_ITEMS, MAX_KEYS, MAX_STRING_BYTES, GgufHeader, parse_header, read_header
from tests.unit.store.small_files import Value, gguf, pair, string, tensor, value


def parse(data: bytes) -> GgufHeader:
    return parse_header(data, len(data))


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidModelFile) as raised:
        parse(data)
    return str(raised.value)


def array(kind: int, count: int, items: bytes = b"") -> bytes:
    return struct.pack("<IIQ", 9, kind, count) + items


def test_a_sound_file_is_read_whole(tmp_path: Path) -> None:
    written: dict[str, Value] = {"n": 7, "x": 0.5, "on": True, "names": ["a", "é", ""], "ids": [1, 2, 3]}
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(written))
    header = read_header(path)
    assert header.version == 3
    assert header.architecture == "llama"
    assert {key: header.metadata[key] for key in written} == written | {"names": ("a", "é", ""), "ids": (1, 2, 3)}
    assert [(t.name, t.shape, t.type, t.n_bytes) for t in header.tensors] == [
        ("a", (32,), "F32", 128),
        ("b", (8, 4), "F32", 128),
    ]
    assert header.tensors[0].offset == header.data_offset
    assert header.n_parameters == 64
    assert header.file_size == path.stat().st_size


def test_version_2_is_read() -> None:
    assert parse(gguf(version=2)).version == 2


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cut short"),
        (b"GGUF", "cut short"),
        (b"PK\x03\x04" + bytes(40), "begins with"),
        (b"FUGG" + bytes(40), "big-endian"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 0, 0), "big-endian"),
        (gguf(version=1), "version 1"),
        (gguf(version=4), "version 4"),
    ],
)
def test_another_kind_of_file_is_named(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(InvalidModelFile, match=says):
        read_header(path)


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelFile, match="cannot be read"):
        read_header(tmp_path / "none.gguf")


def test_a_file_cut_anywhere_is_a_clear_error() -> None:
    whole = gguf({"names": ["one", "two"]})
    for length in range(len(whole)):
        with pytest.raises(InvalidModelFile):
            parse(whole[:length])


@pytest.mark.parametrize("n_pairs", [2**64 - 1, 2**63, MAX_KEYS + 1, 2**32])
def test_a_lying_count_of_keys_is_refused_at_once(n_pairs: int) -> None:
    assert "metadata keys" in refusal(gguf(n_pairs=n_pairs))


@pytest.mark.parametrize("n_tensors", [2**64 - 1, 2**40, 65_537])
def test_a_lying_count_of_tensors_is_refused_at_once(n_tensors: int) -> None:
    assert "tensors" in refusal(gguf(n_tensors=n_tensors))


def test_a_count_that_the_file_cannot_hold_is_refused() -> None:
    assert "can hold" in refusal(gguf(n_tensors=60_000))


def test_a_string_past_the_end_is_refused() -> None:
    raw = struct.pack("<IQ", 8, MAX_STRING_BYTES) + b"short"
    assert "cut short" in refusal(gguf(pairs=[pair("k", raw)]))


@pytest.mark.parametrize("length", [MAX_STRING_BYTES + 1, 2**64 - 1])
def test_a_string_over_the_bound_is_refused(length: int) -> None:
    assert "the bound is" in refusal(gguf(pairs=[pair("k", struct.pack("<IQ", 8, length))]))


@pytest.mark.parametrize("kind", [4, 8, 9, 12])
def test_an_array_of_more_items_than_the_bound_is_refused(kind: int) -> None:
    assert "the bound over all keys" in refusal(gguf(pairs=[pair("k", array(kind, MAX_ARRAY_ITEMS + 1))]))


def test_arrays_share_one_bound() -> None:
    half = MAX_ARRAY_ITEMS // 2 + 1
    pairs = [pair(name, array(0, half, bytes(half))) for name in ("a", "b")]
    assert "the bound over all keys" in refusal(gguf(pairs=pairs))


def test_deep_nesting_is_refused() -> None:
    raw = struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 50 + struct.pack("<IQB", 0, 1, 1)
    assert "nests" in refusal(gguf(pairs=[pair("k", raw)]))


def test_nested_arrays_are_read() -> None:
    inner = struct.pack("<IQ2B", 0, 2, 5, 6)
    assert parse(gguf(pairs=[pair("k", array(9, 2, inner + inner))])).metadata["k"] == ((5, 6), (5, 6))


def test_a_string_inside_an_array_past_the_end_is_refused() -> None:
    assert "cut short" in refusal(gguf(pairs=[pair("k", array(8, 2, string("fine") + struct.pack("<Q", 2**63)))]))


@pytest.mark.parametrize("raw", [value("x").replace(b"x", b"\xff"), array(8, 1, string(b"\xc3"))])
def test_text_that_is_not_utf8_is_refused(raw: bytes) -> None:
    assert "not UTF-8" in refusal(gguf(pairs=[pair("k", raw)]))


def test_a_key_that_comes_twice_is_refused() -> None:
    assert "comes twice" in refusal(gguf(pairs=[pair("general.name", value("again"))]))


def test_an_unknown_type_is_refused() -> None:
    assert "unknown type 13" in refusal(gguf(pairs=[pair("k", struct.pack("<I", 13))]))
    assert "unknown type 99" in refusal(gguf(pairs=[pair("k", array(99, 1))]))


@pytest.mark.parametrize("alignment", [0, 1, 7, 48, 2**40, "32", True])
def test_an_alignment_that_is_none_is_refused(alignment: Value) -> None:
    assert "alignment" in refusal(gguf({"general.alignment": alignment}))


def test_a_file_without_an_architecture_is_refused() -> None:
    data = struct.pack("<4sIQQ", b"GGUF", 3, 0, 0) + bytes(32)
    assert "architecture" in refusal(data)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ([tensor("a", [32], 0, 0), tensor("a", [32], 0, 128)], "comes twice"),
        ([tensor("a", [32], 0, 0), tensor("b", [32], 0, 64)], "overlap"),
        ([tensor("a", [32], 0, 0), tensor("b", [32], 0, 0)], "overlap"),
        ([tensor("a", [32], 0, 8)], "not aligned"),
        ([tensor("a", [32], 0, 2**63)], "past the end"),
        ([tensor("a", [2**20, 2**20], 0, 0)], "past the end"),
        ([tensor("a", [2**63, 2**63, 2**63, 2**63], 0, 0)], "past the end"),
        ([tensor("a", [0], 0, 0)], "empty shape"),
        ([tensor("a", [], 0, 0)], "0 dimensions"),
        ([tensor("a", [1] * 5, 0, 0)], "5 dimensions"),
        ([tensor("a", [32], 77, 0)], "unknown type 77"),
        ([tensor("a", [32], 4, 0)], "unknown type 4"),
        ([tensor("a", [33], 8, 0)], "no multiple of 32"),
        ([tensor("n" * 300, [32], 0, 0)], "the bound is 256"),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(tensors: list[bytes], says: str) -> None:
    assert says in refusal(gguf(tensors=tensors))


def test_a_header_longer_than_usual_is_read_on(tmp_path: Path) -> None:
    text = "t" * (12 << 20)
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf({"one": text, "two": text, "three": text}))
    assert read_header(path).metadata["three"] == text


def test_a_refusal_names_the_file_and_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf(version=9))
    with pytest.raises(InvalidModelFile, match=r"mine\.gguf") as raised:
        read_header(path)
    assert raised.value.hint
