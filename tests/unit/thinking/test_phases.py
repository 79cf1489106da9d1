"""Phase tracking: markers may be split anywhere, and no split may change what is thought and what is answer."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bethink.thinking.phases import PhaseTracker

ALPHABET = st.sampled_from(
    ["<think>", "</think>", "<", "</", "think", ">", " ", "\n", "a", "7", "é", "思", "<th", "ink>"]
)
TEXTS = st.lists(ALPHABET, max_size=24).map("".join)


def read(pieces: list[str], phase: str = "thinking") -> tuple[dict[str, str], PhaseTracker]:
    tracker = PhaseTracker("<think>", "</think>", "thinking" if phase == "thinking" else "answer")
    texts = {"thinking": "", "answer": ""}
    for given_text in pieces:
        for piece in tracker.feed(given_text):
            texts[piece.phase] += piece.text
    for piece in tracker.flush():
        texts[piece.phase] += piece.text
    return texts, tracker


def test_a_closed_thought_and_its_answer_are_told_apart() -> None:
    texts, tracker = read(["\nTwo and two", " is four.\n</think>\n\nIt is 4.\n"])
    assert texts == {"thinking": "Two and two is four.", "answer": "It is 4."}
    assert tracker.phase == "answer"


def test_a_thought_that_is_never_closed_stays_a_thought() -> None:
    assert read(["still <b>thinking</b> </thin"])[0] == {"thinking": "still <b>thinking</b> </thin", "answer": ""}


def test_a_second_opening_in_the_answer_is_counted_and_hidden() -> None:
    texts, tracker = read(["a</think>b<think>c"])
    assert (texts["answer"], tracker.n_reopened, tracker.n_spilled) == ("bc", 1, 0)


def test_a_stray_close_in_the_answer_is_hidden() -> None:
    texts, tracker = read(["a</think>b</think>c"])
    assert (texts["answer"], tracker.n_reopened, tracker.n_spilled) == ("bc", 0, 1)


@given(TEXTS, st.lists(st.integers(0, 120), max_size=12))
def test_no_split_changes_the_texts(text: str, cuts: list[int]) -> None:
    at = sorted({0, len(text), *(c % (len(text) + 1) for c in cuts)})
    split = [text[a:b] for a, b in pairwise(at)]
    assert read(split)[0] == read([text])[0] == read(list(text))[0]


@given(TEXTS)
def test_visible_texts_hold_no_marker_of_the_stream_and_no_outer_white_space(text: str) -> None:
    texts, _ = read(list(text))
    for visible in texts.values():
        assert visible == visible.strip()
    removed = text.count("<think>") + text.count("</think>")
    assert sum(map(len, texts.values())) <= len(text) - 7 * removed
