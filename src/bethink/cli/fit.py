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
from bethink.cli.terminal import Terminal, open_terminal
from bethink.wording import counted

if TYPE_CHECKING:
    from bethink.machine import Memory
    from bethink.store import Store
    from bethink.store.fit import EngineName, Fitting, Footprint

GIB = 1 << 30
BAR = 10


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
    terminal.out.print(_table(found, best, terminal, memory))
    terminal.out.print(_conclusion(best, memory, context, paths))


def _show_one(store: Store, terminal: Terminal, name: str, context: int, paths: int, as_json: bool) -> None:
    from bethink.machine import read_memory
    from bethink.store.fit import RESERVE

    footprint, is_exact = footprint_of(store, name, context, paths)
    available = read_memory().available
    fits = footprint.total <= available * (1 - RESERVE)
    if as_json:
        facts = {"name": name, "context": context, "paths": paths, "fits": fits, "available": available}
        click.echo(json.dumps(facts | _numbers(footprint), indent=1))
        return
    out = terminal.out
    out.print(Text.assemble((name, "bold cyan"), f", {counted(paths, 'path')} of {counted(context, 'token')}"))
    for what, size in (("weights", footprint.weights), ("cache", footprint.cache), ("program", footprint.program)):
        out.print(Text(f"  {what:<9}{gib(size):>10}"))
    verdict = ("fits", "bold green") if fits else ("does not fit", "bold red")
    out.print(Text.assemble(f"  {'together':<9}{gib(footprint.total):>10}   ", verdict, f" into {gib(available)} free"))
    if not is_exact:
        out.print(Text("  from the catalogue's numbers; exact once the model is pulled", style="dim"))


def footprint_of(store: Store, name: str, context: int, paths: int) -> tuple[Footprint, bool]:
    """(prediction, whether it is from the file itself). Raises: UnknownModel, InvalidModelFile."""
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
        n_weights = entry.parameters
        return fits.predict(shape, n_weights=n_weights, context=context, paths=paths, precision=precision), False
    if local.format == "openvino":
        from bethink.engine.openvino.loading import shape_of_folder

        shape = shape_of_folder(local.path)
        weights = (local.path / "openvino_model.bin").stat().st_size
        return fits.predict(shape, n_weights=weights, context=context, paths=paths, precision="int8"), True
    header = read_header(local.path)
    shape, n_weights = shape_from_gguf(header), fits.matrix_weights(header)
    return fits.predict(shape, n_weights=n_weights, context=context, paths=paths, precision=precision), True


def gib(size: int) -> str:
    """Bytes for people."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / (1 << 20):.0f} MiB"


def _numbers(footprint: Footprint) -> dict[str, int]:
    return asdict(footprint) | {"total": footprint.total}


def _table(found: tuple[Fitting, ...], best: Fitting | None, terminal: Terminal, memory: Memory) -> Table:
    """A row for each model and way to run it; quantisations that come to the same share one."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for title in ("model", "needs", "of free memory", "runs on", "quantisations"):
        table.add_column(title, justify="right" if title == "needs" else "left", no_wrap=True)
    rows: dict[tuple[str, EngineName | None, int], list[Fitting]] = {}
    for item in sorted(found, key=lambda item: (item.entry.parameters or 0, item.entry.approx_size or 0)):
        base = item.entry.name.removesuffix(f"-{item.entry.quantisation}")
        rows.setdefault((base, item.engine, item.footprint.total), []).append(item)
    for (base, engine, total), items in rows.items():
        share = total / max(1, memory.available)
        n_full = min(BAR, round(share * BAR))
        bar = terminal.glyphs.full * n_full + terminal.glyphs.empty * (BAR - n_full)
        style = "bold green" if best in items else "" if engine else "dim"
        color = "green" if share <= 0.5 else "yellow" if engine else "red"
        table.add_row(
            Text(base, style=style or "cyan"),
            Text(gib(total), style=style),
            Text.assemble((bar, color), (f" {share:4.0%}", style)),
            Text(engine or "-", style=style),
            Text(" ".join(item.entry.quantisation for item in items), style="dim"),
        )
    return table


def _conclusion(best: Fitting | None, memory: Memory, context: int, paths: int) -> Text:
    asked = f"{counted(paths, 'path')} of {counted(context, 'token')} in {gib(memory.available)} of free memory"
    if best is None:
        return Text(f"nothing known fits {asked}; ask for less with --paths or --context")
    words = Text.assemble("the largest that fits is ", (best.entry.name, "bold green"), f": {asked}\n")
    return words.append(f"`bethink pull {best.entry.name}` fetches it", style="dim")
