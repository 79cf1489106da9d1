"""`bethink calibrate` over the scripted engine: what is measured is kept, used by `ask`, shown, and forgotten."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bethink.cli.calibrate_progress import CalibrateProgress
from bethink.cli.main import main
from bethink.cli.terminal import Terminal
from bethink.engine.scripted import Context, Line, Script
from bethink.errors import EngineClosed, UsageError
from bethink.evals.results import Line as ResultLine
from bethink.evals.results import PathLine, ResultFolder, read_results
from bethink.evals.surveying import Shape
from bethink.store import Store
from bethink.thinking.calibration import find, read
from tests.unit.cli.conftest import console, scripted_model, written

if TYPE_CHECKING:
    from bethink.model import Model

SHA = "ab" * 32
COMMAND = ["calibrate", "--paths", "4", "--minutes", "1"]


def sums(context: Context) -> Line:
    """Right where the question's second number is even; elsewhere paths scatter by their seed."""
    question = context.text.rsplit("user\n", 1)[1].partition("<|im_end|>")[0]
    a, b = (int(word) for word in re.findall(r"\d+", question)[:2])
    answer = a + b if b % 2 == 0 or context.sampling.seed % 5 == 0 else context.sampling.seed % 97
    thought = "" if "<think>\n\n</think>" in context.text else f"<think>\n{a} and {b}.\n</think>\n\n"
    return Line(f"{thought}The answer is {answer}.")


@pytest.fixture(autouse=True)
def nothing_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "calibrations" / f"{SHA[:16]}-scripted-own"


@pytest.fixture
def questions(home: Path) -> Path:
    path = home / "questions.jsonl"
    rows = [json.dumps({"question": f"What is {n % 7} + {n}?", "answer": n % 7 + n}) for n in range(40)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def plays_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], None]:
    """Let the command line load a model that plays `script` and has its place in the store."""

    def play(script: Script) -> None:
        def load(*_: object, **__: object) -> Model:
            model = scripted_model(script)
            model.calibrated = folder
            model.calibration, model.notes = find(folder, SHA)
            return model

        monkeypatch.setattr("bethink.model.load", load)

    return play


Plays = Callable[[Script], None]


def calibrated(questions: Path, *more: str) -> int:
    return main([*COMMAND, "--data", str(questions), *more])


def interrupted_after(n_asked: int) -> Callable[[Context], Line]:
    asked: list[str] = []

    def play(context: Context) -> Line:
        asked.append(context.text)
        if len(asked) == n_asked:
            signal.raise_signal(signal.SIGINT)
        return sums(context)

    return play


