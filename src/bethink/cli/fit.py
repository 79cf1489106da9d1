"""`bethink models fit`: what this machine has room for, before anything is downloaded or loaded."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table
from rich.text import Text

from bethink.cli.model_names import ModelName, open_store
from bethink.cli.terminal import PIPE_WIDTH, Terminal, open_terminal
from bethink.wording import counted

if TYPE_CHECKING:
    from bethink.machine import Memory
    from bethink.store import Store
    from bethink.store.fit import EngineName, Fitting, Footprint

GIB = 1 << 30
BAR = 10
WITH_BARS, WITH_SHARES = 92, 72
"""Columns that a terminal needs for what the table can do without."""


@click.command(short_help="Show which models fit this machine's memory.")
@click.argument("name", type=ModelName(), required=False)
@click.option("--context", type=click.IntRange(1), default=4096, show_default=True, help="Tokens of one path.")
@click.option("--paths", type=click.IntRange(1), default=8, show_default=True, help="Paths that think at once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-color", is_flag=True, help="Show everything without colours.")
def fit(name: str | None, context: int, paths: int, as_json: bool, no_color: bool) -> None:
    """Predict the memory of a model, or of every known one, for a context length and a number of paths.

    What is predicted is the resident memory of bethink while all paths are full; a tenth of what is free stays free.

    \b
    Examples:
      bethink models fit
      bethink models fit qwen3:8b --context 16384 --paths 4
      bethink models fit --json | jq -r .largest
    """
    from bethink.engine.opening import is_installed
    from bethink.machine import read_memory
    from bethink.store.fit import fitting, largest

    store, terminal, memory = open_store(), open_terminal(no_color=no_color), read_memory()
    if name is not None:
        _show_one(store, terminal, name, context, paths, as_json)
        return
    found = fitting(
        store.catalogue, memory.available, context=context, paths=paths, has_llamacpp=is_installed("llamacpp")
    )
    best = largest(found)
    if as_json:
        rows = [{"name": item.entry.name, "engine": item.engine, **_numbers(item.footprint)} for item in found]
        facts = {"available": memory.available, "context": context, "paths": paths}
        click.echo(json.dumps(facts | {"largest": best.entry.name if best else None, "models": rows}, indent=1))
        return
    terminal.print_table(_table(found, best, terminal, memory))
    terminal.out.print(_conclusion(best, memory, context, paths))


def _show_one(store: Store, terminal: Terminal, name: str, context: int, paths: int, as_json: bool) -> None:
    from bethink.machine import read_memory
    from bethink.store.fit import RESERVE

    footprint, most, is_exact = footprint_of(store, name, context, paths)
    available = read_memory().available
    fits = footprint.total <= available * (1 - RESERVE) and context <= most
    if as_json:
        facts = {"name": name, "context": context, "most_context": most, "paths": paths, "fits": fits}
        click.echo(json.dumps(facts | {"available": available} | _numbers(footprint), indent=1))
        return
    out, held = terminal.out, min(context, most)
    out.print(Text.assemble((name, "bold cyan"), f", {counted(paths, 'path')} of {counted(held, 'token')}"))
    for what, size in (("weights", footprint.weights), ("cache", footprint.cache), ("program", footprint.program)):
        out.print(Text(f"  {what:<9}{gib(size):>10}"))
    is_held = footprint.total <= available * (1 - RESERVE)
    verdict = ("fits", "bold green") if is_held else ("does not fit", "bold red")
    out.print(Text.assemble(f"  {'together':<9}{gib(footprint.total):>10}   ", verdict, f" into {gib(available)} free"))
    if context > most:
        out.print(Text(f"  its context holds {counted(most, 'token')}, not {context:,}", style="yellow"))
    if not is_exact:
        out.print(Text("  from the catalogue's numbers; exact once the model is pulled", style="dim"))


def footprint_of(store: Store, name: str, context: int, paths: int) -> tuple[Footprint, int, bool]:
    """(prediction, the most tokens that the model's context holds, whether both are from the file itself).

    Raises: UnknownModel, InvalidModelFile.
    """
    from bethink.errors import UnknownModel
    from bethink.store import fit as fits
    from bethink.store.gguf import read_header
    from bethink.store.shape import shape_from_gguf

    entry = store.catalogue.find(name)
    precision = entry.default_precision if entry else "int8"
    try:
        local = store.get(name)
    except UnknownModel:
        shape = fits.shape_of_entry(entry) if entry else None
        if entry is None or shape is None or entry.parameters is None:
            raise
        n_weights, is_exact = entry.parameters, False
    else:
        is_exact = True
        if local.format == "openvino":
            from bethink.engine.openvino.loading import shape_of_folder

            shape, precision = shape_of_folder(local.path), "int8"
            n_weights = (local.path / "openvino_model.bin").stat().st_size
        else:
            header = read_header(local.path)
            shape, n_weights = shape_from_gguf(header), fits.matrix_weights(header)
    footprint = fits.predict(shape, n_weights=n_weights, context=context, paths=paths, precision=precision)
    return footprint, shape.context_length, is_exact


def gib(size: int) -> str:
    """Bytes for people."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / (1 << 20):.0f} MiB"


def _numbers(footprint: Footprint) -> dict[str, int]:
    return asdict(footprint) | {"total": footprint.total}


def _table(found: tuple[Fitting, ...], best: Fitting | None, terminal: Terminal, memory: Memory) -> Table:
    """A row for each model and way to run it; quantisations that come to the same share one.

    Where the terminal is narrow the bars go first, then shares and engines; quantisations take several lines.
    """
    width = terminal.width if terminal.is_terminal else PIPE_WIDTH
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    share_title = "of free memory" if width >= WITH_BARS else "of free"
    titles = ["model", "needs", *([share_title, "runs on"] if width >= WITH_SHARES else [])]
    for title in titles:
        table.add_column(title, justify="right" if title in ("needs", "of free") else "left", no_wrap=True)
    table.add_column("quantisations" if width >= WITH_SHARES else "as")
    rows: dict[tuple[str, EngineName | None, int], list[Fitting]] = {}
    for item in sorted(found, key=lambda item: (item.entry.parameters or 0, item.entry.approx_size or 0)):
        base = item.entry.name.removesuffix(f"-{item.entry.quantisation}")
        rows.setdefault((base, item.engine, item.footprint.total), []).append(item)
    for (base, engine, total), items in rows.items():
        share = total / max(1, memory.available)
        n_full = min(BAR, round(share * BAR))
        bar = terminal.glyphs.full * n_full + terminal.glyphs.empty * (BAR - n_full) if width >= WITH_BARS else ""
        style = "bold green" if best in items else "" if engine else "dim"
        color = "green" if share <= 0.5 else "yellow" if engine else "red"
        lacks = f"holds {items[0].entry.context_length or 0:,}" if items[0].is_short else "-"
        cells = {
            "model": Text(base, style=style or "cyan"),
            "needs": Text(gib(total), style=style),
            share_title: Text.assemble((bar, color), (f" {share:4.0%}", style)),
            "runs on": Text(engine or lacks, style=style),
        }
        quantisations = Text(" ".join(item.entry.quantisation for item in items), style="dim")
        table.add_row(*(cells[title] for title in titles), quantisations)
    return table


def _conclusion(best: Fitting | None, memory: Memory, context: int, paths: int) -> Text:
    asked = f"{counted(paths, 'path')} of {counted(context, 'token')} in {gib(memory.available)} of free memory"
    if best is None:
        return Text(f"nothing known fits {asked}; ask for less with --paths or --context")
    words = Text.assemble("the largest that fits is ", (best.entry.name, "bold green"), f": {asked}\n")
    return words.append(f"`bethink pull {best.entry.name}` fetches it", style="dim")
