"""Whatever the bytes are, the outcome is a header or an `InvalidModelFile`, and soon."""

from __future__ import annotations

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from bethink.errors import InvalidModelFile
from bethink.store.gguf import GgufHeader, parse_header
from tests.unit.store.small_files import Value, gguf, pair, tensor

SOUND = gguf(
    {
        "tokenizer.ggml.tokens": [f"token {i}" for i in range(40)],
        "tokenizer.ggml.scores": [0.5] * 20,
        "tokenizer.ggml.token_type": [1, 2, 3],
        "llama.block_count": 2,
        "general.alignment": 32,
    },
    tensors=[tensor("q", [256, 2], 12, 0), tensor("w", [32], 8, 288), tensor("n", [8], 0, 352)],
    data=bytes(1024),
)
EDGES = [0, 1, 2, 7, 8, 9, 31, 32, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]


def outcome(data: bytes, file_size: int | None = None) -> GgufHeader | None:
    """None stands for a refusal. Anything else that is raised fails the test."""
    try:
        return parse_header(data, len(data) if file_size is None else file_size)
    except InvalidModelFile:
        return None


def check(header: GgufHeader | None) -> None:
    """What every header that is let through promises."""
    if header is None:
        return
    for info in header.tensors:
        assert 0 < info.n_bytes <= header.file_size
        assert header.data_offset <= info.offset <= header.file_size - info.n_bytes


def mutate(data: bytes, chance: random.Random) -> bytes:
    """One to six changes of the kinds that parsers trip over."""
    raw = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(raw))
        match chance.randrange(7):
            case 0:
                raw[at] = chance.randrange(256)
            case 1:
                raw[at] ^= 1 << chance.randrange(8)
            case 2:
                raw[at : at + 8] = chance.choice(EDGES).to_bytes(8, "little")
            case 3:
                raw[at : at + 4] = (chance.choice(EDGES) % 2**32).to_bytes(4, "little")
            case 4:
                del raw[at : at + chance.randrange(1, 40)]
            case 5:
                end = chance.randrange(at, min(len(raw), at + 200) + 1)
                raw[at:at] = raw[at:end]
            case _:
                del raw[at:]
        if not raw:
            break
    return bytes(raw)


def test_ten_thousand_mutations_end_in_a_header_or_a_refusal_within_seconds() -> None:
    chance = random.Random(20)
    assert outcome(SOUND)
    began = time.monotonic()
    n_read = 0
    for _ in range(10_000):
        header = outcome(mutate(SOUND, chance))
        check(header)
        n_read += header is not None
    assert 0 < n_read < 10_000
    assert time.monotonic() - began < 60


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600))
def test_noise_after_the_magic_is_no_trouble(noise: bytes) -> None:
    check(outcome(b"GGUF\x03\x00\x00\x00" + noise))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.binary(min_size=1, max_size=16), st.integers(0, 2**40))
def test_any_splice_and_any_claimed_size_is_no_trouble(at: int, splice: bytes, file_size: int) -> None:
    data = SOUND[:at] + splice + SOUND[at + len(splice) :]
    check(outcome(data))
    check(outcome(data, max(len(data), file_size)))


values = st.one_of(
    st.text(max_size=20),
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.floats(allow_nan=False),
    st.lists(st.text(max_size=8), min_size=1, max_size=8),
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=20), values, max_size=8))
def test_what_was_written_is_read(metadata: dict[str, Value]) -> None:
    metadata = {f"x.{key}": of for key, of in metadata.items()}
    header = outcome(gguf(metadata))
    assert header is not None
    for key, of in metadata.items():
        assert header.metadata[key] == (tuple(of) if isinstance(of, list) else of)


def test_a_bomb_of_empty_strings_costs_little() -> None:
    count = 1_000_000
    raw = pair(
        "k", (9).to_bytes(4, "little") + (8).to_bytes(4, "little") + count.to_bytes(8, "little") + bytes(8 * count)
    )
    began = time.monotonic()
    assert outcome(gguf(pairs=[raw]))
    assert time.monotonic() - began < 10
