"""`bethink models`: what is known by name, what is here, and what it takes; and letting go of it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Sized
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import click
from rich import box
from rich.table import Table
from rich.text import Text

from bethink.cli.model_names import ModelName, megabytes, open_store
from bethink.cli.pull import as_object
from bethink.cli.terminal import PIPE_WIDTH, Terminal, one_row, open_terminal, safe
from bethink.errors import UnknownModel, UsageError
from bethink.picture.evidence import shortened

if TYPE_CHECKING:
    from bethink.store import CatalogueEntry, LocalModel, Prepared, Store

FIT = "bethink.cli.fit"


class _ModelsGroup(click.Group):
    """`fit` is imported when it is asked for: it looks at the machine, which the others have no use for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *([] if find_spec(FIT) is None else ["fit"])})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "fit" and find_spec(FIT) is not None:
            command: object = import_module(FIT).fit
            return command if isinstance(command, click.Command) else None
        return super().get_command(ctx, cmd_name)


@click.group(cls=_ModelsGroup, invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List, show and remove models; see what fits this machine. Alone it lists them.

    \b
    Examples:
      bethink models list          what is on this machine
      bethink models list --all    everything known by name
      bethink models show qwen3:4b
      bethink models rm qwen3:4b
      bethink models fit           what this machine has room for
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


# ---- list


@models.command("list")
@click.option("-a", "--all", "shows_all", is_flag=True, help="Also what is known by name and not here yet.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--no-color", is_flag=True, help="Show everything without colours.")
def list_(shows_all: bool, as_json: bool, no_color: bool) -> None:
    """List the models on this machine.

    Sizes with a ~ are estimates: the exact one is the hub's to say. "also" names other quantisations of a model, as in
    `bethink pull qwen3:4b-q8_0`.

    \b
    Examples:
      bethink models list
      bethink models list --all
      bethink models list --json | jq -r '.[].name'
    """
    store, terminal = open_store(), open_terminal(no_color=no_color)
    here = store.list()
    entries = [entry for entry in store.catalogue.entries.values() if shows_all]
    if as_json:
        known = {local.name for local in here}
        rows = [_row(store, local) for local in here] + [_entry_row(e) for e in entries if e.name not in known]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    elif here or shows_all:
        terminal.print_table(_table(store, terminal, here, entries))
    else:
        terminal.out.print(Text("no model is on this machine yet"))
        terminal.out.print(Text("`bethink models list --all` shows what there is; `bethink pull NAME` fetches one"))


def _row(store: Store, local: LocalModel) -> dict[str, object]:
    prepared = [{"label": p.label, "size": p.size, "path": str(p.path)} for p in store.prepared(local.sha256)]
    return as_object(local) | {"pulled": True, "prepared": prepared}


def _entry_row(entry: CatalogueEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "sha256": entry.sha256,
        "size": entry.size,
        "approx_size": entry.approx_size,
        "format": "gguf",
        "family": entry.family,
        "licence": entry.licence,
        "sources": entry.sources,
        "pulled": False,
        "prepared": [],
    }


def _table(store: Store, terminal: Terminal, here: Sequence[LocalModel], entries: Sequence[CatalogueEntry]) -> Table:
    """Pulled models first; a catalogue model's other quantisations share its row unless they are here."""
    width = terminal.width if terminal.is_terminal else PIPE_WIDTH
    others: dict[str, list[str]] = {}
    for entry in entries:
        others.setdefault(_base(entry), []).append(entry.quantisation)
    titles = ["name", "size", "licence", *(["family"] if width >= 100 else []), "here" if entries else "prepared"]
    rows = [_pulled_cells(store, local, terminal.glyphs.done if entries else "") for local in here]
    if entries:
        titles.append("also")
        rows += _known_cells([e for e in entries if e.name == _base(e)], {local.name for local in here})
        for row in rows:
            row["also"] = " ".join(others.get(row["name"], [])[1:])
    widths = {title: max(len(title), *(len(row[title]) for row in rows)) for title in titles}
    left = width - 3 * len(titles) - sum(widths[title] for title in titles if title != "licence")
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for title in titles:
        style = {"name": "cyan", "also": "dim"}.get(title)
        table.add_column(title, no_wrap=True, style=style, justify="right" if title == "size" else "left")
    for row in rows:
        licence = shortened(row["licence"], max(10, left), terminal.glyphs.ellipsis)
        cells = row | {"licence": licence}
        table.add_row(*(Text(cells[title]) for title in titles))
    return table


def _pulled_cells(store: Store, local: LocalModel, mark: str) -> dict[str, str]:
    forms = [form.label for form in store.prepared(local.sha256)]
    return {
        "name": one_row(local.name),
        "size": megabytes(local.manifest.size),
        "licence": one_row(local.manifest.licence or "?"),
        "family": local.family or "-",
        "here": " ".join([mark, *forms]),
        "prepared": " ".join(forms) or "-",
    }


def _known_cells(entries: Sequence[CatalogueEntry], pulled: set[str]) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for entry in entries:
        if entry.name not in pulled:
            size = ("" if entry.size else "~") + megabytes(entry.approx_size or 0)
            values = {"name": entry.name, "size": size, "licence": entry.licence, "family": entry.family}
            rows.append(values | {"here": ""})
    return rows


def _base(entry: CatalogueEntry) -> str:
    return entry.name.removesuffix(f"-{entry.quantisation}")


# ---- show


@models.command(no_args_is_help=True, short_help="Show everything about one model.")
@click.argument("name", type=ModelName())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-color", is_flag=True, help="Show everything without colours.")
def show(name: str, as_json: bool, no_color: bool) -> None:
    """Show everything about one model: where it is, where it came from, what it is made of, its chat template.

    \b
    Examples:
      bethink models show qwen2.5-coder:0.5b
      bethink models show qwen3:4b --json | jq .sources
    """
    store, terminal = open_store(), open_terminal(no_color=no_color)
    try:
        local = store.get(name)
    except UnknownModel:
        entry = store.catalogue.find(name)
        if entry is None:
            raise
        _show_entry(entry, terminal, as_json)
        return
    metadata, template = _inside(local)
    prepared = store.prepared(local.sha256)
    if as_json:
        rest = {
            "pulled_at": local.manifest.pulled_at,
            "file": local.manifest.file,
            "sources": list(local.entry.sources) if local.entry else [local.source],
            "prepared": [asdict(p) | {"path": str(p.path), "how": dict(p.how)} for p in prepared],
            "metadata": {key: _countable(value) for key, value in metadata.items()},
            "chat_template": template,
        }
        click.echo(json.dumps(as_object(local) | {"pulled": True} | rest, ensure_ascii=False, indent=1, default=str))
        return
    _show_local(local, prepared, metadata, template, terminal)


def _show_entry(entry: CatalogueEntry, terminal: Terminal, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(entry) | {"pulled": False}, ensure_ascii=False, indent=1))
        return
    size = megabytes(entry.approx_size or 0)
    rows: list[tuple[str, object]] = [
        ("name", entry.name),
        ("about", entry.about),
        ("here", f"no: `bethink pull {entry.name}` fetches it"),
        ("size", size if entry.size else f"about {size}"),
        ("family", entry.family),
        ("licence", entry.licence),
        ("parameters", f"{entry.parameters:,}" if entry.parameters else None),
        ("context", f"{entry.context_length:,} tokens" if entry.context_length else None),
        ("quantisation", entry.quantisation),
        ("prepared as", entry.default_precision),
        ("sha256", entry.sha256 or "stated by its hub when it is pulled, and recorded then"),
    ]
    _print_rows(terminal, rows + [("source" if i == 0 else "", s) for i, s in enumerate(entry.sources)])


