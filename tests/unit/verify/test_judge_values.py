"""Values keep their value on the way, and bytes of any kind do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.verify.judge.values import MAX_DEPTH, CannotTravel, Unreadable, decode, encode

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
)
keys = st.none() | st.integers() | st.text() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.sets(keys)
        | st.frozensets(keys)
    ),
)


@given(values)
def test_reading_what_was_written_is_the_identity(value: object) -> None:
    read = decode(encode(value))
    assert read == value
    assert type(read) is type(value)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_value_are_refused(data: bytes) -> None:
    try:
        decode(data)
    except Unreadable:
        return


@given(values, st.data())
def test_a_damaged_value_is_refused_or_another_value(value: object, data: st.DataObject) -> None:
    written = bytearray(encode(value))
    place = data.draw(st.integers(0, len(written) - 1))
    written[place] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(written))
    except Unreadable:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"l99999999999:",
        b"l-1:",
        b"s5:abc",
        b"R0:",
        b"d1:N",
        b"i1:",
        b"d2:l0:N",
        b"NN",
        b"r3:i1:1i1:1i1:0",
        b"f3:abc",
    ],
)
def test_lies_are_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data)


def test_depth_is_limited_on_both_sides() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH + 5):
        deep = [deep]
    with pytest.raises(CannotTravel):
        encode(deep)
    with pytest.raises(Unreadable):
        decode(b"l1:" * 100_000 + b"N")
    around: list[object] = []
    around.append(around)
    with pytest.raises(CannotTravel):
        encode(around)
    with pytest.raises(CannotTravel):
        encode([object()])
