from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.picture.math_text import plain, readable_math


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\boxed{\frac{1}{2}}", "1/2"),
        (r"x^2 + y_{10}^{n} = \sqrt{3}", "x² + y₁₀ⁿ = √3"),
        (r"3 \times 5 \leq \pi", "3 × 5 ≤ π"),
        (r"\frac{a+b}{c-d}", "(a+b)/(c-d)"),
        (r"\frac{b}{2a}", "b/(2a)"),
        (r"x=\frac{-b\pm\sqrt{b^2-4ac}}{2a}", "x=(-b±√(b²-4ac))/(2a)"),
        (r"50\% \text{ of } \$18", "50% of $18"),
        (r"90^\circ", "90°"),
        (r"f'(x)", "f′(x)"),
        (r"1{,}000\,\text{km}", "1,000 km"),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", "a =b\nc =d"),
        (r"x\log_2 8", "x log₂ 8"),
        (r"\left( x \right)", "( x )"),
        (r"2^{x_1}", "2^(x₁)"),
        (r"n \in \mathbb{N}", "n ∈ ℕ"),
    ],
)
def test_a_simple_formula_reads_as_plain_text(latex: str, text: str) -> None:
    assert plain(latex) == text


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"2\frac12 x", "2 1/2 x"),
        (r"\frac{1}{2}^2", "(1/2)²"),
        (r"{\frac{1}{2}}^2", "(1/2)²"),
        (r"\frac12\frac34", "1/2 3/4"),
        (r"\sqrt{ab}", "√(ab)"),
        (r"\sqrt{2}^2", "(√2)²"),
        (r"\frac{\frac{1}{2}}{3}", "(1/2)/3"),
    ],
)
def test_what_becomes_one_line_keeps_its_meaning(latex: str, text: str) -> None:
    assert plain(latex) == text


@pytest.mark.parametrize(
    "latex", [r"\unknown{5}", r"\frac{a}{b", "a_{", r"\sqrt[4]{x}", "{" * 3000, "x" * 5000, "5 % 3"]
)
def test_what_is_not_simple_is_left_alone(latex: str) -> None:
    assert plain(latex) is None


def test_money_is_not_mathematics() -> None:
    text = "It costs $5 and $6, so $5-$6 in all. \\$7 and \\$8 too."
    assert readable_math(text) == text


def test_code_is_never_touched() -> None:
    text = "`\\(x^2\\)`\n\n```\n$x^2$\n```\n\n~~~\n\\[x^2\\]"
    assert readable_math(text) == text


def test_formulas_in_markdown_are_replaced_and_their_signs_escaped() -> None:
    assert readable_math(r"So \(x^2\) and $2 * 9 = 18$.") == r"So x² and 2 \* 9 = 18."
    assert readable_math(r"The answer is \boxed{42}.") == "The answer is **42**."
    assert readable_math(r"\[ \boxed{\frac{1}{2}} \]").strip() == "**1/2**"


def test_an_unknown_formula_is_shown_as_code() -> None:
    assert readable_math(r"see $\foo{x}$") == r"see `$\foo{x}$`"
    assert "```latex\n\\[ \\foo \\]\n```" in readable_math(r"\[ \foo \]")


@given(st.text(alphabet=r"\{}^_$()[]`~ab12frac sqrtboxed" + "\n"))
def test_any_text_is_taken(text: str) -> None:
    assert isinstance(readable_math(text), str)


@pytest.mark.parametrize("part", ["$", "\\(", "`", "$a", "\\boxed{", "\\[", "```\n", "$$a", "{", "\\frac"])
def test_long_hostile_text_takes_no_time(part: str) -> None:
    began_s = time.perf_counter()
    readable_math(part * (8000 // len(part)))
    assert time.perf_counter() - began_s < 2
