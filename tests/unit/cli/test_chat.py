from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bethink.cli.chat_session import ChatSession
from bethink.cli.conversation import Conversation, latest
from bethink.cli.main import main
from bethink.cli.options import Options
from bethink.cli.terminal import Terminal
from bethink.engine.scripted import Context, ScriptedEngine
from bethink.errors import StoreError, UnknownModel, UsageError
from bethink.model import Model
from bethink.types import Message

from .conftest import scripted_model, written

pytestmark = pytest.mark.anyio
MakeTerminal = Callable[..., Terminal]
Make = Callable[..., ChatSession]


def says(context: Context) -> str:
    """Counts the questions it sees; goes on with a thought that was begun."""
    n = context.text.count("<|im_start|>user")
    begun = context.text.rpartition("<think>\n")[2]
    if "</think>" in begun:
        return f"answer {n}"
    return f"{'' if begun else f'thought {n} '}</think>answer {n}"


@pytest.fixture
def make(make_terminal: MakeTerminal, home: Path) -> Make:
    def chat(**options: object) -> ChatSession:
        model = scripted_model(says, home / "traces")
        conversation = Conversation(model=model.ref.name)
        terminal = make_terminal(is_live=False, is_terminal=False)
        return ChatSession(model, Options(**options), terminal, home / "chats", conversation)  # pyright: ignore[reportArgumentType]  # the test's own options

    return chat


def last_prompt(session: ChatSession) -> str:
    assert isinstance(session.model.engine, ScriptedEngine)
    return session.model.engine.starts[-1].text


def told(session: ChatSession) -> str:
    return written(session.terminal.err)


async def test_the_history_goes_along_without_earlier_thoughts(make: Make) -> None:
    session = make(system="Be brief.")
    await session.handle("one?")
    await session.handle("two?")
    assert written(session.terminal.out) == "answer 1\nanswer 2\n"
    prompt = last_prompt(session)
    assert "Be brief." in prompt
    assert "answer 1" in prompt
    assert "thought 1" not in prompt
    assert [m.thinking and m.thinking.strip() for m in session.conversation.messages] == [
        None,
        "thought 1",
        None,
        "thought 2",
    ]


async def test_a_conversation_is_kept_before_and_after_each_answer(make: Make) -> None:
    session = make()
    await session.handle("one?")
    session.model.close()
    await session.handle("two?")
    assert "error:" in told(session)
    kept = Conversation.load(latest(session.folder))
    assert [m.content for m in kept.messages] == ["one?", "answer 1", "two?"]
    assert not kept.is_answered


async def test_a_question_after_a_failed_one_takes_its_place(make: Make) -> None:
    session = make()
    session.conversation.ask("lost?")
    await session.handle("one?")
    assert [m.content for m in session.conversation.messages] == ["one?", "answer 1"]


async def test_retry_draws_the_last_answer_again_warm(make: Make) -> None:
    session = make(seed=7)
    with pytest.raises(UsageError):
        await session._command("/retry")  # pyright: ignore[reportPrivateUsage]  # handle() would only print it
    await session.handle("one?")
    await session.handle("/retry")
    assert [m.content for m in session.conversation.messages] == ["one?", "answer 1"]
    assert isinstance(session.model.engine, ScriptedEngine)
    first, again = session.model.engine.starts[0].sampling, session.model.engine.starts[-1].sampling
    assert again.temperature >= 0.6
    assert again.seed != first.seed


async def test_an_edited_thought_is_answered(make: Make) -> None:
    session = make()
    await session.handle("one?")
    session.edit = lambda text: text.replace("thought 1", "I was told: 7.")
    await session.handle("/edit")
    assert "<think>\nI was told: 7." in last_prompt(session)
    assert (session.conversation.last_thought or "").strip() == "I was told: 7."
    assert session.conversation.n_turns == 1


async def test_the_hand_off_is_no_part_of_a_thought_to_edit(make: Make) -> None:
    session = make(budget=3)
    await session.handle("one?")
    assert session.model.profile.handoff.strip() in session.conversation.last_thought
    seen: list[str] = []
    session.edit = lambda text: seen.append(text)
    await session.handle("/edit")
    assert seen == ["tho"]


async def test_an_edited_question_is_asked_instead(make: Make) -> None:
    session = make()
    await session.handle("one?")
    session.edit = lambda _: "uno?\n"
    await session.handle("/edit question")
    assert [m.content for m in session.conversation.messages] == ["uno?", "answer 1"]
    session.edit = lambda _: None
    await session.handle("/edit question")
    assert "nothing was changed" in told(session)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/efort high", "there is no command /efort"),
        ("/effort huge", "one of auto, none"),
        ("/budget many", "/budget 512"),
        ("/budget -1", "/budget 512"),
        ("/edit", "nothing was asked yet"),
        ("/edit answer", "cannot be edited"),
        ("/save", "one file name is needed"),
        ("/save talk.txt", "end it in .md or .json"),
        ("/save 'x", "not a file name"),
        ("/load gone.json", "cannot be read"),
        ("/retry now", "takes no 'now'"),
    ],
)
async def test_a_wrong_command_is_an_error_and_the_chat_goes_on(make: Make, line: str, says: str) -> None:
    session = make()
    await session.handle(line)
    assert says in told(session)
    await session.handle("one?")
    assert written(session.terminal.out) == "answer 1\n"


