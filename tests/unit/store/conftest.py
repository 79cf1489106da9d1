"""A store in a folder of its own, and a peer that serves it."""

from __future__ import annotations

import json
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

    def know(self, sources: list[str] | None = None, exact: dict[str, str | int | list[str]] | None = None) -> None:
        """Give the catalogue one model, `tiny:1b`, of which `exact` is known of the first quantisation."""
        head = 'name = "tiny:1b"\nfamily = "tiny"\nlicence = "MIT"\ndefault_precision = "int8"'
        more = f"sources = {json.dumps(sources or [])}\nquantisations = ['q4_k_m', 'q8_0']"
        known = "\n".join(f"{key} = {json.dumps(of)}" for key, of in (exact or {}).items())
        self.store = Store(self.home, parse_catalogue(f"[[model]]\n{head}\n{more}\n[model.exact.q4_k_m]\n{known}"))

    async def pull(self, ref: str, on_progress: Callable[[PullProgress], None] | None = None) -> LocalModel:
        return await pull(self.store, ref, on_progress or self.events.append, self.peer.settings(self.home))

    @property
    def sentences(self) -> list[str]:
        return [event.message for event in self.events if event.message]

    @property
    def leftovers(self) -> list[Path]:
        """Files of unfinished downloads."""
        return [path for path in self.store.partial.rglob("*") if path.is_file()]


@pytest.fixture
def rig(home: Path, peer: Peer) -> Rig:
    return Rig(home, peer)
