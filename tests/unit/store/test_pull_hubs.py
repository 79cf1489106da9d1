"""Pulling from Hugging Face and ModelScope: which file is chosen, who vouches for it, and what is said when nobody
answers.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from bethink.errors import HashMismatch, InvalidModelFile, SourceUnreachable, UnknownModel
from bethink.store.pull import pull
from tests.unit.store.conftest import Rig
from tests.unit.store.peer import Fault
from tests.unit.store.small_files import gguf, sha256

pytestmark = pytest.mark.anyio
TINY = gguf({"general.name": "tiny"})


def repo_of(*names: str) -> dict[str, bytes]:
    """Files whose content says which one they are."""
    return {name: gguf({"general.name": name}) for name in names}


async def test_a_named_file_comes_with_the_hash_that_the_hub_states(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m-q4_k_m.gguf": TINY}
    local = await rig.pull("hf:org/m:m-q4_k_m.gguf")
    assert local.path.read_bytes() == TINY
    assert (local.sha256, local.manifest.hash_from, local.name) == (sha256(TINY), "source", "hf:org/m:m-q4_k_m.gguf")
    assert "is the one its source states" in rig.sentences[-1]
    assert not rig.leftovers


async def test_a_model_that_is_here_costs_no_network(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    first = await rig.pull("hf:org/m")
    rig.peer.asked.clear()
    assert await rig.pull("hf:org/m") == first
    assert rig.store.get("hf:org/m") == first
    assert rig.peer.asked == []


@pytest.mark.parametrize("hub", ["hf", "ms"])
@pytest.mark.parametrize(
    ("names", "file", "chosen"),
    [
        (["M-Q8_0.gguf", "M-Q4_K_M.gguf", "M-Q2_K.gguf"], "", "M-Q4_K_M.gguf"),
        (["M-Q8_0.gguf", "M-Q6_K.gguf"], "", "M-Q6_K.gguf"),
        (["only.gguf", "README.md"], "", "only.gguf"),
        (["M-Q4_K_M.gguf", "mmproj-Q4_K_M.gguf"], "", "M-Q4_K_M.gguf"),
        (["M-Q8_0.gguf", "M-Q4_K_M.gguf"], ":*q8_0.gguf", "M-Q8_0.gguf"),
        (["sub/M-Q8_0.gguf", "M-Q4_K_M.gguf"], ":sub/M-Q8_0.gguf", "sub/M-Q8_0.gguf"),
        (["M-q4_k_m.gguf", "M-q4_k_m-00001-of-00002.gguf"], "", "M-q4_k_m.gguf"),
    ],
)
async def test_the_file_that_is_meant_is_chosen(rig: Rig, hub: str, names: list[str], file: str, chosen: str) -> None:
    rig.peer.repos["org/m"] = repo_of(*names)
    local = await rig.pull(f"{hub}:org/m{file}")
    assert local.path.read_bytes() == rig.peer.repos["org/m"][chosen]
    assert local.manifest.hash_from == "source"


@pytest.mark.parametrize("hub", ["hf", "ms"])
@pytest.mark.parametrize(
    ("names", "file", "says"),
    [
        (["a.gguf", "b.gguf"], "", "several files"),
        (["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], ":*q4_k_m.gguf", "several files"),
        (["a.gguf"], ":*q8_0.gguf", "no file matches"),
        (["README.md"], "", "no GGUF file"),
        (["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"], "", "2 pieces"),
    ],
)
async def test_what_cannot_be_chosen_is_said_with_names(
    rig: Rig, hub: str, names: list[str], file: str, says: str
) -> None:
    rig.peer.repos["org/m"] = repo_of(*names)
    with pytest.raises(UnknownModel, match=says) as raised:
        await rig.pull(f"{hub}:org/m{file}")
    assert raised.value.hint


async def test_a_model_in_pieces_is_refused_with_what_to_do(rig: Rig) -> None:
    pieces = ["m-q8_0-00001-of-00002.gguf", "m-q8_0-00002-of-00002.gguf"]
    rig.peer.repos["org/pieces"] = repo_of(*pieces)
    with pytest.raises(UnknownModel, match="2 pieces") as raised:
        await rig.pull("hf:org/pieces")
    assert "llama-gguf-split --merge" in raised.value.hint
    rig.peer.repos["org/both"] = repo_of(*pieces, "m-q4_0.gguf")
    with pytest.raises(UnknownModel, match="2 pieces") as raised:
        await rig.pull("hf:org/both:m-q8_0*")
    assert raised.value.hint.startswith("name one that is whole, as in hf:org/both:m-q4_0.gguf, or fetch")


@pytest.mark.parametrize("ref", ["hf:org/none", "ms:org/none", "hf:org/m:none.gguf"])
async def test_a_repository_or_file_that_is_not_there_is_unknown(rig: Rig, ref: str) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    with pytest.raises(UnknownModel):
        await rig.pull(ref)


async def test_a_long_listing_is_read_page_by_page(rig: Rig) -> None:
    rig.peer.page_size = 3
    rig.peer.repos["org/m"] = repo_of(*[f"x{i}.gguf" for i in range(9)], "M-Q4_K_M.gguf")
    local = await rig.pull("hf:org/m")
    assert local.manifest.file == "M-Q4_K_M.gguf"


async def test_a_repository_that_was_renamed_is_followed(rig: Rig) -> None:
    rig.peer.repos["new/m"] = {"m.gguf": TINY}
    rig.peer.moved["old/m"] = "new/m"
    assert (await rig.pull("hf:old/m:m.gguf")).sha256 == sha256(TINY)


async def test_a_token_goes_to_the_hub_and_a_refusal_says_what_to_do(rig: Rig, home: Path) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    rig.peer.token = "hf_secret"
    with pytest.raises(SourceUnreachable, match="refuses access") as raised:
        await rig.pull("hf:org/m")
    assert "HF_TOKEN" in raised.value.hint
    settings = rig.peer.settings(home, hf_token="hf_secret")
    assert (await pull(rig.store, "hf:org/m", None, settings)).sha256 == sha256(TINY)


@pytest.mark.parametrize("hub", ["hf", "ms"])
async def test_a_hub_that_states_no_hash_is_trusted_on_first_use_and_says_so(rig: Rig, hub: str) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    rig.peer.states_hashes = False
    local = await rig.pull(f"{hub}:org/m:m.gguf")
    assert (local.sha256, local.manifest.hash_from) == (sha256(TINY), "first use")
    assert "stated by nobody" in rig.sentences[-1]


async def test_an_openvino_repository_is_taken_as_a_folder(rig: Rig) -> None:
    files = {
        "openvino_model.xml": b"<net/>",
        "openvino_model.bin": b"weights" * 1000,
        "config.json": b"{}",
        "README.md": b"not taken",
        "sub/notes.json": b"not taken either",
    }
    rig.peer.repos["OpenVINO/m-int8-ov"] = files
    local = await rig.pull("hf:OpenVINO/m-int8-ov")
    assert local.format == "openvino"
    found = {path.name: path.read_bytes() for path in local.path.iterdir()}
    assert found == {name: files[name] for name in ("openvino_model.xml", "openvino_model.bin", "config.json")}
    assert rig.store.get("hf:OpenVINO/m-int8-ov") == local


async def test_wrong_bytes_are_never_given_a_name(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    rig.peer.faults = [Fault(wrong_bytes=True)]
    with pytest.raises(HashMismatch, match="which is not"):
        await rig.pull("hf:org/m")
    assert not list(rig.store.blobs.glob("*"))
    assert (await rig.pull("hf:org/m")).sha256 == sha256(TINY)


async def test_a_file_that_is_no_model_is_refused_and_forgotten(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": b"this is a web page, not a model"}
    with pytest.raises(InvalidModelFile):
        await rig.pull("hf:org/m")
    assert not rig.leftovers
    assert rig.store.list() == ()


async def test_the_catalogues_word_stands_above_the_hubs(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    rig.know(exact={"sha256": "0" * 64, "size": len(TINY), "sources": ["hf:org/m:m.gguf"]})
    with pytest.raises(HashMismatch, match="another file now"):
        await rig.pull("tiny:1b")
    assert rig.peer.fetched == []


async def test_the_first_source_that_answers_serves_and_the_others_are_named(rig: Rig) -> None:
    rig.peer.repos["b/m"] = {"m.gguf": TINY}
    rig.know(exact={"sha256": sha256(TINY), "size": len(TINY), "sources": ["hf:a/m:m.gguf", "ms:b/m:m.gguf"]})
    local = await rig.pull("tiny:1b")
    assert (local.source, local.manifest.hash_from, local.manifest.licence) == ("ms:b/m:m.gguf", "catalogue", "MIT")
    told = [event for event in rig.events if event.stage == "unreachable"]
    assert [event.source for event in told] == ["hf:a/m:m.gguf"]
    assert "Hugging Face (a/m)" in told[0].message


async def test_a_source_with_other_bytes_is_passed_over(rig: Rig) -> None:
    rig.peer.repos = {"a/m": {"m.gguf": gguf({"general.name": "other"})}, "b/m": {"m.gguf": TINY}}
    rig.know(exact={"sha256": sha256(TINY), "sources": ["hf:a/m", "hf:b/m"]})
    assert (await rig.pull("tiny:1b")).source == "hf:b/m"


async def test_when_no_source_serves_every_one_is_named(rig: Rig) -> None:
    rig.know(exact={"sources": ["hf:a/m:m.gguf", "ms:b/m", "wheel:no-such==1.0"]})
    with pytest.raises(UnknownModel) as raised:
        await rig.pull("tiny:1b")
    for place in ("Hugging Face (a/m)", "ModelScope (b/m)", "no package no-such"):
        assert place.split("no package ")[-1] in str(raised.value)


async def test_a_quantisation_is_a_name_of_its_own(rig: Rig) -> None:
    rig.peer.repos["org/m"] = repo_of("M-Q4_K_M.gguf", "M-Q8_0.gguf")
    rig.know(sources=["hf:org/m:*{quantisation}.gguf"])
    assert (await rig.pull("tiny:1b-q8_0")).manifest.file == "M-Q8_0.gguf"
    assert (await rig.pull("tiny:1b-q4_k_m")).name == "tiny:1b"
    assert [local.name for local in rig.store.list()] == ["tiny:1b", "tiny:1b-q8_0"]


async def test_an_unknown_name_is_told_its_neighbours(rig: Rig) -> None:
    rig.know()
    with pytest.raises(UnknownModel) as raised:
        await rig.pull("tiny:2b")
    assert "tiny:1b" in raised.value.hint


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that takes no connection and refuses none: its queue is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address: tuple[str, int] = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for client in waiting:
            client.close()


async def test_a_hub_that_swallows_connections_costs_seconds_and_the_next_serves(
    rig: Rig, home: Path, black_hole: str
) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    rig.know(exact={"sources": ["hf:org/m:m.gguf", "hf:other/m:m.gguf", "ms:org/m:m.gguf"]})
    settings = rig.peer.settings(home, hf_endpoint=black_hole)
    began = time.monotonic()
    with anyio.fail_after(20):
        local = await pull(rig.store, "tiny:1b", rig.events.append, settings)
    assert local.source == "ms:org/m:m.gguf"
    assert time.monotonic() - began < 10
    assert any("no connection within 3 s" in sentence for sentence in rig.sentences)


async def test_a_hub_that_refuses_connections_is_named_at_once(rig: Rig, home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address: tuple[str, int] = free.getsockname()
    settings = rig.peer.settings(home, hf_endpoint=f"http://127.0.0.1:{address[1]}")
    began = time.monotonic()
    with pytest.raises(SourceUnreachable, match=r"Hugging Face .* cannot be reached") as raised:
        await pull(rig.store, "hf:org/m", None, settings)
    assert "check the network" in raised.value.hint
    assert time.monotonic() - began < 5


async def test_an_answer_that_is_no_listing_is_told_so(rig: Rig, home: Path) -> None:
    rig.peer.wheels["api"] = b"<html>please log in</html>"
    settings = rig.peer.settings(home, ms_endpoint=f"{rig.peer.url}/files/api?x=")
    with pytest.raises(SourceUnreachable, match="no listing"):
        await pull(rig.store, "ms:org/m", None, settings)
