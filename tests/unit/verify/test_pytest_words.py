"""The stand-ins for pytest's words agree with pytest itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.verify.judge.pytest_words import approx, raises

numbers = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)
values = numbers | st.lists(numbers, max_size=3) | st.dictionaries(st.sampled_from("ab"), numbers)


@given(values, values, st.sampled_from([0.0, 1e-9, 1e-3]))
def test_near_is_what_pytest_calls_near(one: object, other: object, shift: float) -> None:
    if one or other:  # pytest calls an empty dict near an empty list; here they are different things
        assert (one == approx(other)) is (one == pytest.approx(other))
    if isinstance(one, float | int):
        assert (one + shift == approx(one)) is (one + shift == pytest.approx(one))


def test_an_expected_error_is_caught_and_others_are_not() -> None:
    with raises((KeyError, ValueError), match="^b.d$") as caught:
        raise ValueError("bad")
    assert (caught.type, str(caught.value)) == (ValueError, "bad")
    with pytest.raises(TypeError), raises(ValueError):
        raise TypeError
    with pytest.raises(AssertionError, match="does not match"), raises(ValueError, match="good"):
        raise ValueError("bad")
    with pytest.raises(AssertionError, match="nothing raised"), raises(ValueError):
        pass
