"""`bethink doctor`: what this machine has, what bethink would choose on it, and why."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from bethink.cli.fit import gib
from bethink.cli.model_names import open_store
from bethink.cli.terminal import Terminal, open_terminal

if TYPE_CHECKING:
    from bethink.machine import Cpu, Memory
    from bethink.store import Store

PACKAGES = {"openvino": ("openvino-genai", "openvino"), "llamacpp": ("xllamacpp",)}
LEAST_DISK = 4 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `state`: good, note or bad; `why` may be empty."""

    topic: str
    state: str
    what: str
    why: str = ""


@click.command(short_help="See what this machine has and what bethink chooses.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-color", is_flag=True, help="Show everything without colours.")
def doctor(as_json: bool, no_color: bool) -> None:
    """Show cores, instruction sets that are really enabled, memory, engines and disk, and what follows from them.

    Nothing is loaded or downloaded. The exit code is 0 also when something is missing.

    \b
    Examples:
      bethink doctor
      bethink doctor --json | jq .choice
    """
    from bethink.machine import read_cpu, read_memory

    terminal, store = open_terminal(no_color=no_color), open_store()
    cpu, memory = read_cpu(), read_memory()
    findings = [*_machine(cpu, memory), *_engines(), *_storage(store), *_choice(store, cpu, memory)]
    if as_json:
        click.echo(json.dumps(_facts(store, cpu, memory, findings), indent=1, ensure_ascii=False))
        return
    _show(terminal, findings)


def _machine(cpu: Cpu, memory: Memory) -> list[Finding]:
    threads = "" if cpu.n_threads == cpu.n_cores else f", {cpu.n_threads} threads"
    cores = f"{cpu.n_cores} core{'s' if cpu.n_cores > 1 else ''}{threads}"
    found = [Finding("processor", "good", f"{cpu.name}, {cores}")]
    sets = ", ".join(cpu.instruction_sets) or "unknown"
    found.append(Finding("instructions", *_judge(set(cpu.instruction_sets), sets)))
    if cpu.hidden:
        why = "the processor reports them, the system does not let programs use them"
        found.append(Finding("hidden", "note", ", ".join(cpu.hidden), why))
    limit = " (a container's limit)" if memory.limit == "container" else ""
    state = "good" if memory.available >= 2 << 30 else "bad"
    why = "" if state == "good" else "less than 2 GiB: only the smallest models run"
    found.append(Finding("memory", state, f"{gib(memory.available)} free of {gib(memory.total)}{limit}", why))
    return found


def _judge(sets: set[str], names: str) -> tuple[str, str, str]:
    if {"AVX-512", "AMX"} & sets or "NEON" in sets:
        return "good", names, ""
    if "AVX2" in sets:
        return "note", names, "no AVX-512: many paths at once are bound by computing, not by memory"
    return ("note", names, "") if not sets else ("bad", names, "without AVX2 everything is very slow")


def _engines() -> list[Finding]:
    found: list[Finding] = []
    for engine, packages in PACKAGES.items():
        installed = {name: _version(name) for name in packages}
        if installed[packages[0]]:
            versions = ", ".join(f"{name} {number}" for name, number in installed.items() if number)
            found.append(Finding(engine, "good", versions))
        else:
            extra = "pip install 'bethink[llamacpp]'" if engine == "llamacpp" else f"pip install {packages[0]}"
            state = "note" if engine == "llamacpp" else "bad"
            found.append(Finding(engine, state, "not installed", f"{extra} adds it"))
    return found


def _storage(store: Store) -> list[Finding]:
    free = shutil.disk_usage(_existing(store.home)).free
    state = "good" if free >= LEAST_DISK else "bad"
    why = "" if state == "good" else "a model and what is prepared from it need a few GB; BETHINK_HOME moves the store"
    names = [local.name for local in store.list()]
    models = f"{len(names)} model{'' if len(names) == 1 else 's'}{': ' + ', '.join(names) if names else ''}"
    return [Finding("disk", state, f"{gib(free)} free", why), Finding("store", "good", f"{store.home}, {models}")]


def _choice(store: Store, cpu: Cpu, memory: Memory) -> list[Finding]:
    from bethink.engine.opening import is_installed
    from bethink.model import default_model
    from bethink.store.fit import fitting, largest

    model, has_llamacpp = default_model(), is_installed("llamacpp")
    engine = "openvino" if is_installed("openvino") else "llamacpp" if has_llamacpp else None
    if engine is None:
        return [Finding("choice", "bad", "no engine can run", "pip install openvino-genai")]
    reason = "the larger of the defaults where its memory is free"
    found = [Finding("model", "good", f"{model} when none is named", reason)]
    kept = _tunings(store, cpu)
    why = "measured on this machine" if kept else "measured when a model is first opened"
    found.append(Finding("engine", "good", f"{engine}{', ' + kept[0] if kept and engine == 'openvino' else ''}", why))
    best = largest(fitting(store.catalogue, memory.available, context=4096, paths=8, has_llamacpp=has_llamacpp))
    if best:
        found.append(Finding("largest", "good", best.entry.name, "8 paths of 4,096 tokens fit; `bethink models fit`"))
    return found


def _tunings(store: Store, cpu: Cpu) -> list[str]:
    from bethink.engine.openvino.settings import describe
    from bethink.engine.openvino.tune import kept_tuning

    folders = [form.path for local in store.list() for form in store.prepared(local.sha256)]
    kept = [tuning for folder in folders if (tuning := kept_tuning(folder, cpu))]
    return [describe(tuning) for tuning in kept]


def _facts(store: Store, cpu: Cpu, memory: Memory, findings: list[Finding]) -> dict[str, Any]:
    by_topic = {finding.topic: finding for finding in findings}
    return {
        "cpu": asdict(cpu),
        "memory": asdict(memory),
        "engines": {engine: {name: _version(name) for name in names} for engine, names in PACKAGES.items()},
        "disk_free": shutil.disk_usage(_existing(store.home)).free,
        "home": str(store.home),
        "models": [local.name for local in store.list()],
        "choice": {topic: by_topic[topic].what for topic in ("model", "engine", "largest") if topic in by_topic},
        "findings": [asdict(finding) for finding in findings],
    }


def _show(terminal: Terminal, findings: list[Finding]) -> None:
    marks = {"good": (terminal.glyphs.done, "green"), "note": (terminal.glyphs.dot, "yellow"), "bad": ("!", "bold red")}
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        sign, style = marks[finding.state]
        words = Text(finding.what)
        if finding.why:
            words.append(f"\n{finding.why}", style="dim")
        table.add_row(Text(sign, style=style), finding.topic, words)
    terminal.print_table(table)


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
