"""Finding the answer in what models write. Most texts here are endings that Qwen2.5-Coder and SmolLM2 really wrote."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bethink.thinking.answers import MAX_ANSWER_CHARS, extract

STATED = [
    ("So the total is \\boxed{72}.", "72"),
    ("\\[\n\\boxed{\\frac{1}{2}}\n\\]", "\\frac{1}{2}"),
    ("\\boxed 5", "5"),
    ("\\boxed5", "5"),
    ("first \\boxed{1}, no: \\boxed{2}", "2"),
    ("\\boxed{\\text{72 clips}}", "72 clips"),
    ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
    ("\\boxed{\\$18}", "\\$18"),
    ("\\boxed{x = 5}", "x = 5"),
    ("$\\boxed{5}$. I hope it is correct.", "5"),
    ("\\fbox{B}", "B"),
    ("\\boxed{\\begin{pmatrix}1\\\\2\\end{pmatrix}}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"),
    ("She sold 24 in May.\n#### 1,234", "1,234"),
    ("#### $72", "$72"),
    ("#### Final Answer: 7", "7"),
    ("The final answer is $72$.", "72"),
    ("The final answer is: 72 clips.", "72 clips"),
    ("**Final Answer:** 72 clips", "72 clips"),
    ("**Final answer:** \\( 3 \\frac{1}{2} \\)", "3 \\frac{1}{2}"),
    ("Final answer:\n\\[\n72\n\\]", "72"),
    ("### Final Answer\n\n72", "72"),
    ("### Answer\nThe total is 72 clips.", "72"),
    ("The answer is (B) because 5 is prime.", "B"),
    ("The correct answer is B. Paris is the capital.", "B"),
    ("Answer: B", "B"),
    ("Answer: c) blue", "C"),
    ("Answer: Natalia sold 72 clips altogether in both months.", "72"),
    ("The answer is 3.14.", "3.14"),
    ("The answer is 12.\nNext question: how many are 15?", "12"),
    ("The answer to the question is 42.", "42"),
    ("My answer is therefore: 7", "7"),
    ("Answer = 3/4", "3/4"),
    ("The final answer is 10 - 5 = 5", "5"),
    ("The answer is Paris.", "Paris"),
    ("The answer is yes.", "yes"),
    ('{"reasoning": "2 + 2", "answer": 4}', "4"),
    ('```json\n{"answer": "x + 1"}\n```', "x + 1"),
    ("**Answer**: 3/4", "3/4"),
    ("the answer is \\boxed{}\nThe answer is 6.", "6"),
    ("Answer: 5<|im_end|>", "5"),
    ("Thus, the total cost of 3 hats is \\boxed{30}.\n\n**Final answer:** 30", "30"),
    ("So, the final answer is:\n\\[\n\\boxed{27}\n\\]\n\n**Final answer:** 27 sheep.", "27"),
    ("```output\n120.0\n```\nTina makes a total of \\(\\boxed{120.00}\\) dollars.", "120.00"),
    ("17 * 23 = 381\n\nThe answer is within \\boxed{}.\n\n**Final answer:** 381", "381"),
    ("**Final answer:** 60 km/h\n\nThe answer is within \\boxed{}.", "60 km/h"),
    ("**Final answer:** 1.628\n\nThe answer is within the requested limits of formatting.", "1.628"),
    ("The final answer is \\boxed{}17 * 23 = 370.\n\n**Final answer:** 17 * 23 = 370", "370"),
    (
        "Checking your answer: \n\n\\begin{align*}\n12 + 30 &= 32\n\\end{align*}\n\n**Final answer:** 12 + 30 = 151",
        "151",
    ),
    (
        "**Final answer:** 33\n\nIn this example, the calculation resulted in the final answer 33, which is the sum.",
        "33",
    ),
    ("The final answer is 12 + 30 = 42.", "42"),
    ("**Final answer:** 1001 is not prime.", "1001 is not prime"),
    ("**Final answer:** 72 is the number of clips.", "72"),
    ("**Final answer:** The meeting is on Tuesday at nine.", "The meeting is on Tuesday at nine"),
]

GUESSED = [
    ("Total = 5 + 3 = 8 dollars", "8"),
    ("She earned $10.", "$10"),
    ("So it is -5", "-5"),
    ("Therefore 5-3=2, and that makes 2.", "2"),
    ("about 1,234.5 km", "1,234.5"),
    ("So, 25 + 15 = 40 \\text{ apples}", "40"),
    ("Therefore, Betty needs **$5** more.", "$5"),
    ("So the total is \\(72\\).", "72"),
    ("the probability is \\frac{3}{8}", "\\frac{3}{8}"),
    ("that is 3/4 of it", "3/4"),
    ("That makes 50%.", "50%"),
    ("Yes, it is.", "yes"),
    ("I think so.\n\n(C)", "C"),
    ("C. The third one", "C"),
    ("A cat sat on 3 mats", "3"),
    ("Thinking about it…\nblue", "blue"),
    ("\\boxed{12", "12"),
    ("\\boxed{\\frac{1}{2", "\\frac{1}{2"),
    ("\\[ \\text{Total} = 15 + 30 = 45 \\]\n\nFinally, we subtract the total amount of money", "45"),
    ("The answer is a result of a multi-step process, multiplying 17 by 23.", "23"),
]

NOTHING = ["", " \n ", "\x00"]


@pytest.mark.parametrize(("text", "answer"), STATED)
def test_a_stated_answer_is_found_strictly_and_leniently(text: str, answer: str) -> None:
    assert extract(text, strict=True) == answer
    assert extract(text, strict=False) == answer


@pytest.mark.parametrize(("text", "answer"), GUESSED)
def test_an_answer_that_is_not_stated_is_found_leniently_only(text: str, answer: str) -> None:
    assert extract(text, strict=True) is None
    assert extract(text, strict=False) == answer


@pytest.mark.parametrize("text", NOTHING)
def test_where_nothing_is_said_nothing_is_found(text: str) -> None:
    assert extract(text, strict=True) is None
    assert not (extract(text, strict=False) or "").strip("\x00")


@settings(deadline=None)
@given(st.text())
def test_what_is_found_is_short_and_never_empty(text: str) -> None:
    for strict in (True, False):
        found = extract(text, strict=strict)
        assert found is None or 0 < len(found) <= MAX_ANSWER_CHARS


@settings(deadline=None)
@given(st.text(), st.integers(-(10**9), 10**9))
def test_a_box_at_the_end_is_found_behind_any_text(text: str, number: int) -> None:
    assert extract(f"{text}\n\nSo it is \\boxed{{{number}}}.", strict=True) == str(number)


@pytest.mark.parametrize(
    "part",
    [
        "\\boxed{", "{", "}", "#### ", "answer ", "answer is ", "the answer to ", "Answer:\n", "9", "1,234", "- ", " ",
        "\n", "\\frac{1}{2}", "**", "$", '{"a":', "```json\n{", "\\(", "```", "# \n", "final ", "as ",
    ],
)  # fmt: skip
def test_long_and_hostile_texts_are_quick(part: str) -> None:
    for text in (part * 1_000, part * 100_000, "the answer" + part * 100_000, "answer is" + part * 100_000 + ":"):
        began = time.process_time()
        extract(text, strict=False)
        assert time.process_time() - began < 1.0
