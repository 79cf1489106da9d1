from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from bethink.cli.main import main
from bethink.errors import EngineError, SourceUnreachable, UnknownModel
from bethink.model import Model

Plays = Callable[..., list[Model]]
PLAY = {"<think>\n": "two and two make four</think>It is \\boxed{4}."}
KEYS = {
    "answer": str,
    "thinking": str,
    "closed_by": str,
    "verdict": {"kind", "passed", "agreement", "votes"},
    "usage": {
        "prompt_tokens",
        "thinking_tokens",
        "answer_tokens",
        "probe_tokens",
        "discarded_tokens",
        "completion_tokens",
    },
    "timing": {"first_token_s", "first_answer_token_s", "total_s", "tokens_per_s", "load_s"},
    "model": {"name", "sha256"},
    "engine": str,
    "seed": int,
    "trace_id": str,
    "notes": list,
}


class Stdin(io.TextIOWrapper):
    """Bytes that are piped in, or a terminal at which nobody types."""

    def __init__(self, content: bytes = b"", *, is_terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture(autouse=True)
def _no_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin())


def one_object(text: str) -> dict[str, Any]:
    assert text.count("\n") == 1
    return cast("dict[str, Any]", json.loads(text))


def asked(models: list[Model]) -> str:
    """What the model was given."""
    engine = cast("Any", models[0].engine)
    return str(engine.starts[0].text)


def test_a_pipe_gets_the_answer_and_nothing_else(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays(PLAY)
    assert main(["ask", "What is 2 + 2?", "--paths", "1"]) == 0
    assert capsys.readouterr() == ("It is \\boxed{4}.\n", "")


def test_json_is_one_object_with_every_key(plays: Plays, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    plays(PLAY)
    assert main(["ask", "What is 2 + 2?", "--json", "--seed", "7", "--paths", "1"]) == 0
    out, err = capsys.readouterr()
    record = one_object(out)
    assert err == ""
    for key, kind in KEYS.items():
        assert set(record[key]) >= kind if isinstance(kind, set) else isinstance(record[key], kind)
    assert (record["answer"], record["thinking"], record["closed_by"]) == (
        "It is \\boxed{4}.",
        "two and two make four",
        "natural",
    )
    assert record["seed"] == 7
    assert (home / "traces" / f"{record['trace_id']}.json").is_file()
    usage = record["usage"]
    parts = ("thinking_tokens", "answer_tokens", "probe_tokens", "discarded_tokens")
    assert usage["completion_tokens"] == sum(usage[part] for part in parts)


def test_several_paths_vote_and_the_votes_are_told(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays(PLAY)
    assert main(["ask", "What is 2 + 2?", "--json", "--paths", "4"]) == 0
    verdict = one_object(capsys.readouterr().out)["verdict"]
    assert verdict["kind"] == "vote"
    assert verdict["passed"] is True
    assert verdict["votes"] == [{"answer": "4", "count": 4}]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--effort", "huge", "q"], "huge"),
        (["--budget", "-1", "q"], "-1"),
        (["--budget", "many", "q"], "many"),
        (["--within", "soon", "q"], "soon"),
        (["--paths", "0", "q"], "0"),
        (["--check", "magic", "q"], "magic"),
        (["--check", "schema:gone.json", "q"], "gone.json"),
        (["--check", 'cmd:"open', "q"], "cannot be read as a command"),
        (["--check", "code", "--tests", "gone.py", "q"], "gone.py"),
        (["--check", "math", "--tests", "/dev/null", "q"], "tests do not go with"),
        (["--seed", "x", "q"], "x"),
        (["--temperature", "hot", "q"], "hot"),
        (["--max-tokens", "0", "q"], "0"),
        (["--nonsense", "q"], "--nonsense"),
        (["--thought", "gone.txt", "q"], "gone.txt"),
        (["-f", "gone.txt", "q"], "gone.txt"),
        ([" "], "empty"),
        (["one", "two"], "several words"),
    ],
)
@pytest.mark.parametrize("is_json", [False, True])
def test_wrong_usage_is_exit_2_with_what_to_do(
    plays: Plays, capsys: pytest.CaptureFixture[str], args: list[str], says: str, is_json: bool
) -> None:
    loaded = plays(PLAY)
    assert main(["ask", *args, *(["--json"] if is_json else [])]) == 2
    out, err = capsys.readouterr()
    assert loaded == []
    if is_json:
        error = one_object(out)["error"]
        assert error["code"] == "invalid_request"
        assert says in error["message"]
        assert set(error) == {"code", "message", "hint"}
        assert err == ""
    else:
        assert says in err
        assert out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [(UnknownModel("no such model", "bethink pull x"), 3), (SourceUnreachable("no net"), 3), (EngineError("died"), 4)],
)
@pytest.mark.usefixtures("home")
def test_a_model_that_cannot_be_had_ends_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Any, code: int
) -> None:
    def load(*_: object, **__: object) -> Model:
        raise error

    monkeypatch.setattr("bethink.model.load", load)
    assert main(["ask", "q"]) == code
    assert str(error) in capsys.readouterr().err
    assert main(["ask", "q", "--json"]) == code
    assert one_object(capsys.readouterr().out) == {
        "error": {"code": error.code, "message": str(error), "hint": error.hint}
    }


