"""Who reads a prompt and who waits: everybody is added once, and only what is read already is waited for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bethink.engine.openvino.reading import BLOCK_TOKENS, Reading, shared_tokens

QUESTION = list(range(1000, 1100))  # three whole blocks and four ids
HEADER = list(range(BLOCK_TOKENS))


def test_of_several_runs_with_one_prompt_the_first_reads_and_the_rest_come_together() -> None:
    reading = Reading()
    assert [reading.begin(run, QUESTION) for run in range(4)] == [True, False, False, False]
    assert reading.end(0, has_read=True) == [1, 2, 3]


def test_questions_that_share_only_the_head_of_a_template_do_not_wait_for_each_other() -> None:
    reading = Reading()
    assert reading.begin(0, HEADER + QUESTION)
    assert reading.begin(1, HEADER + QUESTION[::-1])


def test_a_short_prompt_shares_no_block_and_waits_for_nobody() -> None:
    reading = Reading()
    assert all(reading.begin(run, QUESTION[:20]) for run in range(3))


def test_when_the_reader_is_cancelled_the_next_one_reads() -> None:
    reading = Reading()
    for run in range(3):
        reading.begin(run, QUESTION)
    assert reading.end(0, has_read=False) == [1]
    assert reading.end(1, has_read=True) == [2]


def test_a_waiting_run_that_is_cancelled_is_never_added() -> None:
    reading = Reading()
    for run in range(3):
        reading.begin(run, QUESTION)
    assert reading.end(1, has_read=True) == []
    assert reading.end(0, has_read=True) == [2]


def test_runs_that_go_on_alike_behind_what_was_read_wait_once_more() -> None:
    reading, longer = Reading(), QUESTION + list(range(2000, 2100))
    assert reading.begin(0, QUESTION)
    assert [reading.begin(run, longer) for run in (1, 2, 3)] == [True, False, False]
    assert reading.end(0, has_read=True) == []
    assert reading.end(1, has_read=True) == [2, 3]


@given(st.lists(st.integers(0, 1), max_size=150), st.lists(st.integers(0, 1), max_size=150))
def test_what_is_shared_is_whole_blocks_of_the_common_beginning_without_the_last_id(a: list[int], b: list[int]) -> None:
    common = next((at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))
    assert shared_tokens(a, b) == max(0, min(common, len(a) - 1)) // BLOCK_TOKENS * BLOCK_TOKENS


@given(st.data())
def test_everybody_is_added_once_in_whatever_order_runs_come_and_go(data: st.DataObject) -> None:
    reading, added, over = Reading(), list[int](), set[int]()
    n_runs = data.draw(st.integers(1, 12))
    for run in range(n_runs):
        parts = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=4))
        ids = [part for part in parts for _ in range(BLOCK_TOKENS)]
        if reading.begin(run, ids):
            added.append(run)
        if data.draw(st.booleans()):
            ending = data.draw(st.sampled_from(range(run + 1)))
            over.add(ending)
            added += reading.end(ending, has_read=data.draw(st.booleans()))
    while left := [run for run in added if run not in over]:
        over.add(left[0])
        added += reading.end(left[0], has_read=True)
    assert len(added) == len(set(added))
    assert set(added) | over == set(range(n_runs))
