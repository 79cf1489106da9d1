"""Files of questions from the hubs: who is asked, what is believed, and what happens when something is wrong."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from bethink.errors import HashMismatch, InvalidModelFile, SourceUnreachable, StoreError, UnknownModel
from bethink.store import Catalogue, Store
from bethink.store.datasets import Dataset, DatasetEntry, datasets, fetch_dataset, find, is_here, parse_datasets
from bethink.store.progress import PullProgress
from tests.unit.store.peer import Fault, Peer
from tests.unit.store.small_files import sha256

pytestmark = pytest.mark.anyio
ROWS = b"".join(b'{"question": "%d + 1?", "answer": "%d"}\n' % (n, n + 1) for n in range(5000))
HF, MS = "hf:org/sums:test.jsonl", "ms:org/sums:test.jsonl"


class Rig:
    def __init__(self, home: Path, peer: Peer) -> None:
        self.home, self.peer, self.store = home, peer, Store(home, Catalogue({}, {}))
        self.events: list[PullProgress] = []
        peer.repos["org/sums"] = {"test.jsonl": ROWS}

    async def fetch(self, name: str = "sums", *sources: str, **known: str | int) -> Dataset:
        entry = DatasetEntry("sums", sources or (HF, MS), "test.jsonl", "MIT", **known)  # type: ignore[arg-type]
        return await self.among({"sums": entry}, name)

    async def among(self, known: Mapping[str, DatasetEntry], name: str = "sums") -> Dataset:
        return await fetch_dataset(self.store, name, self.events.append, self.peer.settings(self.home), known)

    @property
    def sentences(self) -> list[str]:
        return [event.message for event in self.events if event.message]


@pytest.fixture
def rig(home: Path, peer: Peer) -> Rig:
    return Rig(home, peer)


@pytest.mark.parametrize("source", [HF, MS])
async def test_a_file_comes_from_either_hub_with_the_hash_it_states(rig: Rig, source: str) -> None:
    found = await rig.fetch(source)
    assert found.path.read_bytes() == ROWS
    assert (found.sha256, found.size, found.hash_from, found.source) == (sha256(ROWS), len(ROWS), "source", source)
    assert all("datasets" in asked.path or "/cdn/" in asked.path for asked in rig.peer.asked)
    assert is_here(rig.store, source)


async def test_what_is_here_costs_no_network(rig: Rig) -> None:
    first = await rig.fetch()
    rig.peer.asked.clear()
    assert await rig.fetch() == first
    assert rig.peer.asked == []


async def test_a_hash_that_nobody_states_is_recorded_and_holds_from_then_on(rig: Rig) -> None:
    rig.peer.states_hashes = False
    found = await rig.fetch()
    assert found.hash_from == "first use"
    assert "recorded as first seen" in rig.sentences[-1]
    found.path.unlink()
    rig.peer.repos["org/sums"]["test.jsonl"] = ROWS.replace(b"1 + 1?", b"1 + 2?")
    with pytest.raises(HashMismatch, match="which is not") as caught:
        await rig.fetch()
    assert "--data FILE" in caught.value.hint
    assert "sums.json" in caught.value.hint, "the record to remove is named"
    rig.peer.repos["org/sums"]["test.jsonl"] = ROWS
    assert (await rig.fetch()).hash_from == "first use"


async def test_a_file_that_was_changed_here_is_fetched_again(rig: Rig) -> None:
    found = await rig.fetch()
    found.path.write_bytes(ROWS[:-2] + b"!\n")
    assert (await rig.fetch()).path.read_bytes() == ROWS


async def test_another_file_than_the_catalogue_states_is_refused_and_the_next_source_asked(rig: Rig) -> None:
    rig.peer.repos["org/bad"] = {"test.jsonl": ROWS + ROWS}
    found = await rig.fetch("sums", "hf:org/bad:test.jsonl", MS, sha256=sha256(ROWS), size=len(ROWS))
    assert (found.source, found.hash_from) == (MS, "catalogue")
    rig.peer.lies_about["test.jsonl"] = sha256(ROWS)
    with pytest.raises(HashMismatch):
        await rig.among({"other": DatasetEntry("other", ("hf:org/bad:test.jsonl",), "t", sha256=sha256(ROWS))}, "other")


async def test_bytes_that_are_not_what_the_hub_states_are_refused(rig: Rig) -> None:
    rig.peer.faults = [Fault(wrong_bytes=True), Fault(wrong_bytes=True)]
    with pytest.raises(HashMismatch) as caught:
        await rig.fetch()
    assert "--data FILE" in caught.value.hint
    assert not is_here(rig.store, "sums")


@pytest.mark.parametrize("states_hashes", [True, False])
async def test_a_connection_that_breaks_is_taken_up_where_it_broke(rig: Rig, states_hashes: bool) -> None:
    rig.peer.states_hashes = states_hashes
    rig.peer.faults = [Fault(cut_after=1000), Fault(cut_after=70_000)]
    assert (await rig.fetch()).path.read_bytes() == ROWS
    assert [asked.first_byte for asked in rig.peer.fetched] == [None, 1000, 71_000]


async def test_a_fetch_that_was_ended_goes_on(rig: Rig) -> None:
    rig.peer.faults = [Fault(cut_after=50_000), *[Fault(status=503) for _ in range(8)]]
    with pytest.raises(SourceUnreachable):
        await rig.fetch("sums", HF)
    rig.peer.faults, rig.peer.asked = [], []
    assert (await rig.fetch("sums", HF)).path.read_bytes() == ROWS
    assert [asked.first_byte for asked in rig.peer.fetched] == [50_000]


async def test_two_at_once_share_one_download(rig: Rig) -> None:
    rig.peer.hold = True
    found: list[Dataset] = []

    async def fetch() -> None:
        found.append(await rig.fetch())

    async with anyio.create_task_group() as group:
        group.start_soon(fetch)
        group.start_soon(fetch)
        await anyio.sleep(0.5)
        rig.peer.go.set()
    assert found[0] == found[1]
    assert len(rig.peer.fetched) == 1
    assert any("another bethink is downloading" in sentence for sentence in rig.sentences)


async def test_where_nobody_answers_it_takes_seconds_and_says_what_to_do(rig: Rig) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        rig.peer.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(SourceUnreachable, match=r"Hugging Face .*ModelScope") as caught:
            await rig.fetch()
        assert time.monotonic() - began < 10
    assert "pass --data FILE" in caught.value.hint
    assert "test.jsonl" in caught.value.hint


async def test_a_page_in_place_of_questions_is_refused_and_not_kept(rig: Rig) -> None:
    rig.peer.repos["org/sums"]["test.jsonl"] = b"<!DOCTYPE html><html>Log in</html>"
    with pytest.raises(InvalidModelFile, match="no JSON lines"):
        await rig.fetch()
    assert find(rig.store, "sums") is None
    assert not [path for path in rig.store.partial.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "name", ["hf:org/sums", "ms:org/sums", "hf:org/sums:none.jsonl", "ms:org/sums:none.jsonl", "x"]
)
async def test_what_names_no_file_is_unknown(rig: Rig, name: str) -> None:
    with pytest.raises(UnknownModel):
        await rig.fetch(name)


async def test_an_address_is_a_source_too(rig: Rig) -> None:
    found = await rig.fetch("sums", f"{rig.peer.url}/cdn/org/sums/test.jsonl")
    assert (found.path.read_bytes(), found.hash_from) == (ROWS, "first use")


async def test_a_record_that_is_broken_is_named(rig: Rig, home: Path) -> None:
    await rig.fetch()
    (home / "datasets" / "sums.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"sums\.json"):
        await rig.fetch()


def test_the_catalogue_is_read_strictly() -> None:
    entry = '[[dataset]]\nname = "a"\nfile = "f"\nsources = ["hf:o/r:f"]\n'
    assert parse_datasets(entry)["a"].sources == ("hf:o/r:f",)
    with pytest.raises(StoreError, match="twice"):
        parse_datasets(entry + entry)
    with pytest.raises(StoreError, match="unknown keys: colour"):
        parse_datasets(entry + 'colour = "red"\n')
    with pytest.raises(UnknownModel):
        parse_datasets(entry.replace("hf:o/r:f", "hf:o/r"))


def test_every_shipped_dataset_states_a_licence_and_whole_hashes() -> None:
    assert all(entry.licence and entry.sources for entry in datasets().values())
    assert all(len(bytes.fromhex(entry.sha256)) == 32 for entry in datasets().values() if entry.sha256)
