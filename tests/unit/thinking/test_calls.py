"""Calls and examples out of text: whatever a model or a question says, only plain calls of one function come out."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.thinking.checks import asks_for_function
from bethink.thinking.checks.calls import (
    MAX_INPUTS,
    beginning,
    calls,
    examples,
    given_calls,
    like,
    name_in_programs,
    name_in_question,
    preamble,
    signature,
)

STUB = '''Complete this function.

```python
from typing import List


def helper(x):
    """Twice."""
    return 2 * x


def total(xs: List[float], base: int = 0) -> float:
    """ Add them.
    >>> total([1.5, 2.0])
    3.5
    >>> total([], base=3)
    3
    >>> xs = [1]
    >>> total(xs)
    1
    """
```'''


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("f([1, 2], 3)", "f([1, 2], 3)"),
        ("- `f( (1,2) )`", "f((1, 2))"),
        ("3. print(f('a)b', key={'x': None}))  # why not", "f('a)b', key={'x': None})"),
        (">>> f(-1.5e3)", "f(-1500.0)"),
        ("assert f(2) == 4", "f(2)"),
        ("f()", "f()"),
    ],
)
def test_a_call_is_found_whatever_stands_around_it(line: str, call: str) -> None:
    assert calls(line, "f") == (call,)


@pytest.mark.parametrize(
    "line",
    [
        "f(x)",
        "f(open('/etc/passwd'))",
        "f(10**9)",
        "f(*[1])",
        "f(**{})",
        "g(1)",
        "self.f(1)",
        "def f(x):",
        "f(1",
        "f([" * 3000,
        "f(" + "9" * 5000 + ")",
        "f(lambda: 1)",
    ],
)
def test_what_is_no_call_with_plain_values_is_left_out(line: str) -> None:
    assert calls(line, "f") == ()


def test_calls_are_told_once_are_few_and_are_not_the_examples() -> None:
    text = "\n".join(["f(1)", "f(1)", "f( 2 )", *(f"f({n})" for n in range(100))])
    found = calls(text, "f", known=["f(2)"])
    assert len(found) == len(set(found)) == MAX_INPUTS
    assert "f(2)" not in found


@given(st.text(alphabet="f(x)[]{}'\",1 \n=*:#`\\", max_size=200))
def test_any_text_gives_only_calls_of_the_function(text: str) -> None:
    for call in calls(text, "f"):
        node = ast.parse(call, mode="eval").body
        assert isinstance(node, ast.Call)
        assert ast.unparse(node.func) == "f"
    examples(text, "f")
    name_in_question(text)


def test_a_stub_says_its_name_its_preamble_and_its_examples() -> None:
    assert name_in_question(STUB) == "total"
    assert preamble(STUB, "total").startswith("from typing import List")
    assert "def helper" in preamble(STUB, "total")
    assert "def total" not in preamble(STUB, "total")
    assert examples(STUB, "total") == (
        "assert total([1.5, 2.0]) == pytest.approx(3.5)",
        "assert total([], base=3) == 3",
    )


def test_lines_that_assert_are_examples() -> None:
    question = "Write f.\nassert f(2) == 4\nassert f(3) is None\nassert not f(0)\nassert g(1) == 2\nassert f(x) == 1"
    assert examples(question, "f") == ("assert f(2) == 4", "assert f(3) is None", "assert not f(0)")


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Write a Python function called is_even.", "is_even"),
        ("Write a function `f(n)` in Python.", "f"),
        ("Write it.\n>>> g(1)\n2", "g"),
        ("Write a Python function that adds.", None),
    ],
)
def test_the_name_of_the_function_is_the_one_asked_for(question: str, name: str | None) -> None:
    assert name_in_question(question) == name


def test_a_list_of_inputs_begins_as_the_examples_do() -> None:
    given = given_calls(["assert f([1], 2) == pytest.approx(3.5)", "assert not f([], k=1)"])
    assert given == ("f([1], 2)", "f([], k=1)")
    assert beginning("f", given) == "```python\nf([1], 2)\nf([], k=1)\nf(["
    assert beginning("f", ()) == "```python\nf("


def test_inputs_are_of_the_kinds_of_the_examples_where_some_are() -> None:
    assert like(["f(1)", "f((2,), 1.5)", "f('a', 1)"], ["f([1], 2)"]) == ("f((2,), 1.5)",)
    assert like(["f(1)"], ["f([1], 2)"]) == ("f(1)",)
    assert like(["f(1)"], []) == ("f(1)",)


def test_programs_agree_on_a_name() -> None:
    programs = ["def a(): pass\ndef main(): pass", "def main(x, y=2): pass", "def b(): pass"]
    assert name_in_programs(programs) == "main"
    assert signature(programs, "main") == "main()"
    assert name_in_programs(["print(1)"]) is None


@pytest.mark.parametrize(
    "question",
    ["Write a Python function that reverses a string.", STUB, "Implement the function f in Python."],
)
def test_requests_for_a_function_are_recognised(question: str) -> None:
    assert asks_for_function(question)


@pytest.mark.parametrize(
    "question",
    [
        "Write a JavaScript function that reverses a string.",
        "Write a function that reverses a string.",
        "Explain this Python function.\ndef f(x): return x",
        "What is the function of the liver?",
        "Input:\n```py\n# write a Python function\ndef f(x): ...\n```\n\nWhat could break here?",
        "Write a poem about a python.",
        "Write a C++ function like this Python one.",
        "How many are 3 and 4?",
    ],
)
def test_other_requests_are_not(question: str) -> None:
    assert not asks_for_function(question)
