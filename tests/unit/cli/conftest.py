"""A whole model over the scripted engine, and the command line over that model."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from bethink.cli.markdown import THEME
from bethink.cli.terminal import ASCII, UNICODE, Terminal
from bethink.engine.scripted import END, Script, ScriptedEngine, scripted_tokenizer
from bethink.profiles import load_profiles
from bethink.prompt import Template, Tokenizer
from bethink.trace import Origin, Trace, TracedPath, TracedToken
from bethink.types import Decided, ModelRef, Phase
from tests.unit.scripted_models import CHATML

if TYPE_CHECKING:
    from bethink.model import Model


def scripted_model(
    script: Script, traces: Path | None = None, profile: str = "qwen3", *, load_s: float = 0.0, **settings: float
) -> Model:
    """A `bethink.model.Model` that says what is written, and that took `load_s` to load."""
    from bethink.model import Model

    engine = ScriptedEngine(script, **settings)  # pyright: ignore[reportArgumentType]  # floats only
    end = cast("int", engine.tokenizer.token_to_id(END))
    return Model(
        engine=engine,
        tokenizer=Tokenizer(scripted_tokenizer()),
        template=Template(CHATML),
        profile=next(p for p in load_profiles() if p.name == profile),
        ref=ModelRef("scripted:1b", "ab" * 32),
        stop_ids=(end,),
        traces=traces,
        load_s=load_s,
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BETHINK_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def plays(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Model]]:
    """Let the command line load a model that plays `script`. Returns the list of the models that were loaded."""

    def play(script: Script, **settings: float) -> list[Model]:
        loaded: list[Model] = []

        def load(*_: object, **__: object) -> Model:
            loaded.append(scripted_model(script, home / "traces", "qwen3", **settings))
            return loaded[-1]

        monkeypatch.setattr("bethink.model.load", load)
        return loaded

    return play


def console(*, width: int = 80, is_terminal: bool = True) -> Console:
    return Console(
        file=StringIO(),
        width=width,
        height=24,
        theme=THEME,
        force_terminal=is_terminal,
        color_system=None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


@pytest.fixture
def make_terminal() -> Callable[..., Terminal]:
    def make(*, width: int = 80, is_live: bool = True, is_terminal: bool = True, is_ascii: bool = False) -> Terminal:
        out = console(width=width, is_terminal=is_terminal)
        err = console(width=width, is_terminal=False)
        return Terminal(out, err, is_live, is_terminal, ASCII if is_ascii else UNICODE)

    return make


def written(console: Console) -> str:
    """What a test's console was given."""
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def tokens(
    text: str, phase: Phase = "thinking", *, start_s: float = 0.0, origin: Origin = "sampled", is_kept: bool = True
) -> list[TracedToken]:
    """One token a word, ten a second."""
    words = [word + " " for word in text.split(" ")]
    return [
        TracedToken(at, word, phase, origin, -0.5, start_s + at / 10, is_kept) for at, word in enumerate(words, start=1)
    ]


@pytest.fixture
def made_trace() -> Trace:
    """Two paths: one rolled back and closed at its budget, one cancelled."""
    first = TracedPath(
        0,
        seed=7,
        temperature=0.7,
        tokens=[
            *tokens("let me see <b>"),
            *tokens("again again", start_s=0.5, is_kept=False),
            *tokens("No time. </think>", origin="forced", start_s=0.8),
            *tokens("It is **4**.", "answer", start_s=1.0),
        ],
        closed_by="budget",
        answer="It is **4**.",
        thinking="let me see <b> ",
        extracted="4",
    )
    second = TracedPath(1, seed=8, temperature=0.7, tokens=tokens("hm hm hm"), is_cancelled=True)
    return Trace(
        id="20261123-204501-3f9a2c",
        created="2026-11-23T20:45:01+00:00",
        request={"messages": [{"role": "user", "content": "What is <2> + 2?"}], "seed": 7, "plan": {"budget": 4}},
        model={"name": "scripted:1b", "sha256": "ab" * 32},
        engine="scripted",
        profile="qwen3",
        prompt_ids=[1, 2, 3],
        prompt_text="<|im_start|>user",
        paths=[first, second],
        decisions=[
            Decided(0, 6, "roll_back", "2 tokens repeat", {"n": 2}),
            Decided(0, 6, "close", "the budget of 4 tokens is spent", {"closed_by": "budget"}),
            Decided(0, 12, "stop", "stop", {}),
            Decided(-1, 15, "decided", "1 to 0 of 1 paths", {}),
        ],
        result={
            "answer": "It is **4**.",
            "closed_by": "budget",
            "verdict": {"kind": "vote", "passed": None, "agreement": 0.5, "votes": [{"answer": "4", "count": 1}]},
            "usage": {"completion_tokens": 12},
            "timing": {"total_s": 1.5, "tokens_per_s": 8.0},
        },
    )
