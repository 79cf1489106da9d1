"""`bethink calibrate`: measure a model on this machine, and let its efforts and probabilities follow from that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from bethink.cli.main import EXIT_INTERRUPTED
from bethink.cli.model_names import ModelName, offer_engines, open_store
from bethink.cli.options import Options
from bethink.cli.parameters import SEED
from bethink.cli.terminal import Terminal, open_terminal
from bethink.errors import EngineClosed, StoreError, UsageError

if TYPE_CHECKING:
    from bethink.evals.answers import AnswerTask
    from bethink.evals.calibrate import Findings
    from bethink.model import Model


@click.command(short_help="Let efforts and probabilities follow from a measurement.")
@click.option("-m", "--model", type=ModelName(), metavar="NAME", help="A model's name, reference or path.")
@click.option(
    "--minutes", type=click.FloatRange(0, 7 * 1440, min_open=True), default=20, show_default=True, help="Time to take."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your own questions and answers: a file, or hf:org/repo:file.jsonl.",
)
@click.option(
    "--paths",
    type=click.IntRange(2, 256),
    metavar="N",
    help="Paths sampled a question.  [default: 16, 8 or 4, as time allows]",
)
@click.option("--seed", type=SEED, default=0, show_default=True, metavar="N", help="Which of the mixed questions.")
@click.option("--force", is_flag=True, help="Begin afresh instead of going on from the samples that are there.")
@click.option("--show", "shows", is_flag=True, help="Show what is calibrated, and measure nothing.")
@click.option("--reset", "resets", is_flag=True, help="Forget the calibration and its samples.")
@click.option("--engine", metavar="NAME", shell_complete=offer_engines, help="openvino or llamacpp.")
@click.option("--precision", metavar="NAME", help="The precision of the prepared weights.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object (with --show a list).")
@click.option("--no-color", is_flag=True, help="No colours.")
def calibrate(**values: Any) -> int:
    """Measure a model on this machine, and let efforts and probabilities follow from that.

    It asks questions whose answers are known, each many times, and replays every setting over the answers. Then each
    effort spends what pays, "6 of 8 agree" becomes a probability, and `ask` and `chat` use both.

    \b
      bethink calibrate                             20 minutes, the default model, mixed questions
      bethink calibrate --data questions.jsonl      your own: {"question": "…", "answer": "…"} a line
      bethink calibrate --show

    Ctrl-C keeps what is measured. The same command goes on, and more questions make it better.
    """
    if values["shows"] and values["resets"]:
        raise UsageError("--show and --reset are two things", "give one of them")
    terminal = open_terminal(no_color=values["no_color"])
    if values["shows"] or values["resets"]:
        return _look(values, terminal)
    return _measure(values, terminal)


def _measure(values: dict[str, Any], terminal: Terminal) -> int:
    from bethink.cli.datasets import fetching
    from bethink.cli.loading import load_model
    from bethink.evals.mixture import open_questions
    from bethink.evals.stats import need_scipy

    need_scipy()
    task = open_questions(values["data"], values["seed"], fetching(terminal))
    options = Options(model=values["model"], engine=values["engine"], precision=values["precision"])
    with load_model(options, terminal) as model:
        folder = model.calibrated
        if folder is None:
            raise UsageError("there is no place to keep a calibration", "load the model from the store")
        if values["force"]:
            _forget_samples(folder)  # the calibration stays until a new one takes its place
        is_stopped = _sample(task, model, folder, values, terminal)
        findings = _findings(folder, task, model, terminal, is_stopped=is_stopped)
        if findings is None:
            raise KeyboardInterrupt
    _show(findings, folder, terminal, is_json=values["is_json"])
    return EXIT_INTERRUPTED if is_stopped else 0


def _sample(task: AnswerTask, model: Model, folder: Path, values: dict[str, Any], terminal: Terminal) -> bool:
    """Ask for as long as there is time. Returns whether the user ended it."""
    from bethink.cli.calibrate_progress import CalibrateProgress
    from bethink.evals.calibrate import SAMPLES
    from bethink.evals.surveying import Survey

    for note in task.notes:
        terminal.err.print(Text(f"note: {note}"))
    seconds = 60 * values["minutes"]
    progress = CalibrateProgress(terminal, seconds)
    try:
        Survey(task, model, folder / SAMPLES, seconds, values["paths"]).run(progress.start, progress.line)
    except KeyboardInterrupt:
        return True
    except EngineClosed as error:
        raise EngineClosed(str(error), "what is measured is kept; the same command goes on") from error
    finally:
        progress.stop()
    return False


def _findings(folder: Path, task: AnswerTask, model: Model, terminal: Terminal, *, is_stopped: bool) -> Findings | None:
    """What the samples say, kept beside the model. None: the user ended it too early."""
    from bethink.evals.calibrate import calibrate as choose
    from bethink.evals.calibration_page import calibration_page
    from bethink.evals.results import REPORT, write_whole
    from bethink.thinking.calibration import keep

    try:
        findings = choose(folder, task, model)
    except UsageError as error:
        if not is_stopped:
            raise
        terminal.err.print(Text(f"stopped; what is measured is kept, but {error}. {error.hint.capitalize()}."))
        return None
    keep(findings.calibration, folder)
    write_whole(folder / REPORT, calibration_page(findings))
    if is_stopped:
        terminal.err.print(Text("stopped; what is measured is kept and used, and the same command goes on"))
    return findings


def _look(values: dict[str, Any], terminal: Terminal) -> int:
    """Show what is calibrated, of every model or of one; or forget it, in every form or in the one that is named."""
    store = open_store()
    if values["resets"] and values["model"] is None:
        raise UsageError("nothing says which model's calibration to forget", "--reset --model NAME")
    models = store.list() if values["model"] is None else (store.get(values["model"]),)
    wanted = {word for word in (values["engine"], values["precision"]) if word}
    hashes = dict.fromkeys(model.sha256 for model in models)
    folders = [f for sha256 in hashes for f in store.calibration_dirs(sha256) if wanted <= set(f.name.split("-"))]
    if values["shows"]:
        return _show_kept(values["model"], folders, terminal, is_json=values["is_json"])
    for folder in folders:
        _forget(folder)
    told = "has its shipped efforts again" if folders else "was not calibrated"
    terminal.out.print(Text(f"{models[0].name} {told}"))
    return 0


def _show_kept(name: str | None, folders: Sequence[Path], terminal: Terminal, *, is_json: bool) -> int:
    from bethink.cli.calibrate_view import show_calibration
    from bethink.thinking.calibration import here, read

    kept = [(folder, found) for folder in folders if (found := read(folder)) is not None]
    if is_json:
        click.echo(json.dumps([{**asdict(found), "folder": str(folder)} for folder, found in kept], indent=1))
        return 0
    if not kept:
        command = f"bethink calibrate --model {name}" if name else "bethink calibrate"
        terminal.out.print(
            Text(f"{name or 'no model'} is {'not ' if name else ''}calibrated: {command}"), soft_wrap=True
        )
    for folder, found in kept:
        show_calibration(terminal, found, folder, is_of_here=found.machine == here())
    return 0


def _show(findings: Findings, folder: Path, terminal: Terminal, *, is_json: bool) -> None:
    if is_json:
        click.echo(json.dumps({**asdict(findings.calibration), "folder": str(folder)}, indent=1))
        return
    from bethink.cli.calibrate_view import show_calibration

    show_calibration(terminal, findings.calibration, folder)


def _forget_samples(folder: Path) -> None:
    """Raises: StoreError, UsageError: another process measures there."""
    from bethink.evals.results import empty

    with _taken(folder) as samples:
        empty(samples)


def _forget(folder: Path) -> None:
    """Raises: StoreError, UsageError: another process measures there."""
    from bethink.evals.results import empty

    with _taken(folder) as samples:
        for file in folder.iterdir():
            if file != samples:
                file.unlink()
        empty(samples)
        with suppress(OSError):  # not everywhere may a lock's file be removed while it is held
            shutil.rmtree(folder)


@contextmanager
def _taken(folder: Path) -> Generator[Path, None, None]:
    """The samples of that calibration, which nobody else may take until all of it is done."""
    from bethink.evals.calibrate import SAMPLES
    from bethink.evals.results import held

    try:
        with held(folder / SAMPLES):
            yield folder / SAMPLES
    except OSError as error:
        raise StoreError(f"{folder} cannot be emptied: {error.strerror}", "check the rights") from error