def test_a_measurement_is_kept_and_used_by_ask(
    plays_here: Plays, questions: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plays_here(sums)
    assert calibrated(questions) == 0
    shown = capsys.readouterr()
    assert "40 questions" in shown.out
    assert "medium" in shown.out
    assert "40 questions" in shown.err
    kept = read(folder)
    assert kept is not None
    assert (kept.n_questions, kept.sha256, kept.form) == (40, SHA, "own")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "What each effort spends" in page
    assert "Can a probability be trusted" in page
    assert main(["ask", "--json", "--paths", "4", "What is 3 + 4?"]) == 0
    said = capsys.readouterr()
    verdict = json.loads(said.out)["verdict"]
    assert verdict["probability"] == pytest.approx(kept.belief.probability(4, 4))
    assert "calibrated on this machine" in said.err
    assert main(["ask", "--json", "--paths", "4", "--sure", "0.999", "What is 3 + 4?"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["passed"] is None


def test_without_a_calibration_ask_is_as_before(plays_here: Plays, capsys: pytest.CaptureFixture[str]) -> None:
    plays_here(sums)
    assert main(["ask", "--json", "--paths", "4", "What is 3 + 4?"]) == 0
    said = capsys.readouterr()
    verdict = json.loads(said.out)["verdict"]
    assert (verdict["passed"], verdict["probability"]) == (True, None)
    assert "calibrated" not in said.err
    assert main(["ask", "--sure", "0.9", "What is 3 + 4?"]) == 2
    assert "bethink calibrate" in capsys.readouterr().err


def test_a_broken_calibration_is_left_out_and_told(
    plays_here: Plays, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir(parents=True)
    (folder / "calibration.json").write_text("{", encoding="utf-8")
    plays_here(sums)
    assert main(["ask", "--json", "--paths", "4", "What is 3 + 4?"]) == 0
    said = capsys.readouterr()
    assert "the calibration is left out" in said.err
    assert json.loads(said.out)["verdict"]["passed"] is True


def test_ctrl_c_keeps_what_there_is_and_the_same_command_goes_on(
    plays_here: Plays, questions: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plays_here(interrupted_after(110))
    assert calibrated(questions) == 130
    stopped = capsys.readouterr()
    assert "what is measured is kept" in stopped.err
    assert read(folder) is None, "so few questions choose nothing"
    before = read_results(folder / "samples")
    assert 0 < len(before) < 80
    assert calibrated(questions) == 0
    assert "going on:" in capsys.readouterr().err
    after = read_results(folder / "samples")
    assert after[: len(before)] == before
    assert len({line.key for line in after}) == len(after) == 80
    assert calibrated(questions) == 0
    assert read_results(folder / "samples") == after, "there was nothing left to ask"


def test_other_questions_need_force(
    plays_here: Plays, questions: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plays_here(sums)
    assert calibrated(questions) == 0
    other = questions.with_name("other.jsonl")
    other.write_text(questions.read_text(encoding="utf-8").replace("What is", "How much is"), encoding="utf-8")
    assert calibrated(other) == 2
    assert "--force" in capsys.readouterr().err
    plays_here(interrupted_after(110))
    assert calibrated(other, "--force") == 130
    assert read(folder) is not None, "the old one stays until a new one takes its place"
    capsys.readouterr()
    plays_here(sums)
    assert main([*COMMAND, "--data", str(other), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["source"] == str(other)
    assert record["folder"] == str(folder)
    assert read_results(folder / "samples")[0].question.startswith("How much is")


def test_the_time_that_is_given_is_kept(
    plays_here: Plays, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del plays_here

    def load(*_: object, **__: object) -> Model:
        model = scripted_model(sums, token_delay_s=0.05)
        model.calibrated = folder
        return model

    monkeypatch.setattr("bethink.model.load", load)
    began = time.monotonic()
    assert main(["calibrate", "--minutes", "0.05", "--paths", "2"]) == 2
    assert time.monotonic() - began < 30
    assert "too few questions to choose by" in capsys.readouterr().err


def test_an_engine_that_dies_costs_nothing_that_was_measured(
    plays_here: Plays, questions: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    n_asked = 0

    def dying(context: Context) -> Line:
        nonlocal n_asked
        n_asked += 1
        if n_asked > 150:
            raise EngineClosed("the engine died")
        return sums(context)

    plays_here(dying)
    assert calibrated(questions) == 4
    assert "the same command goes on" in capsys.readouterr().err
    n_kept = len(read_results(folder / "samples"))
    assert 0 < n_kept < 80
    plays_here(sums)
    assert calibrated(questions) == 0
    assert read(folder) is not None


def test_progress_tells_how_right_the_model_is_and_how_long_it_takes(make_terminal: Callable[..., Terminal]) -> None:
    progress = CalibrateProgress(make_terminal(is_terminal=False, is_live=False), 60.0)
    right = PathLine("7", "", "7", True, 10, 5, "natural")
    wrong = replace(right, extracted="8", right=False)
    thinks, direct = (arm.name for arm in Shape(4, 512).arms)
    line = ResultLine("a", 0, thinks, 0, "q", "7", lenient=False, tokens=40, paths=(right, wrong, wrong, wrong))
    progress.start([])
    progress.line(line)
    progress.line(replace(line, arm=direct, lenient=True, paths=()))
    rights = "right without a thought 100 %, with one 100 %, by the vote 0 %"
    assert progress.rights() == rights
    assert re.fullmatch(rf"1 question, [\d,]+ tokens/s, \d\d\.\d s left, {rights}", progress.told())
    shown = console(is_terminal=False)
    shown.print(progress.render())
    assert written(shown).splitlines()[1] == rights


def test_a_question_counts_when_it_was_asked_in_both_ways(make_terminal: Callable[..., Terminal]) -> None:
    terminal = make_terminal(is_terminal=False, is_live=False)
    progress = CalibrateProgress(terminal, 60.0)
    thinks, direct = (arm.name for arm in Shape(4, 512).arms)
    line = ResultLine("a", 0, thinks, 0, "q", "7")
    progress.start([line, replace(line, id="b"), replace(line, id="b", arm=direct), replace(line, id="c", arm=direct)])
    assert "going on: 1 question is there already" in written(terminal.err)
    assert progress.head(is_over=True) == "1 question"
    progress.line(replace(line, id="c"))
    assert progress.head(is_over=True) == "2 questions"


def test_force_holds_the_lock_until_the_last_sample_is_gone(
    plays_here: Plays, questions: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another calibration that began in between would lose what it samples."""
    plays_here(sums)
    assert calibrated(questions) == 0
    attempts: list[str] = []
    removes = Path.unlink

    def tries_to_begin(path: Path, missing_ok: bool = False) -> None:
        if path.parent == folder / "samples":
            with pytest.raises(UsageError, match="another process measures"):
                ResultFolder.open(folder / "samples", {})
            attempts.append(path.name)
        removes(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", tries_to_begin)
    assert calibrated(questions, "--force") == 0
    assert {"results.jsonl", "run.json"} <= set(attempts)
    assert len(read_results(folder / "samples")) == 80


def test_figures_of_the_questions_that_chose_are_said_to_be_in_sample(
    plays_here: Plays, questions: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plays_here(sums)
    assert calibrated(questions) == 0
    shown = capsys.readouterr().out
    assert "in-sample: these figures are of the same questions that chose the settings" in shown
    assert "right*" in shown
    assert "in-sample" in (folder / "report.html").read_text(encoding="utf-8")
    rows = [json.dumps({"question": f"What is {n % 7} + {n}?", "answer": n % 7 + n}) for n in range(60)]
    questions.write_text("\n".join(rows), encoding="utf-8")
    assert calibrated(questions, "--force") == 0
    shown = capsys.readouterr().out
    assert "these figures are of questions that had no part in choosing" in shown
    assert "right*" not in shown
    kept = read(folder)
    assert kept is not None
    assert not kept.is_in_sample


def test_samples_that_another_process_takes_are_not_removed(
    plays_here: Plays, questions: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plays_here(sums)
    with ResultFolder.open(folder / "samples", {}):
        assert calibrated(questions, "--force") == 2
    assert "another process measures" in capsys.readouterr().err
    assert (folder / "samples").is_dir()


def test_a_few_questions_of_ones_own_are_refused_before_a_model_is_loaded(
    questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = questions.with_name("few.jsonl")
    few.write_text("\n".join(questions.read_text(encoding="utf-8").splitlines()[:29]), encoding="utf-8")
    assert calibrated(few) == 2
    assert "has 29 questions; 30 are needed" in capsys.readouterr().err


def test_ctrl_c_before_anything_was_measured_says_so(
    plays_here: Plays, questions: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def at_once(context: Context) -> Line:
        signal.raise_signal(signal.SIGINT)
        return sums(context)

    plays_here(at_once)
    assert calibrated(questions) == 130
    assert "too few questions to choose by: 0 of the 30" in capsys.readouterr().err
    assert read(folder) is None


@pytest.mark.usefixtures("home")
def test_where_nothing_is_calibrated_show_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--show"]) == 0
    assert "no model is calibrated: bethink calibrate" in capsys.readouterr().out
    assert main(["calibrate", "--show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_is_calibrated_is_shown_and_forgotten(
    plays_here: Plays,
    questions: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plays_here(sums)
    assert calibrated(questions) == 0
    local = SimpleNamespace(name="scripted:1b", sha256=SHA)

    def get(*_: object) -> SimpleNamespace:
        return local

    def every(*_: object) -> tuple[SimpleNamespace, ...]:
        return (local,)

    monkeypatch.setattr(Store, "get", get)
    monkeypatch.setattr(Store, "list", every)
    capsys.readouterr()
    assert main(["calibrate", "--show"]) == 0
    assert "scripted:1b (scripted, own) on this machine" in capsys.readouterr().out
    assert main(["calibrate", "--show", "--precision", "int8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["calibrate", "--reset", "--model", "scripted:1b", "--precision", "int8"]) == 0
    assert folder.exists()
    assert main(["calibrate", "--reset", "--model", "scripted:1b"]) == 0
    assert not folder.exists()
    assert "shipped efforts again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--reset"], "which model"),
        (["--minutes", "0"], "--minutes"),
        (["--show", "--reset"], "two things"),
        (["--data", "none.jsonl"], "there is no file"),
        (["--paths", "1"], "--paths"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_questions_with_tests_cannot_be_calibrated_with(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "tests.jsonl"
    path.write_text('{"question": "q", "tests": "assert f() == 1"}\n', encoding="utf-8")
    code = main(["calibrate", "--data", str(path)])
    assert code in (2, 5), "there may be no sandbox here"
    said: Any = capsys.readouterr().err
    assert "questions with tests" in said or code == 5
