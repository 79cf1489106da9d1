"""The program is found in whatever an answer wraps around it."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.verify.code import extract_program

F = "def f(x):\n    return x + 1"
G = "def g(x):\n    return f(x) * 2"


def test_one_block_between_words() -> None:
    for fence in ("```python", "```", "```py", "~~~python", "````python", "``` Python ", "```{python}", "```python3"):
        mark = fence[: len(fence) - len(fence.lstrip("`~"))]
        assert extract_program(f"Here it is:\n\n{fence}\n{F}\n{mark}\nIt adds one.") == F


def test_a_block_in_a_list_is_dedented() -> None:
    text = "1. So:\n\n   ```python\n   def f(x):\n       return x + 1\n   ```\n"
    assert extract_program(text) == F


def test_an_answer_that_is_the_program_alone() -> None:
    assert extract_program(F) == F
    assert extract_program("import sys\n\nprint(sys.stdin.read())") == "import sys\n\nprint(sys.stdin.read())"
    assert extract_program("n = int(input())\nprint(n)") == "n = int(input())\nprint(n)"


def test_code_without_fences_between_words() -> None:
    text = f"You can write it like this:\n\nimport math\n\n{F}\n\nThis function adds one to x.\nIt is fast."
    assert extract_program(text) == f"import math\n\n{F}"


def test_a_block_that_was_never_closed() -> None:
    assert extract_program(f"Sure:\n```python\n{F}\n") == F
    assert extract_program(f"Sure:\n```python\n{F}\n\nprint(f(") == F
    assert extract_program(f"```python\n{F}\n\n```python\n{G}\n```") is not None


def test_the_block_that_defines_the_entry_point_wins() -> None:
    text = f"```python\n{F}\n```\nUse it:\n```python\nprint(f(1))\n```\n```bash\npython f.py\n```"
    assert extract_program(text, entry_point="f") == F
    assert extract_program(text) == F


def test_of_two_versions_the_later_counts() -> None:
    better = "def f(x):\n    return 1 + x"
    text = f"First try:\n```python\n{F}\n```\nThat is wrong. Better:\n```python\n{better}\n```"
    assert extract_program(text, entry_point="f") == better
    assert extract_program(text) == better


def test_blocks_that_need_each_other_are_joined() -> None:
    text = f"```python\n{F}\n```\nand\n```python\n{G}\n```"
    assert extract_program(text, entry_point="g") == f"{F}\n\n\n{G}"
    assert extract_program(text) == f"{F}\n\n\n{G}"
    with_import = "```python\nimport math\n```\n```python\ndef h(x):\n    return math.floor(x)\n```"
    assert extract_program(with_import, entry_point="h") == "import math\n\n\ndef h(x):\n    return math.floor(x)"


def test_a_session_at_the_prompt_is_what_was_typed() -> None:
    text = "```python\n>>> def f(x):\n...     return x + 1\n>>> f(1)\n2\n```"
    assert extract_program(text) == "def f(x):\n    return x + 1\nf(1)"


@pytest.mark.parametrize(
    "text",
    ["", "   \n", "I do not know.", "42", "yes", "```python\ndef f(:\n```", "```\n$ ls -la\n```",
     "```json\n{\"a\": 1}\n```",
     "\0", "```python\n```"],
)  # fmt: skip
def test_no_program_is_none(text: str) -> None:
    assert extract_program(text) is None


@given(
    st.text(alphabet=st.sampled_from("`~ \nabdef:()=+#'\"python0123[]{}\t\\"), max_size=300),
    st.sampled_from([None, "f"]),
)
def test_what_is_found_always_parses(text: str, entry_point: str | None) -> None:
    for whole in (text, f"{text}\n```python\n{F}\n```\n{text}"):
        found = extract_program(whole, entry_point=entry_point)
        assert found is None or ast.parse(found).body


def test_hostile_text_ends() -> None:
    for text in (
        "```python\n" * 20_000,
        "def f(\n" * 20_000,
        "(" * 150_000,
        "```python\n" + "-" * 150_000 + "1\n```",
        "import x\n" * 20_000,
    ):
        extract_program(text)
