"""Loading a model at the command line: what is being done (fetched, prepared, loaded) is said on stderr."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rich.live import Live
from rich.text import Text

from bethink.cli.interrupt import unseen_keys
from bethink.cli.options import Options
from bethink.cli.terminal import Terminal, one_row
from bethink.engine.openvino.process import dismiss, stand_by
from bethink.picture.evidence import seconds
from bethink.store.progress import PullProgress

if TYPE_CHECKING:
    from bethink.model import Model

QUIET_S = 0.3
"""A load that is over sooner shows nothing."""


def load_model(options: Options, terminal: Terminal) -> Model:
    """The model the user named, or this machine's default; fetched and prepared first where that was not done yet.

    Its `load_s` counts what had to be imported for it as well.

    Raises: StoreError, EngineError; UsageError and SandboxMissing, before anything is loaded.
    """
    since_s = time.monotonic()
    if options.engine != "llamacpp":
        stand_by()
    try:
        return _loaded(options, terminal, since_s)
    finally:
        dismiss()


def _loaded(options: Options, terminal: Terminal, since_s: float) -> Model:
    if options.check != "auto" or options.tests is not None or options.programs:
        from bethink.thinking.checks import refuse_early

        refuse_early(options.request(()))
    with unseen_keys(), Loading(terminal, f"loading {options.model or 'the default model'}") as loading:
        from bethink.model import load  # imports the store and an engine: only when something is really asked

        imports_s = time.monotonic() - since_s
        model = load(options.model, engine=options.engine, precision=options.precision, on_progress=loading.update)
        model.load_s += imports_s
        return model


@dataclass(slots=True)
class Loading:
    """One line on a terminal's stderr while the work runs; sentences that are worth keeping stay there."""

    terminal: Terminal
    what: str
    _since: float = field(default_factory=time.monotonic)
    _live: Live | None = None

    def __enter__(self) -> Loading:
        err = self.terminal.err
        if err.is_terminal and not err.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._line,
                console=err,
                transient=True,
                refresh_per_second=10,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, progress: object) -> None:
        """Takes what the store and the engines report; from any thread."""
        sentence = progress.message if isinstance(progress, PullProgress) else ""
        if sentence:
            self.terminal.err.print(Text(one_row(sentence)))
        self.what = described(progress)

    def _line(self) -> Text:
        elapsed_s = time.monotonic() - self._since
        if elapsed_s < QUIET_S:
            return Text("")
        spinner = self.terminal.glyphs.spinner
        turning = spinner[int(elapsed_s * 10) % len(spinner)]
        line = f"{turning} {one_row(self.what)} {self.terminal.glyphs.dot} {elapsed_s:.0f} s"
        return Text(line, style="cyan", no_wrap=True, overflow="crop")


@runtime_checkable
class Staged(Protocol):
    """What engines report while they prepare a model (`bethink.engine.openvino.prepare.Preparing`)."""

    @property
    def name(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def fraction(self) -> float | None: ...


PREPARING = {
    "waiting": "waiting for another process that prepares",
    "reading": "preparing (once): reading",
    "weights": "preparing (once): compressing the weights of",
    "calibrating": "preparing (once): reading the calibration text with",
    "writing": "preparing (once): writing",
    "tokenizer": "preparing (once): the tokenizer of",
    "tuning": "measuring once what is fastest here for",
}


def described(progress: object) -> str:
    """A report in one line."""
    if isinstance(progress, PullProgress):
        return _pulling(progress)
    if isinstance(progress, Staged):
        share = "" if progress.fraction is None else f", {progress.fraction:.0%}"
        return f"{PREPARING.get(progress.stage, progress.stage)} {progress.name}{share}"
    return str(progress)


def _pulling(progress: PullProgress) -> str:
    parts = [f"{progress.stage} {progress.name}"]
    if progress.total_bytes:
        parts.append(f"{progress.done_bytes / progress.total_bytes:.0%} of {progress.total_bytes / 1e6:,.0f} MB")
    if progress.rate_bytes_s:
        parts.append(f"{progress.rate_bytes_s / 1e6:.1f} MB/s")
    if progress.left_s is not None:
        parts.append(f"{seconds(progress.left_s)} left")
    return ", ".join(parts)
