"""Plain numbers as people and models write them."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bethink.verify.numbers import parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("72", 72),
        ("-3", -3),
        ("−3", -3),
        ("+4", 4),
        ("0.50", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("3.", 3),
        ("1,234.5", Fraction(2469, 2)),
        ("1{,}234", 1234),
        ("\\$1,234", 1234),
        ("$5.00", 5),
        ("€ 12", 12),
        ("$-5", -5),
        ("-$5", -5),
        ("1/2", Fraction(1, 2)),
        ("-1/2", Fraction(-1, 2)),
        ("\\frac{1}{2}", Fraction(1, 2)),
        ("-\\dfrac{3}{4}", Fraction(-3, 4)),
        ("\\frac12", Fraction(1, 2)),
        ("1 1/2", Fraction(3, 2)),
        ("1\\frac{1}{2}", Fraction(3, 2)),
        ("2½", Fraction(5, 2)),
        ("1.5e3", 1500),
        ("1.5 \\times 10^{3}", 1500),
        ("2*10^-2", Fraction(1, 50)),
        ("5 million dollars", 5_000_000),
        ("3 hundred", 300),
        ("72 clips", 72),
        ("72 \\text{ clips}", 72),
        ("10 \\text{ km/h}", 10),
        ("5 m^2", 5),
        ("$12 per hour", 12),
        ("(3)", 3),
        ("**18**", 18),
        ("\\(18\\)", 18),
        ("seven", 7),
        ("20", 20),
    ],
)
def test_a_number_is_read_exactly(text: str, value: Fraction | int) -> None:
    number = parse_number(text)
    assert number is not None
    assert number.value == value
    assert not number.is_percent


@pytest.mark.parametrize("text", ["50%", "50\\%", "50 %", "50 percent", "50% of the cakes", "50 per cent"])
def test_percent_is_kept_apart(text: str) -> None:
    number = parse_number(text)
    assert number is not None
    assert (number.value, number.share, number.is_percent) == (50, Fraction(1, 2), True)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "-", "x", "x = 5", "5x", "5 x", "2\\pi", "5 pi", "2\\sqrt{3}", "3!", "2^3", "5 squared",
        "5 over 2", "1 + 1", "2 hours 30 minutes", "5 or 6", "5, 6", "1,23", "(1, 2)", "3:30", "3/0",
        "\\frac{1}{0}", "1/2/3", "1e999999999", "9" * 1000, "1.2.3", "0x10", "Paris", "NaN", "infinity", "1_000",
        "5 apples and 3 pears", "\\frac{1}{", "ten to the power",
    ],
)  # fmt: skip
def test_what_is_no_single_number_is_refused(text: str) -> None:
    assert parse_number(text) is None


@settings(deadline=None)
@given(st.fractions(max_denominator=10**6))
def test_every_fraction_is_read_as_it_was_written(value: Fraction) -> None:
    for text in (f"{value}", f"${value}$", f"\\frac{{{value.numerator}}}{{{value.denominator}}}"):
        number = parse_number(text)
        assert number is not None
        assert number.value == value


@settings(deadline=None)
@given(st.integers(-(10**15), 10**15))
def test_every_integer_is_read_with_and_without_separators(value: int) -> None:
    for text in (f"{value}", f"{value:,}", f"{value}.00", f"{value} apples", f"\\boxed{{{value}}}"[7:-1]):
        number = parse_number(text)
        assert number is not None
        assert number.value == value


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789.,/-+eE%$\\{} ×^*frac()txd½"), max_size=120))
def test_no_text_is_too_strange(text: str) -> None:
    parse_number(text)


@pytest.mark.parametrize("part", ["9", " ", "\\frac{1}{2}", "1,234", "{", "\\text{a}", "½", "-", "$", "1 1/1 "])
def test_long_texts_are_quick(part: str) -> None:
    began = time.process_time()
    for n in (100, 1000, 1_000_000):
        parse_number(part * n)
    assert time.process_time() - began < 0.5
