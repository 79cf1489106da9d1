"""`bethink eval`: how right a model is on this machine, in several ways to ask it, and what each costs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from bethink.cli.options import Options
from bethink.cli.parameters import AT_LEAST_ONE, COUNT, SEED
from bethink.cli.terminal import Terminal, one_row, open_terminal
from bethink.errors import EngineClosed

if TYPE_CHECKING:
    from bethink.evals.measure import Order
    from bethink.evals.summary import Summary
    from bethink.evals.task import Task

FOLDER = click.Path(path_type=Path)


class TaskGroup(click.Group):
    """A group whose first word may also be a task: what is none of its commands is measured."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_own = not args or args[0] in self.commands or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if is_own else ["run", *args])

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "TASK [OPTIONS]")
        for name in (n for n in self.commands if n != "run"):
            formatter.write_usage(f"{ctx.command_path} {name}", "[OPTIONS] …", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands["run"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group("eval", cls=TaskGroup, short_help="Measure how right a model is, and what it costs.")
def evaluate() -> None:
    """Measure how right a model is, and what it costs.

    TASK is a task's name (`bethink eval list`; its questions are fetched once), or a file of questions with their
    answers. Each question is asked in every arm; the folder then holds every answer, a summary and a report.

    \b
      bethink eval questions.jsonl --out DIR
      bethink eval gsm8k --arms "plain, effort=low, vote:16, budget:256" --n 200 --seed 7
      bethink eval reasoning_gym:chain_sum --n 50

    Arms, joined by commas: plain (the engine alone), plain@0.7 (at a temperature), effort=high, budget:256, vote:16,
    vote:16+programs:4 (four of them write programs), fixed:16 (all paths to their end, for `simulate`), within:20s;
    settings of one arm are joined by +.
    Ctrl-C keeps what is done; the same command goes on.
    """


@evaluate.command("run", hidden=True)
@click.argument("task")
@click.option("-m", "--model", metavar="NAME", help="A model's name, reference or path.")
@click.option("--arms", metavar="ARMS", help='The ways to ask, for example "plain, effort=low, vote:16".')
@click.option("--n", type=AT_LEAST_ONE, metavar="N", help="So many questions (a file: all; a generator: 100).")
@click.option("--first", type=COUNT, default=0, show_default=True, metavar="N", help="Leave out the first N questions.")
@click.option("--seed", type=SEED, default=0, show_default=True, metavar="N", help="Makes a run repeatable.")
@click.option("--seeds", type=click.IntRange(1, 1000), default=1, show_default=True, metavar="N", help="Ask N times.")
@click.option("--out", type=FOLDER, metavar="DIR", help="Where results go; going on where a run was ended.")
@click.option("--data", type=FOLDER, metavar="FILE", help="The task's questions: a file, or hf:org/repo:file.jsonl.")
@click.option("--max-tokens", type=AT_LEAST_ONE, metavar="N", help="Tokens a path may take, thought and answer.")
@click.option("--parallel", type=click.IntRange(1, 1024), metavar="N", help="Paths at once.  [default: 32]")
@click.option("--traces", is_flag=True, help="Keep the trace of every answer too; plain arms have none.")
@click.option("--unsafe-local", is_flag=True, help="Run programs without a sandbox where there is none.")
@click.option("--export", type=click.Choice(["lm-eval"]), help="Also write results in that format.")
@click.option("--engine", metavar="NAME", help="openvino or llamacpp.")
@click.option("--precision", metavar="NAME", help="The precision of the prepared weights.")
@click.option("--json", "is_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option("--no-color", is_flag=True, help="No colours.")
def run(task: str, **values: Any) -> int:
    """Measure one task.

    \b
    Examples:
      bethink eval gsm8k --n 200 --seed 7
    """
    from bethink.cli.datasets import fetching
    from bethink.evals.arms import DEFAULT_ARMS, parse_arms
    from bethink.evals.measure import Order
    from bethink.evals.registry import open_task
    from bethink.evals.runner import PARALLEL
    from bethink.evals.stats import need_scipy
    from bethink.model import default_model

    need_scipy()
    terminal = open_terminal(no_color=values["no_color"])
    model = values["model"] or default_model()
    order = Order(
        arms=parse_arms(values["arms"] or DEFAULT_ARMS),
        n=values["n"],
        first=values["first"],
        seed=values["seed"],
        n_seeds=values["seeds"],
        max_tokens=values["max_tokens"],
        parallel=values["parallel"] or PARALLEL,
        keeps_traces=values["traces"],
    )
    opened = open_task(
        task,
        data=values["data"],
        seed=values["seed"],
        unsafe_local=values["unsafe_local"],
        fetch=fetching(terminal),
    )
    try:
        return _run(opened, order, task, model, values, terminal)
    finally:
        opened.close()


def _run(opened: Task, order: Order, task: str, model: str, values: dict[str, Any], terminal: Terminal) -> int:
    from bethink.evals.measure import default_folder

    order.refuse_what_cannot_vote(opened)
    n = len(order.indices(opened))
    out: Path = values["out"] or default_folder(opened.name, model, n, order.seed)
    command = _command(task, model, out, values)
    for note in (*opened.notes, *([f"there are {n} questions from there on"] if (order.n or n) > n else ())):
        terminal.err.print(Text(f"note: {one_row(note)}"))
    options = Options(model=model, engine=values["engine"], precision=values["precision"])
    return _measure(opened, order, options, out, command, terminal, is_json=values["is_json"], export=values["export"])


def _command(task: str, model: str, out: Path, values: dict[str, Any]) -> str:
    """The command line that repeats this run, with what was left to bethink written out."""
    words = ["bethink", "eval", task, "--model", model]
    for name in ("arms", "n", "first", "seed", "seeds", "data", "max_tokens", "parallel", "engine", "precision"):
        if values[name] not in (None, 0) and not (name == "seeds" and values[name] == 1):
            words += [f"--{name.replace('_', '-')}", str(values[name])]
    words += [f"--{name.replace('_', '-')}" for name in ("traces", "unsafe_local") if values[name]]
    words += ["--export", str(values["export"])] if values["export"] else []
    return shlex.join([*words, "--out", str(out)])


def _measure(
    task: Task,
    order: Order,
    options: Options,
    out: Path,
    command: str,
    terminal: Terminal,
    *,
    is_json: bool,
    export: str | None,
) -> int:
    from dataclasses import replace

    from bethink.cli.eval_progress import EvalProgress
    from bethink.cli.loading import load_model
    from bethink.evals.measure import measure, write_report

    progress = EvalProgress(terminal, [arm.name for arm in order.arms])
    try:
        with load_model(options, terminal) as model:
            try:
                summary = measure(
                    task, replace(order, command=command), model, out, on_start=progress.start, on_line=progress.line
                )
            finally:
                progress.stop()
    except KeyboardInterrupt:
        terminal.err.print(Text(f"what is done is kept in {out}; go on with\n  {command}"), soft_wrap=True)
        raise
    except EngineClosed as error:
        raise EngineClosed(str(error), f"what is done is kept; go on with: {command}") from error
    if export or order.keeps_traces:
        _write_trace_pages(out)
        summary = write_report(out, export=export)
    _show(summary, out, terminal, is_json=is_json)
    return 0


def _write_trace_pages(out: Path) -> None:
    """A page beside every trace in the folder, for the report to link to."""
    from bethink.evals.measure import TRACES
    from bethink.evals.results import write_whole
    from bethink.picture.page import page
    from bethink.trace import Trace, trace_files

    for file in trace_files(out / TRACES):
        if not (beside := file.with_suffix(".html")).exists():
            write_whole(beside, page(Trace.load(file)))


def _show(summary: Summary, out: Path, terminal: Terminal, *, is_json: bool) -> None:
    if is_json:
        click.echo(json.dumps(summary.record(), ensure_ascii=True, indent=1))
        return
    from bethink.cli.eval_view import show_summary
    from bethink.evals.results import REPORT

    show_summary(terminal, summary)
    terminal.out.print(Text(f"report: {out / REPORT}"), soft_wrap=True)


@evaluate.command("list", short_help="List the tasks and where their questions are.")
@click.option("--json", "is_json", is_flag=True, help="Print a JSON list.")
@click.option("--no-color", is_flag=True, help="No colours.")
def list_tasks(is_json: bool, no_color: bool) -> None:
    """List the tasks, whether their questions are on this machine, and where they come from.

    \b
    Examples:
      bethink eval list
      bethink eval list --json | jq -r '.[] | select(.here).name'
    """
    from rich import box
    from rich.table import Table

    from bethink.cli.datasets import questions_here
    from bethink.evals.registry import shown

    rows = [(*row, questions_here(row[0])) for row in shown()]
    if is_json:
        names = ("name", "what", "questions", "here")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=1))
        return
    terminal = open_terminal(no_color=no_color)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for title in ("task", "what", "here", "where its questions come from"):
        table.add_column(title)
    for name, what, source, is_here in rows:
        here = {True: "yes", False: "no", None: ""}[is_here]
        table.add_row(Text(name, style="cyan"), what, here, Text(source, style="dim"))
    terminal.out.print(table)


@evaluate.command("report", short_help="Write summary and page again.")
@click.argument("folder", type=FOLDER)
@click.option("--export", type=click.Choice(["lm-eval"]), help="Also write results in that format.")
@click.option("--json", "is_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option("--no-color", is_flag=True, help="No colours.")
def report(folder: Path, export: str | None, is_json: bool, no_color: bool) -> None:
    """Write summary and report again from the results in FOLDER, also of a run that was ended.

    \b
    Examples:
      bethink eval report my-eval
      bethink eval report my-eval --export lm-eval
    """
    from bethink.evals.measure import write_report

    _write_trace_pages(folder)
    _show(write_report(folder, export=export), folder, open_terminal(no_color=no_color), is_json=is_json)


@evaluate.command("compare", short_help="Compare two measurements, question by question.")
@click.argument("a", type=FOLDER)
@click.argument("b", type=FOLDER)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-color", is_flag=True, help="No colours.")
def compare(a: Path, b: Path, is_json: bool, no_color: bool) -> None:
    """Compare the measurements in the folders A and B, paired by question.

    \b
    Examples:
      bethink eval compare before after
      bethink eval compare before after --json
    """
    from dataclasses import asdict

    from bethink.cli.eval_view import show_side_by_side
    from bethink.evals.comparing import compare_folders

    found = compare_folders(a, b)
    if is_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    show_side_by_side(open_terminal(no_color=no_color), found)


@evaluate.command("simulate", short_help="Replay rules of stopping and voting.")
@click.argument("results", type=FOLDER)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-color", is_flag=True, help="No colours.")
def simulate(results: Path, is_json: bool, no_color: bool) -> None:
    """Replay every rule of stopping and voting over the paths kept in RESULTS (a folder or a file), with controls.

    \b
    Examples:
      bethink eval gsm8k --arms "plain, fixed:16" --n 200 --out samples
      bethink eval simulate samples
    """
    from dataclasses import asdict

    from bethink.cli.eval_view import show_replayed
    from bethink.evals.simulate import read_kept, replay_all

    kept = read_kept(results)
    replayed = [replay_all(items, arm, kept.singles) for arm, items in kept.items.items()]
    if is_json:
        click.echo(json.dumps([asdict(r) for r in replayed], indent=1))
        return
    terminal = open_terminal(no_color=no_color)
    for found in replayed:
        show_replayed(terminal, found)
