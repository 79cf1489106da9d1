"""A store in a folder of its own, and a peer that serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bethink.store import Catalogue, LocalModel, Store
from bethink.store.catalogue import parse_catalogue
from bethink.store.progress import PullProgress
from bethink.store.pull import pull
from tests.unit.store.peer import Peer, start


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    stop = start(peer)
    yield peer
    stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


class Rig:
    """A store, the peer its pulls go to, and what they reported."""

    def __init__(self, home: Path, peer: Peer) -> None:
        self.home, self.peer = home, peer
        self.store = Store(home, Catalogue({}, {}))
        self.events: list[PullProgress] = []

    def know(self, **entry: object) -> None:
        """Give the catalogue one model."""
        lines = [f"{key} = {_toml(value)}" for key, value in entry.items() if key != "exact"]
        given = {"name": '"tiny:1b"', "family": '"tiny"', "licence": '"MIT"', "default_precision": '"int8"'}
        lines += [f"{key} = {text}" for key, text in given.items() if key not in entry]
        exact = "\n".join(f"{key} = {_toml(value)}" for key, value in _pairs(entry.get("exact")))
        text = "\n".join(["[[model]]", *lines, 'quantisations = ["q4_k_m", "q8_0"]', "[model.exact.q4_k_m]", exact])
        self.store = Store(self.home, parse_catalogue(text))

    async def pull(self, ref: str, on_progress: Callable[[PullProgress], None] | None = None) -> LocalModel:
        return await pull(self.store, ref, on_progress or self.events.append, self.peer.settings(self.home))

    @property
    def sentences(self) -> list[str]:
        return [event.message for event in self.events if event.message]

    @property
    def leftovers(self) -> list[Path]:
        """Files of unfinished downloads."""
        return [path for path in self.store.partial.rglob("*") if path.is_file()]


def _pairs(exact: object) -> list[tuple[str, object]]:
    return [(str(key), of) for key, of in exact.items()] if isinstance(exact, dict) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a test's own literal


def _toml(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"  # pyright: ignore[reportUnknownVariableType] - as above
    return str(value) if isinstance(value, int) else f'"{value}"'


@pytest.fixture
def rig(home: Path, peer: Peer) -> Rig:
    return Rig(home, peer)