def _show_local(
    local: LocalModel, prepared: Sequence[Prepared], metadata: Mapping[str, Any], template: str, terminal: Terminal
) -> None:
    manifest, entry = local.manifest, local.entry
    vouched = {"catalogue": "stated by the catalogue", "source": "stated by its source", "first use": "as first seen"}
    rows: list[tuple[str, object]] = [
        ("name", local.name),
        ("about", entry.about if entry else ""),
        ("here", str(local.path)),
        ("format", local.format),
        ("size", f"{megabytes(manifest.size)} ({manifest.size:,} bytes)"),
        ("family", local.family),
        ("licence", manifest.licence),
        ("sha256", f"{local.sha256} ({vouched[manifest.hash_from]})"),
        ("pulled", f"{manifest.pulled_at} from {local.source}"),
        ("file", manifest.file),
    ]
    sources = entry.sources if entry else ()
    _print_rows(terminal, rows + [("sources" if i == 0 else "", source) for i, source in enumerate(sources)])
    _heading(terminal, "prepared")
    if not prepared:
        terminal.out.print(Text("  not yet: the first question does it"))
    for form in prepared:
        terminal.out.print(Text(f"  {form.label}  {megabytes(form.size)}  {form.path}"))
        _print_rows(terminal, [(key, _countable(value)) for key, value in form.how.items()], indent=4)
    if metadata:
        _heading(terminal, "metadata")
        _print_rows(terminal, [(key, _countable(value)) for key, value in metadata.items()], indent=2)
    if template:
        _heading(terminal, "chat template")
        terminal.out.print(Text(safe(template)))


