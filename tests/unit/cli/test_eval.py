from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bethink.cli.main import main
from bethink.engine.scripted import Context, Line
from tests.unit.store.peer import Peer, start

if TYPE_CHECKING:
    from bethink.model import Model

Plays = Callable[..., "list[Model]"]


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(f'{{"question": "{n} + 1?", "answer": "5"}}\n' for n in range(4)), encoding="utf-8")
    return path


def five(context: Context) -> Line:
    del context
    return Line("<think>\nIt is five.\n</think>\n\nThe answer is 5.")


def test_a_file_is_measured_into_a_folder(plays: Plays, questions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plays(five)
    assert main(["eval", "questions.jsonl", "--out", "run", "--arms", "plain, vote:4", "--max-tokens", "400"]) == 0
    shown = capsys.readouterr()
    assert "100.0 %" in shown.out
    assert "report: run/report.html" in shown.out
    assert "8/8 answers" in shown.err
    assert sorted(p.name for p in (questions.parent / "run").iterdir() if p.name != ".lock") == [
        "report.html", "results.jsonl", "run.json", "summary.json",
    ]  # fmt: skip


def test_json_prints_the_summary_alone(plays: Plays, questions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plays(five)
    assert main(["eval", "--json", "--model", "m", "--arms", "plain", "--n", "3", "--first", "1", str(questions)]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["arms"]["plain"]["n"] == 3
    command = summary["settings"]["command"]
    assert command.startswith("bethink eval")
    assert "--n 3 --first 1" in command
    assert (questions.parent / "eval-questions-m-3q-seed0" / "report.html").is_file()


@pytest.mark.usefixtures("questions")
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    n_asked = 0

    def interrupted(context: Context) -> Line:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 3:
            signal.raise_signal(signal.SIGINT)
        return five(context)

    plays(interrupted)
    command = ["eval", "questions.jsonl", "--out", "run", "--arms", "plain", "--parallel", "1"]
    assert main(command) == 130
    shown = capsys.readouterr()
    assert "what is done is kept in run; go on with\n  bethink eval questions.jsonl" in shown.err
    assert "--out run" in shown.err
    assert main(command) == 0
    assert "going on: " in capsys.readouterr().err
    assert main(["eval", "report", "run", "--export", "lm-eval"]) == 0
    assert Path("run/lm-eval.json").is_file()


@pytest.mark.usefixtures("questions")
def test_measurements_are_compared_and_replayed(plays: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays(five)
    assert main(["eval", "questions.jsonl", "--out", "run", "--arms", "plain, fixed:4", "--max-tokens", "400"]) == 0
    capsys.readouterr()
    assert main(["eval", "compare", "run", "run"]) == 0
    assert "B plain against A plain" in capsys.readouterr().out
    assert main(["eval", "simulate", "run", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["n"], found["n_paths"], found["any_right"]) == (4, 4, 1.0)
    assert main(["eval", "simulate", "run"]) == 0
    assert "adaptive 0.95" in capsys.readouterr().out


@pytest.mark.usefixtures("questions")
def test_the_report_leads_to_the_trace_of_every_answer(plays: Plays) -> None:
    plays(five)
    command = ["eval", "questions.jsonl", "--out", "run", "--arms", "vote:2, fixed:2", "--max-tokens", "400"]
    assert main([*command, "--traces"]) == 0
    page = Path("run/report.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(traces/[^"]+)"', page)
    assert len(links) == len(set(links)) == 4 + 4 * 2
    assert all("Every token" in Path("run", link).read_text(encoding="utf-8") for link in links)


def test_the_list_needs_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "list", "--json"]) == 0
    assert "gsm8k" in [row["name"] for row in json.loads(capsys.readouterr().out)]


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    """A hub on this machine that the command line asks."""
    peer = Peer()
    stop = start(peer)
    monkeypatch.setenv("HF_ENDPOINT", peer.url)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"{peer.url}/ms")
    yield peer
    stop()


@pytest.mark.usefixtures("home")
def test_where_no_hub_answers_a_task_says_in_seconds_what_to_do(
    plays: Plays, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = plays(five)
    for name in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    began = time.monotonic()
    assert main(["eval", "aime"]) == 3
    assert time.monotonic() - began < 10
    said = " ".join(capsys.readouterr().err.split())
    assert "the questions of aime could not be fetched: Hugging Face" in said
    assert "ModelScope" in said
    assert "pass --data FILE" in said
    assert loaded == []


@pytest.mark.usefixtures("questions")
def test_questions_are_fetched_once_and_listed_as_here(
    plays: Plays, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    plays(five)
    rows = b'{"problem": "What is 2 + 3?", "answer": "5"}\n{"problem": "What is 1 + 1?", "answer": "2"}\n'
    peer.repos["org/sums"] = {"sub/test.jsonl": rows}
    reference = "hf:org/sums:sub/test.jsonl"
    assert main(["eval", "aime", "--data", reference, "--arms", "plain", "--out", "run"]) == 0
    assert "are here; their sha256" in " ".join(capsys.readouterr().err.split())
    settings = json.loads(Path("run/run.json").read_text(encoding="utf-8"))
    assert settings["source"] == reference
    assert f"--data {reference}" in settings["command"]
    peer.asked.clear()
    assert main(["eval", "aime", "--data", reference, "--arms", "plain", "--out", "again"]) == 0
    assert peer.asked == []
    capsys.readouterr()
    assert main(["eval", "list", "--json"]) == 0
    here = {row["name"]: row["here"] for row in json.loads(capsys.readouterr().out)}
    assert (here["aime"], here["FILE.jsonl"]) == (False, None), "another file than the catalogue's was fetched"


@pytest.mark.usefixtures("questions")
def test_a_reference_is_a_task(plays: Plays, peer: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    plays(five)
    peer.repos["org/sums"] = {"mine.jsonl": b'{"question": "What is 2 + 3?", "answer": "5"}\n'}
    assert main(["eval", "ms:org/sums:mine.jsonl", "--arms", "plain", "--out", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["eval", "ms:org/sums:mine.jsonl", "--data", "x"]) == 2


@pytest.mark.usefixtures("questions")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gsm9k"], "did you mean gsm8k"),
        (["none.jsonl"], "there is no file none.jsonl"),
        (["questions.jsonl", "--arms", "plan"], "did you mean plain"),
        (["questions.jsonl", "--n", "0"], "--n"),
        (["questions.jsonl", "--first", "4"], "none from number 4 on"),
        (["questions.jsonl", "--data", "x"], "leave --data out"),
        (["report", "nowhere"], "there are no results"),
        (["simulate", "nowhere"], "cannot be read"),
    ],
)
def test_wrong_usage_is_said_before_a_model_is_loaded(
    plays: Plays, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = plays(five)
    assert main(["eval", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert loaded == []


def test_the_command_that_repeats_a_run_keeps_every_choice(tmp_path: Path) -> None:
    from bethink.cli.eval import _command  # pyright: ignore[reportPrivateUsage]  # what is printed needs a whole run to be seen

    unset = ("arms", "first", "seed", "seeds", "data", "max_tokens", "parallel", "engine", "precision")
    values: dict[str, Any] = dict.fromkeys(unset)
    values |= {"n": 5, "traces": True, "unsafe_local": True, "export": "lm-eval"}
    words = _command("humaneval", "m", tmp_path, values).split()
    assert {"--n", "--traces", "--unsafe-local", "--export", "lm-eval", "--out"} <= set(words)
