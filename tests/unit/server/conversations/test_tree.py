"""Conversations as trees: whatever is asked, edited and answered again, a branch is a line from its root, and what a
model is told of it alternates."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.server.conversations.titles import LONGEST, title_of
from bethink.server.conversations.tree import asked, branch, messages_of, newest_leaf
from bethink.server.conversations.values import FileRef, Node


@st.composite
def trees(draw: st.DrawFn) -> list[Node]:
    """As they grow: each question under an answer or at the root, each answer under a question; some are empty."""
    made: list[Node] = []
    for n in range(draw(st.integers(1, 24))):
        questions = [node.id for node in made if node.role == "user"]
        answers = [node.id for node in made if node.role == "assistant"]
        if questions and draw(st.booleans()):
            parent, role = draw(st.sampled_from(questions)), "assistant"
            content = draw(st.sampled_from(("", " ", f"answer {n}")))
        else:
            parent, role, content = draw(st.sampled_from([None, *answers])), "user", f"question {n}"
        made.append(Node(f"n{n}", "c", parent, role, content, n))
    return made


@given(trees(), st.data())
def test_a_branch_is_the_line_from_a_root_to_its_leaf(made: list[Node], data: st.DataObject) -> None:
    leaf = data.draw(st.sampled_from(made))
    line = branch(made, leaf.id)
    assert line[0].parent is None
    assert line[-1] == leaf
    assert all(later.parent == earlier.id for earlier, later in pairwise(line))


@given(trees(), st.data())
def test_adding_a_sibling_changes_no_other_branch(made: list[Node], data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(made))
    edited = Node("new", "c", node.parent, node.role, "edited", 99)
    for other in made:
        assert branch([*made, edited], other.id) == branch(made, other.id)
    assert branch([*made, edited], "new")[:-1] == branch(made, node.id)[:-1]


@given(trees(), st.data())
def test_a_branch_that_is_shown_goes_as_far_as_it_goes(made: list[Node], data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(made))
    leaf = newest_leaf(made, start.id)
    assert start in branch(made, leaf)
    assert all(node.parent != leaf for node in made)


@given(trees(), st.data())
def test_what_a_model_is_told_alternates_and_ends_in_the_question(made: list[Node], data: st.DataObject) -> None:
    question = data.draw(st.sampled_from([node for node in made if node.role == "user"]))
    told = messages_of(branch(made, question.id), {}, "Be brief.")
    assert told[0].role == "system"
    assert [message.role for message in told[1:]] == ["user", "assistant"] * (len(told) // 2 - 1) + ["user"]
    assert told[-1].content == question.content
    assert all(message.content.strip() for message in told)


def test_a_circle_is_an_error_and_no_endless_loop() -> None:
    ring = [Node("a", "c", "b", "user", "x", 0), Node("b", "c", "a", "assistant", "x", 0)]
    with pytest.raises(ValueError, match="its own ancestor"):
        branch(ring, "a")


def test_a_file_stands_before_the_question_in_a_fence_that_it_cannot_close() -> None:
    file = FileRef("f1", "notes.md", "text", 10)
    node = Node("n", "c", None, "user", "What is in it?", 0, files=(file,))
    told = asked(node, {"f1": "```\nfour: ````\n"})
    assert told == "File `notes.md`:\n`````\n```\nfour: ````\n`````\n\nWhat is in it?"


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("What is 2 + 2?", "What is 2 + 2?"),
        ("What is 17 * 23?", "What is 17 * 23?"),
        ("Differentiate x^2*sin(x) at 2", "Differentiate x^2*sin(x) at 2"),
        ("Is it **bold**, *slanted* or `code`?", "Is it bold, slanted or code?"),
        ("\n\n# Heading\nand more", "Heading"),
        ("```python\nprint(1)\n```", "python"),
        ("Please help. I have a problem with lists.", "Please help."),
        ("Pay 3.50 for it. Then go.", "Pay 3.50 for it."),
        ("これは何ですか。説明してください。", "これは何ですか。"),
        ("word " * 40, "word word word word word word word word word word word word…"),
        ("x" * 500, "x" * LONGEST + "…"),
        ("   \n\t", ""),
    ],
)
def test_a_title_is_the_first_thing_that_is_said(question: str, title: str) -> None:
    assert title_of(question) == title


@given(st.text())
def test_a_title_is_one_short_line(question: str) -> None:
    title = title_of(question)
    assert len(title) <= LONGEST + 1
    assert len(title.splitlines()) <= 1
