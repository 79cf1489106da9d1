from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bethink.errors import UsageError
from bethink.evals.registry import OFFERS, open_task, shown
from bethink.evals.task import Output, Task


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def judged(task: Task, text: str, *, strict: bool) -> bool | None:
    example = task.example(0)
    return task.judge(example, task.extract(example, Output(text), strict=strict)).passed


def test_gsm8k_takes_what_stands_after_the_hashes(tmp_path: Path) -> None:
    task = open_task("gsm8k", data=written(tmp_path, {"question": "How many?", "answer": "24*3=72\n#### 1,072"}))
    assert task.example(0).gold == "1,072"
    assert task.verify(task.example(0), r"so it is \boxed{1072}").passed is True
    assert task.verify(task.example(0), "so it is 1073").passed is False


def test_gsm_symbolic_names_its_variants_apart(tmp_path: Path) -> None:
    rows = [{"id": 3, "instance": n, "question": f"{n}?", "answer": f"#### {n}"} for n in (0, 1)]
    task = open_task("GSM_Symbolic", data=written(tmp_path, *rows))
    assert [task.example(i).id for i in (0, 1)] == ["3.0", "3.1"]


def test_math500_and_aime_are_read_in_their_spellings(tmp_path: Path) -> None:
    row = {"unique_id": "test/a/1.json", "problem": "Half?", "answer": r"\frac{1}{2}", "subject": "Algebra", "level": 2}
    task = open_task("math500", data=written(tmp_path, row))
    assert (task.example(0).id, task.example(0).meta["level"]) == ("test/a/1.json", 2)
    assert task.verify(task.example(0), "0.5").passed is True
    task = open_task("aime", data=written(tmp_path, {"ID": "2024-I-1", "Problem": "Find n.", "Answer": "033"}))
    assert (task.example(0).id, task.example(0).gold) == ("2024-I-1", "33")


def test_an_answer_that_aime_cannot_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no whole number up to 999"):
        open_task("aime", data=written(tmp_path, {"problem": "?", "answer": "1000"}))


def test_strict_wants_the_answer_stated_and_lenient_takes_the_last_number(tmp_path: Path) -> None:
    task = open_task(str(written(tmp_path, {"question": "2 + 3?", "answer": "5"})))
    assert judged(task, "We add and get 5 apples", strict=False) is True
    assert judged(task, "We add and get 5 apples", strict=True) is False
    assert judged(task, "The answer is 5.", strict=True) is True


def test_a_lead_that_was_put_before_the_answer_makes_one_line_a_statement(tmp_path: Path) -> None:
    task = open_task(str(written(tmp_path, {"question": "2 + 3?", "answer": "5"})))
    output = Output("5", thinking="it may be 7", lead="**Final answer:** ")
    assert task.extract(task.example(0), output, strict=True) == "5"


@pytest.mark.parametrize("text", ["", " ", "I do not know", "\0", "5" * 100_000])
def test_what_is_no_answer_is_not_right(tmp_path: Path, text: str) -> None:
    task = open_task(str(written(tmp_path, {"question": "2 + 3?", "answer": "5"})))
    assert task.verify(task.example(0), text).passed is not True


def test_an_unknown_task_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(UsageError) as caught:
        open_task("gsm9k")
    assert "did you mean gsm8k" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        open_task("zzz")
    assert "reasoning_gym:" in caught.value.hint


@pytest.mark.parametrize("name", [o.name for o in OFFERS if o.get])
def test_a_task_without_its_file_says_where_to_get_it(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_task(name)
    assert "--data FILE" in caught.value.hint


def test_a_question_that_is_empty_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"row 1 of .*: its 'question' is empty"):
        open_task(str(written(tmp_path, {"question": " ", "answer": "5"})))


def test_a_number_beyond_the_file_is_refused(tmp_path: Path) -> None:
    task = open_task(str(written(tmp_path, {"question": "2 + 3?", "answer": "5"})))
    with pytest.raises(UsageError, match="has no question 1"):
        task.example(1)


def test_the_list_shows_every_offer_and_the_two_open_kinds() -> None:
    names = [name for name, _, _ in shown()]
    assert names == [*(o.name for o in OFFERS), "reasoning_gym:NAME", "FILE.jsonl"]
