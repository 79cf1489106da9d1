"""What of a long conversation remains: its system message, its last question, and before it what there is room for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bethink.prompt import last_question, without_oldest
from bethink.types import Message

TURNS = st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.integers(1, 40)), min_size=1, max_size=30)


def size(message: Message) -> int:
    return len(message.content)


def conversation(n_turns: int, n_chars: int = 10) -> list[Message]:
    turns = [[Message("user", "q" * n_chars), Message("assistant", "a" * n_chars)] for _ in range(n_turns)]
    return [Message("system", "s" * n_chars), *(message for turn in turns for message in turn)][:-1]


def test_what_fits_stays_whole() -> None:
    messages = conversation(5)
    assert without_oldest(messages, size, 100, 25) == messages


def test_the_oldest_turns_go_and_the_system_message_stays() -> None:
    messages = conversation(10)
    rest = without_oldest(messages, size, 100, 25)
    assert rest[0] == messages[0]
    assert rest[1].role == "user"
    assert list(rest[1:]) == messages[-len(rest) + 1 :]
    assert sum(map(size, rest)) <= 100


def test_a_cut_stays_where_it_is_until_the_rest_has_outgrown_its_room_again() -> None:
    cuts = [len(m) - len(without_oldest(m, size, 300, 100)) for n in range(1, 40) for m in [conversation(n)]]
    assert cuts == sorted(cuts)
    assert len(set(cuts)) <= 6  # 39 conversations, each a turn longer than the one before


def test_a_question_that_is_longer_than_all_the_room_remains_alone() -> None:
    messages = [*conversation(3), Message("assistant", "a"), Message("user", "q" * 1000)]
    assert list(without_oldest(messages, size, 100, 25)) == [messages[0], messages[-1]]


@given(TURNS, st.integers(1, 200), st.integers(1, 60))
def test_whatever_the_conversation_the_last_question_and_what_follows_it_remain(
    turns: list[tuple[str, int]], most: int, step: int
) -> None:
    messages = [Message(role, "x" * n) for role, n in turns]  # pyright: ignore[reportArgumentType]
    rest = list(without_oldest(messages, size, most, step))
    at = last_question(messages)
    assert rest == messages[len(messages) - len(rest) :]
    assert len(rest) >= len(messages) - at
    if messages[at].role == "user" and sum(map(size, messages)) > most:
        assert rest[0].role == "user"
        assert sum(map(size, rest)) <= most or len(rest) == len(messages) - at