def _inside(local: LocalModel) -> tuple[dict[str, Any], str]:
    """What the file says of itself, and its chat template."""
    if local.format == "gguf":
        from bethink.store.gguf import read_header

        header = read_header(local.path)
        metadata = dict(header.metadata)
        template = metadata.pop("tokenizer.chat_template", "")
        counted = {"tensors": len(header.tensors), "parameters": header.n_parameters, "gguf version": header.version}
        return counted | metadata, template if isinstance(template, str) else ""
    files = sorted(path for path in local.path.iterdir())
    found = [path for path in files if path.name == "chat_template.jinja"]
    template = found[0].read_text(encoding="utf-8", errors="replace") if found else ""
    return {path.name: megabytes(path.stat().st_size) for path in files}, template


def _countable(value: Any) -> Any:
    """Long lists as their number, records as `name value` pairs, anything else as it is."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {inner}" for key, inner in cast("Mapping[str, object]", value).items())
    return (
        f"{len(value):,} items"
        if isinstance(value, Sized) and not isinstance(value, str) and len(value) > 16
        else value
    )


def _print_rows(terminal: Terminal, rows: Sequence[tuple[str, object]], indent: int = 0) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold" if indent == 0 else "cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for key, value in rows:
        if value not in (None, ""):
            text = one_row(str(value))
            grid.add_row(Text(" " * indent + one_row(key)), Text(text if len(text) < 600 else text[:600] + " (cut)"))
    terminal.print_table(grid)


def _heading(terminal: Terminal, text: str) -> None:
    terminal.out.print()
    terminal.out.print(Text(text, style="bold"))


# ---- rm


@models.command(no_args_is_help=True, short_help="Remove models and what was made of them.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=ModelName(only_here=True))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def rm(names: tuple[str, ...], yes: bool) -> None:
    """Remove models, what was prepared from them, and unfinished downloads of them.

    Bytes that another name still uses stay. A file of your own that was pulled by its path is not touched.

    \b
    Examples:
      bethink models rm qwen3:4b
      bethink models rm -y smollm2:135m ./model.gguf
    """
    store = open_store()
    for name in dict.fromkeys(names):
        if not yes and store.holds(name) and not _agreed(store, name):
            click.echo(f"{name} stays")
            continue
        removed = store.remove(name)
        if removed.kept_for:
            click.echo(f"removed the name {removed.name}; its bytes stay for {', '.join(removed.kept_for)}")
        else:
            click.echo(f"removed {removed.name}; {megabytes(removed.freed_bytes)} are free again")


def _agreed(store: Store, name: str) -> bool:
    import sys

    if not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", f"`bethink models rm -y {name}` removes it without asking")
    return click.confirm(f"remove {store.canonical_name(name)} and what was prepared from it?")