def test_an_engine_that_dies_while_it_thinks_is_exit_4(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays({"never said": "x"})
    assert main(["ask", "q", "--json"]) == 4
    assert one_object(capsys.readouterr().out)["error"]["code"] == "engine"


def test_the_question_may_come_from_standard_input(
    plays: Plays, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for args in (["ask"], ["ask", "-"]):
        loaded = plays(PLAY)
        monkeypatch.setattr(sys, "stdin", Stdin("Grüße?\n".encode()))
        assert main(args) == 0
        assert "user\nGrüße?" in asked(loaded)
    assert capsys.readouterr().err == ""


def test_standard_input_and_files_are_what_the_question_is_about(
    plays: Plays, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded = plays(PLAY)
    (tmp_path / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(sys, "stdin", Stdin(b"piped in"))
    assert main(["ask", "Why?", "-f", str(tmp_path / "a.py"), "--system", "Be brief."]) == 0
    text = asked(loaded)
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>")
    assert "a.py:\n```py\nx = 1\n```" in text
    assert "Input:\n```\npiped in\n```\n\nWhy?" in text


def test_standard_input_that_is_no_text_is_wrong_usage(
    plays: Plays, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plays(PLAY)
    monkeypatch.setattr(sys, "stdin", Stdin(b"\xff\xfe\x00"))
    assert main(["ask", "Why?"]) == 2
    assert "standard input" in capsys.readouterr().err


def test_no_question_at_a_terminal_is_wrong_usage(
    plays: Plays, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = plays(PLAY)
    monkeypatch.setattr(sys, "stdin", Stdin(is_terminal=True))
    assert main(["ask"]) == 2
    assert "there is no question" in capsys.readouterr().err
    assert loaded == []


def test_an_edited_thought_is_gone_on_from(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays({"<think>\nI know: ": "it is five.</think>It is 5."})
    assert main(["ask", "q", "--thought", "I know: ", "--json"]) == 0
    assert one_object(capsys.readouterr().out)["thinking"].strip() == "I know: it is five."


def test_a_deadline_counts_loading_and_says_what_it_took(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays(LONG, token_delay_s=0.005, load_s=30.0)
    assert main(["ask", "q", "--json", "--within", "31s"]) == 0
    record = one_object(capsys.readouterr().out)
    assert record["closed_by"] == "deadline"
    assert record["timing"]["load_s"] >= 30
    assert 30 < record["timing"]["first_token_s"] < record["timing"]["total_s"] < 31.5


def test_a_load_that_took_all_the_time_still_gets_an_answer(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays(LONG, token_delay_s=0.005, load_s=30.0)
    assert main(["ask", "q", "--json", "--within", "2s"]) == 0
    record = one_object(capsys.readouterr().out)
    assert (record["closed_by"], record["finish_reason"]) == ("deadline", "deadline")
    assert record["answer"]


def test_trace_says_where_it_is(plays: Plays, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plays(PLAY)
    assert main(["ask", "q", "--trace"]) == 0
    out, err = capsys.readouterr()
    assert out == "It is \\boxed{4}.\n"
    file = next((home / "traces").glob("*.json"))
    assert str(file) in err


def test_a_trace_that_was_not_kept_is_not_promised(
    plays: Plays, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plays(PLAY)
    (home / "traces").write_text("a file where the folder should be")
    assert main(["ask", "q", "--trace"]) == 0
    assert "no trace of this request was kept" in capsys.readouterr().err


@contextmanager
def interrupted_after(*delays_s: float) -> Generator[None]:
    """Ctrl-C at these moments after the program began to listen for it, and never when nobody listens."""
    ordinary = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        give_up_at = time.monotonic() + 60
        while signal.getsignal(signal.SIGINT) is ordinary and time.monotonic() < give_up_at:
            time.sleep(0.01)
        for delay_s in delays_s:
            time.sleep(delay_s)
            if signal.getsignal(signal.SIGINT) is not ordinary:
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        thread.join()


LONG = {
    "<think>\n": "".join(f"step {n}, " for n in range(2000)),
    "</think>\n\n": "".join(f"It is {n}. " for n in range(400)),
}


def test_one_interrupt_means_answer_now(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays({**LONG, "</think>\n\n": "It is 4."}, token_delay_s=0.005)
    with interrupted_after(0.8):
        assert main(["ask", "q", "--json", "--budget", "4000"]) == 0
    record = one_object(capsys.readouterr().out)
    assert (record["closed_by"], record["answer"]) == ("user", "It is 4.")
    assert 0 < record["usage"]["thinking_tokens"] < 400


def test_two_interrupts_stop_with_what_there_is(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays(LONG, token_delay_s=0.005)
    with interrupted_after(0.8, 0.5):
        assert main(["ask", "q", "--json", "--budget", "4000"]) == 130
    record = one_object(capsys.readouterr().out)
    assert record["answer"].startswith("It is 0.")
    assert record["usage"]["answer_tokens"] < 400


def test_three_interrupts_stop_an_engine_that_hangs(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays(PLAY, first_token_s=60)
    with interrupted_after(0.8, 0.1, 0.1):
        assert main(["ask", "q", "--json"]) == 130
    out = capsys.readouterr().out
    assert out.count("\n") == 1


@pytest.mark.usefixtures("home")
def test_an_interrupt_while_loading_is_exit_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object, **__: object) -> Model:
        raise KeyboardInterrupt

    monkeypatch.setattr("bethink.model.load", load)
    assert main(["ask", "q"]) == 130
    assert main(["ask", "q", "--json"]) == 130
    assert one_object(capsys.readouterr().out)["error"]["code"] == "interrupted"


def test_a_question_without_quotes_is_told_to_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "What", "is", "17"]) == 2
    assert (
        capsys.readouterr().err
        == 'error: the question came as several words\nhint: put it in quotes: bethink ask "What …"\n'
    )


def test_a_mistyped_option_is_an_object_with_the_nearest_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--json", "--modle", "x", "What is 17?"]) == 2
    assert "did you mean --model?" in one_object(capsys.readouterr().out)["error"]["hint"]
