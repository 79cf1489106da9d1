from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bethink.errors import UsageError
from bethink.evals.instructions import CHECKS
from bethink.evals.registry import open_task
from bethink.evals.task import Output, Task

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("punctuation:no_comma", {}, "no commas here", "well, no"),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "one two three", "one two"),
    ("length_constraints:number_words", {"relation": "less than", "num_words": 3}, "one two", "one two three"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one\n***\ntwo", "one\n***\n***\ntwo"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
        "First.\n\nthen, all.",
        "First.\n\nNow then.",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] at [place]", "[name] at place"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye\n\nP.S. more", "Bye. PS more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n* b\n* c"),
    ("detectable_format:constrained_response", {}, "My answer is yes.", "Yes."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b c**", "*a* and b"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1\na\nSection 2\nb",
        "Section 1\na",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "a: 1"),
    ("detectable_format:title", {}, "<<A title>>\ntext", "<< >>\ntext"),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hello."}, "say hello. Hello!", "Hello!"),
    ("startend:end_checker", {"end_phrase": "That is all."}, 'And so "that is all."', "That is all. Really."),
    ("startend:quotation", {}, '"quoted"', '"quoted'),
    ("keywords:existence", {"keywords": ["red", "blue"]}, "Red and BLUE", "red"),
    ("keywords:forbidden_words", {"forbidden_words": ["sad"]}, "sadly so", "it is SAD."),
    ("keywords:frequency", {"keyword": "ha", "relation": "at least", "frequency": 2}, "haha", "ha"),
    ("keywords:letter_frequency", {"letter": "z", "let_relation": "less than", "let_frequency": 1}, "none", "Zero"),
]


def task_of(folder: Path, *instructions: tuple[str, dict[str, Any]], more: str = "") -> Task:
    row = {
        "key": 1,
        "prompt": "Write.",
        "instruction_id_list": [name for name, _ in instructions],
        "kwargs": [kwargs for _, kwargs in instructions],
    }
    path = folder / "input.jsonl"
    path.write_text(json.dumps(row) + "\n" + more, encoding="utf-8")
    return open_task("ifeval", data=path)


@pytest.mark.parametrize(("name", "kwargs", "holds", "breaks"), CASES)
def test_a_rule_holds_where_it_is_kept_and_not_where_it_is_broken(
    tmp_path: Path, name: str, kwargs: dict[str, Any], holds: str, breaks: str
) -> None:
    task = task_of(tmp_path, (name, kwargs | {"nothing": None}))
    example = task.example(0)
    assert task.judge(example, holds).passed is True
    verdict = task.judge(example, breaks)
    assert verdict.passed is False
    assert name in verdict.why


def test_every_rule_has_a_case() -> None:
    assert {name for name, *_ in CASES} == set(CHECKS)


def test_all_rules_of_a_question_must_hold(tmp_path: Path) -> None:
    task = task_of(tmp_path, ("punctuation:no_comma", {}), ("startend:quotation", {}))
    assert task.verify(task.example(0), '"yes"').passed is True
    assert task.verify(task.example(0), "yes").passed is False


def test_lenient_reads_without_the_first_line_and_strict_does_not(tmp_path: Path) -> None:
    task = task_of(tmp_path, ("startend:quotation", {}))
    example, output = task.example(0), Output('Sure:\n"quoted"')
    assert task.judge(example, task.extract(example, output, strict=False)).passed is True
    assert task.judge(example, task.extract(example, output, strict=True)).passed is False


def test_questions_with_rules_that_are_not_supported_are_left_out_and_counted(tmp_path: Path) -> None:
    kwargs: dict[str, Any] = {"language": "sw"}
    other = {
        "key": 2, "prompt": "Write.", "instruction_id_list": ["language:response_language"], "kwargs": [kwargs],
    }  # fmt: skip
    task = task_of(tmp_path, ("punctuation:no_comma", {}), more=json.dumps(other))
    assert task.size() == 1
    assert task.notes == (
        "1 of 2 questions are left out, their rules are not supported: language:response_language (1)",
    )


def test_a_file_of_unsupported_rules_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can be verified here"):
        task_of(tmp_path, ("language:response_language", {"language": "sw"}))


def test_an_empty_text_keeps_no_rule(tmp_path: Path) -> None:
    task = task_of(tmp_path, ("punctuation:no_comma", {}))
    assert task.verify(task.example(0), " \n").passed is False
