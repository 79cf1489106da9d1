"""What is kept, on both databases: trees, the wish for an answer, who makes it, what is written down on the way."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from bethink.errors import UsageError
from bethink.server.accounts.database import open_database
from bethink.server.conversations.holders import is_alive, this_process
from bethink.server.conversations.progress import LOST_S, Outcome, Progress
from bethink.server.conversations.searching import listed
from bethink.server.conversations.storage import Conversations
from bethink.server.conversations.values import NoSuchConversation, NoSuchNode, TurnSettings

ME = "me"
RESULT = {"model": {"name": "m"}, "trace_id": "t1"}


@pytest.fixture
def here(url: str, tmp_path: Path) -> Iterator[Conversations]:
    engine = open_database(url, tmp_path)
    clock = itertools.count(1_000_000)
    yield Conversations(engine, "first", lambda: next(clock))
    engine.dispose()


def test_a_tree_is_kept_as_it_grows(here: Conversations) -> None:
    made = here.create(ME)
    first = here.ask(ME, made.id, None, "Eins?\x00\ud800", TurnSettings(model="m"), seed=1)
    Progress(here).end(first.pending.node.id, Outcome("done", "Ja.", "hm", RESULT))
    second = here.ask(ME, made.id, first.pending.node.id, "Zwei?", TurnSettings(), seed=2)
    again = here.again(ME, made.id, first.pending.node.id, TurnSettings(budget=5), seed=3, thought="hm hm")
    found, nodes = here.get(ME, made.id)
    assert (found.title, found.n_turns, found.leaf, found.model) == (
        "Eins?\N{REPLACEMENT CHARACTER}?",
        2,
        again.node.id,
        "m",
    )
    assert [(n.role, n.status) for n in nodes] == [
        ("user", "done"),
        ("assistant", "done"),
        ("user", "done"),
        ("assistant", "queued"),
        ("assistant", "queued"),
    ]
    assert again.node.settings is not None
    assert (again.node.parent, again.node.settings.model, again.node.settings.budget) == (first.user.id, "m", 5)
    assert [n.content for n in here.line(second.user.id)] == ["Eins?\N{REPLACEMENT CHARACTER}?", "Ja.", "Zwei?"]
    assert here.has_trace(ME, "t1")
    assert not here.has_trace("you", "t1")


def test_titles_and_messages_are_found_by_parts_of_words(here: Conversations) -> None:
    for content in ("Where is Atlantis? 100% sure.", "Über Äpfel", "another"):
        here.ask(ME, here.create(ME).id, None, content, TurnSettings(), seed=1)
    here.ask("you", here.create("you").id, None, "Atlantis, too", TurnSettings(), seed=1)

    def found(query: str) -> list[str | None]:
        return [one.snippet for one in listed(here, ME, query=query).conversations]

    assert found("tlant") == ["Where is Atlantis? 100% sure."]
    assert found("ATLANTIS sure") == ["Where is Atlantis? 100% sure."]
    assert found("100%") == ["Where is Atlantis? 100% sure."]
    assert found("äPFEL") == ["Über Äpfel"]
    assert found("is atlantis nowhere") == []
    assert len(found("")) == 3


def test_what_is_deleted_leaves_nothing(here: Conversations) -> None:
    made = here.create(ME)
    file = here.keep_file(ME, "a.txt", "text", "content", None)
    asked = here.ask(ME, made.id, None, "What is in it?", TurnSettings(), seed=1, file_ids=[file.id])
    assert here.texts([file.id]) == {file.id: "content"}
    here.delete(ME, made.id)
    assert here.texts([file.id]) == {}
    with pytest.raises(NoSuchConversation):
        here.get(ME, made.id)
    with pytest.raises(NoSuchNode):
        here.find(ME, asked.user.id)
    Progress(here).end(asked.pending.node.id, Outcome("done", "too late", None, RESULT))
    assert not Progress(here).keep(asked.pending.node.id, None, n_crashes=0)
    assert listed(here, ME, query="too late").conversations == ()


def test_an_answer_is_taken_up_once_and_with_what_was_written_down(here: Conversations) -> None:
    asked = here.ask(ME, here.create(ME).id, None, "Eins?", TurnSettings(), seed=7, key_id="k")
    Progress(here).keep(asked.pending.node.id, b'{"a": "\xc3\xa4"}', n_crashes=0)
    second = Conversations(here.engine, "second", here.now_us)
    assert Progress(second, lambda _: True).take_up() == []
    (taken,) = Progress(second, lambda _: False).take_up()
    assert (taken.seed, taken.key_id, taken.kept, taken.n_attempts, taken.n_crashes) == (7, "k", {"a": "ä"}, 1, 1)
    assert Progress(second, lambda _: False).take_up() == []
    Progress(second).release()
    (again,) = Progress(here, lambda _: True).take_up()
    assert (again.n_attempts, again.n_crashes) == (2, 1)


def test_a_process_elsewhere_is_lost_when_it_says_nothing_for_long(here: Conversations) -> None:
    here.ask(ME, here.create(ME).id, None, "Eins?", TurnSettings(), seed=7)
    soon = Conversations(here.engine, "second", lambda: int(LOST_S * 0.9e6))
    late = Conversations(here.engine, "second", lambda: int(LOST_S * 1.1e6) + 2_000_000)
    assert Progress(soon).take_up() == []
    assert len(Progress(late).take_up()) == 1


def test_nothing_is_kept_of_what_is_refused(here: Conversations) -> None:
    made = here.create(ME)
    with pytest.raises(UsageError, match="no file"):
        here.ask(ME, made.id, None, "x", TurnSettings(), seed=1, file_ids=["nope"])
    with pytest.raises(NoSuchConversation):
        here.ask("you", made.id, None, "x", TurnSettings(), seed=1)
    assert here.get(ME, made.id)[1] == []


def test_a_process_knows_itself_and_who_is_gone() -> None:
    me = this_process()
    host, pid, born, word = me.split("|")
    assert is_alive(me) is True
    assert is_alive("|".join((host, pid, "1.00", word))) is False
    assert is_alive(f"elsewhere|{pid}|{born}|{word}") is None
    assert is_alive("nonsense") is None