async def test_effort_and_budget_hold_from_then_on(make: Make) -> None:
    session = make()
    await session.handle("/effort low")
    await session.handle("/budget 12")
    assert (session.options.effort, session.options.budget) == ("low", 12)
    assert session.request().budget == 12
    await session.handle("/budget auto")
    assert session.options.budget is None


async def test_two_slashes_begin_a_question_with_one(make: Make) -> None:
    session = make()
    await session.handle("//etc/hosts?")
    assert session.conversation.last_question == "/etc/hosts?"


async def test_save_and_load_keep_everything(make: Make, tmp_path: Path) -> None:
    session = make()
    await session.handle("one?")
    await session.handle(f"/save '{tmp_path / 'my talk.json'}'")
    await session.handle(f"/save {tmp_path / 'talk.md'}")
    notes = (tmp_path / "talk.md").read_text()
    assert "## User\n\none?" in notes
    assert "answer 1" in notes
    other = make()
    await other.handle(f"/load '{tmp_path / 'my talk.json'}'")
    assert other.conversation.messages == session.conversation.messages
    await other.handle("two?")
    assert "answer 2" in written(other.terminal.out)
    await other.handle("/new")
    assert other.conversation.messages == []


async def test_saving_again_is_fine_and_no_other_file_is_written_over(make: Make, tmp_path: Path) -> None:
    session = make()
    await session.handle("one?")
    (tmp_path / "mine.md").write_text("# My notes")
    (tmp_path / "mine.json").write_text('{"a": 1}')
    for name in ("talk.md", "talk.json", "talk.md", "talk.json", "mine.md", "mine.json"):
        await session.handle(f"/save {tmp_path / name}")
    assert told(session).count("wrote ") == 4
    assert " ".join(told(session).split()).count("is there already and holds no conversation") == 2
    assert (tmp_path / "mine.md").read_text() == "# My notes"
    assert (tmp_path / "mine.json").read_text() == '{"a": 1}'


async def test_a_model_that_cannot_come_leaves_the_old_one_in_place(make: Make, home: Path) -> None:
    session = make()

    def load(options: Options, _: Terminal) -> Model:
        if options.model == "gone":
            raise UnknownModel("no model gone", "bethink pull gone")
        return scripted_model(says, home / "traces")

    session.load = load
    await session.handle("/model gone")
    assert "no model gone" in told(session)
    await session.handle("one?")
    assert written(session.terminal.out) == "answer 1\n"
    await session.handle("/model scripted:1b")
    await session.handle("two?")
    assert written(session.terminal.out) == "answer 1\nanswer 2\n"


@pytest.mark.parametrize("word", ["/quit", "/exit", "/bye"])
async def test_help_and_quit(make: Make, word: str) -> None:
    session = make()
    await session.handle("/help")
    assert "/retry" in told(session)
    await session.handle(word)
    assert session.is_over


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "messages": [{"role": "root", "content": ""}]}',
        '{"format": 1, "messages": [], "x": 1}',
    ],
)
def test_a_file_that_is_no_conversation_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UsageError, match=r"conversation"):
        Conversation.load(tmp_path / "c.json")


def test_a_conversation_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "chats").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        Conversation(messages=[Message("user", "q")]).save(tmp_path / "chats" / "c.json")


def test_a_conversation_in_a_pipe_and_resumed(
    plays: Callable[..., list[Model]], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = plays(says)
    monkeypatch.setattr(sys, "stdin", io.StringIO("one?\n\n/effort low\ntwo?\n/quit\nthree?\n"))
    assert main(["chat"]) == 0
    assert capsys.readouterr().out == "answer 1\nanswer 2\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("three?\n"))
    assert main(["chat", "--resume"]) == 0
    assert capsys.readouterr().out == "answer 3\n"
    assert len(list((home / "chats").glob("*.json"))) == 1
    kept = json.loads(next((home / "chats").glob("*.json")).read_text())
    assert len(kept["messages"]) == 6
    assert all(isinstance(m.engine, ScriptedEngine) and m.engine.is_closed for m in loaded)


def test_there_is_nothing_to_resume(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not (home / "chats").exists()
    assert main(["chat", "--resume"]) == 2
    assert "no conversation to go on with" in capsys.readouterr().err


async def test_a_conversation_that_outgrew_the_context_goes_on_without_its_oldest_turns_and_says_so(make: Make) -> None:
    session = make()
    engine = session.model.engine
    assert isinstance(engine, ScriptedEngine)
    session.model.engine = ScriptedEngine(says, context_length=3000)
    for n in range(12):
        await session.handle(f"question number {n}, " + "which is long " * 20)
    assert "question number 11," in last_prompt(session)
    assert "question number 0," not in last_prompt(session)
    assert "messages at the beginning left out: the context has 3,000 tokens" in told(session)
    assert session.conversation.n_turns == 12
