"""`bethink trace`: look back at a request: list the traces, show one in the terminal, export one as a page, let go."""

from __future__ import annotations

import json
import sys
import time
import webbrowser
from pathlib import Path
from typing import Literal

import click
from rich.text import Text

from bethink.cli.model_names import megabytes
from bethink.cli.parameters import Age
from bethink.cli.terminal import open_terminal
from bethink.cli.trace_view import COLUMNS, row_of, table, view
from bethink.config import Settings
from bethink.errors import StoreError, UsageError
from bethink.picture.story import chosen, find_trace
from bethink.trace import Trace, TracedPath, remove_traces, trace_files

Format = Literal["html", "json", "md"]
FORMATS: tuple[Format, ...] = ("html", "json", "md")


def _offer_ids(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in ("last", *(file.stem for file in trace_files(_folder()))) if name.startswith(incomplete)]


@click.group(no_args_is_help=True)
def trace() -> None:
    """See who decided what in an earlier request.

    ID is `last`, or the beginning of an id or of its last part.

    \b
    Examples:
      bethink trace list
      bethink trace show              what happened in the last request
      bethink trace export --open     the same as a page in the browser
      bethink trace rm --older-than 30d
    """


@trace.command("list")
@click.option(
    "-n", "--count", default=20, show_default=True, type=click.IntRange(min=1), help="How many, newest first."
)
@click.option("--json", "is_json", is_flag=True, help="Print a JSON array.")
def list_traces(count: int, is_json: bool) -> None:
    """List the traces of late.

    \b
    Examples:
      bethink trace list
      bethink trace list --json | jq -r '.[0].id'
    """
    folder = _folder()
    rows = [_row(file) for file in trace_files(folder)[:count]]
    terminal = open_terminal()
    if is_json:
        click.echo(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], ensure_ascii=False))
    elif not rows:
        terminal.err.print(Text(f'no traces in {folder} yet; bethink ask "…" writes one'))
    elif terminal.is_terminal:
        terminal.out.print(table(rows, terminal.width))
    else:
        for row in (COLUMNS, *rows):
            click.echo("\t".join(row))


@trace.command(short_help="Tell a request in the terminal, in order.")
@click.argument("id", default="last", shell_complete=_offer_ids)
@click.option("--path", "number", type=click.IntRange(min=1), help="Tell this path instead of the one that answered.")
@click.option("--all", "is_all", is_flag=True, help="Tell every path.")
@click.option("--json", "is_json", is_flag=True, help="Print the whole record as one JSON object.")
def show(id: str, number: int | None, is_all: bool, is_json: bool) -> None:
    """Tell a request in the terminal: who said what, who decided what and why.

    \b
      bethink trace show
      bethink trace show 8db248 --all
      bethink trace show last --path 2
    """
    terminal = open_terminal()
    file = find_trace(_folder(), id)
    loaded = Trace.load(file)
    if is_json:
        click.echo(file.read_text(encoding="utf-8"))
        return
    for line in view(loaded, terminal.glyphs, _paths(loaded, number, is_all=is_all)):
        terminal.out.print(line)


@trace.command(short_help="Write a trace as a page, as notes, or whole.")
@click.argument("id", default="last", shell_complete=_offer_ids)
@click.option("--format", "form", type=click.Choice(FORMATS), help="html (the default), json or md.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, allow_dash=True), help="A file, or - for standard output."
)
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
def export(id: str, form: Format | None, output: Path | None, is_opened: bool) -> None:
    """Write a trace as a page that needs nothing else (html), as notes (md), or whole (json).

    \b
      bethink trace export --open
      bethink trace export last -o trace.html
      bethink trace export --format md -o -
    """
    file = find_trace(_folder(), id)
    loaded = Trace.load(file)
    form = form or _form_of(output)
    text = file.read_text(encoding="utf-8") if form == "json" else _exported(loaded, form)
    if output is None and not sys.stdout.isatty() and not is_opened:
        output = Path("-")
    if output == Path("-"):
        if is_opened:
            raise UsageError("a page on standard output cannot be opened", "name a file: -o trace.html --open")
        click.echo(text)
        return
    output = output or Path(f"bethink-{loaded.id}.{form}")
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}", "name another file with -o") from error
    click.echo(f"wrote {output}", err=True)
    if is_opened and not webbrowser.open(output.absolute().as_uri()):
        click.echo("no browser was found; open the file yourself", err=True)


@trace.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, shell_complete=_offer_ids)
@click.option("--all", "is_all", is_flag=True, help="Remove every trace.")
@click.option("--older-than", "age_s", type=Age(), metavar="TIME", help="Remove those older than 30d, 2w, 12h, …")
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="Remove all but the newest N.")
def rm(ids: tuple[str, ...], is_all: bool, age_s: float | None, keep: int | None) -> None:
    """Remove traces.

    \b
      bethink trace rm last
      bethink trace rm --older-than 30d
      bethink trace rm --keep 100
    """
    ways = [bool(ids), is_all, age_s is not None, keep is not None]
    if sum(ways) != 1:
        fault = "nothing says which traces to remove" if not any(ways) else "that names traces in more than one way"
        raise UsageError(fault, "give ids, or --all, or --older-than 30d, or --keep 100")
    folder = _folder()
    files = trace_files(folder)
    if ids:
        files = list(dict.fromkeys(find_trace(folder, name) for name in ids))
    elif age_s is not None:
        files = [file for file in files if _written_s(file) < time.time() - age_s]
    elif keep is not None:
        files = files[keep:]
    n_files, n_bytes = remove_traces(files)
    freed = f"; {megabytes(n_bytes)} are free again" if n_files else ""
    click.echo(f"removed {n_files} trace{'' if n_files == 1 else 's'}{freed}")


def _written_s(file: Path) -> float:
    """When, in seconds since the epoch; a file that is gone by now is not old."""
    try:
        return file.stat().st_mtime
    except OSError:
        return time.time()


def _form_of(output: Path | None) -> Format:
    suffix = output.suffix.lower().lstrip(".") if output else ""
    return suffix if suffix in FORMATS else "html"


def _exported(loaded: Trace, form: Format) -> str:
    if form == "md":
        from bethink.cli.trace_notes import notes

        return notes(loaded)
    from bethink.picture.page import page

    return page(loaded)


def _folder() -> Path:
    return Settings.from_env().home / "traces"


def _row(file: Path) -> tuple[str, ...]:
    try:
        return row_of(Trace.load(file))
    except StoreError as error:
        return (file.stem, "", "", str(error), "", "", "")


def _paths(loaded: Trace, number: int | None, *, is_all: bool) -> list[TracedPath]:
    if is_all:
        return loaded.paths
    if number is None:
        answered = chosen(loaded)
        return [answered] if answered else []
    found = [path for path in loaded.paths if path.index == number - 1]
    if not found:
        raise UsageError(f"there is no path {number}", f"this trace has paths 1 to {len(loaded.paths)}")
    return found
