"""What is here, what it is called, and what removing it frees."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bethink.errors import InvalidModelFile, StoreError, UnknownModel
from bethink.store import Store
from tests.unit.store.conftest import Rig
from tests.unit.store.small_files import gguf, sha256

pytestmark = pytest.mark.anyio
TINY = gguf({"general.name": "tiny"})


def a_file(folder: Path, name: str = "mine.gguf", data: bytes = TINY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


async def test_a_file_of_the_users_is_linked_not_copied(rig: Rig, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    local = await rig.pull(str(path))
    assert (local.name, local.sha256, local.format, local.source) == ("mine", sha256(TINY), "gguf", str(path))
    assert local.path.samefile(path)
    assert rig.store.get("mine") == rig.store.get(str(path)) == local
    assert rig.peer.asked == []


async def test_a_linked_file_that_was_changed_later_is_noticed_and_pulled_anew(rig: Rig, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    first = await rig.pull(str(path))
    os.utime(path, ns=(1, 1))
    with pytest.raises(InvalidModelFile, match="was changed after it was pulled"):
        rig.store.get("mine")
    path.write_bytes(gguf({"general.name": "tuned"}))
    second = await rig.pull(str(path))
    assert second.sha256 != first.sha256
    assert second.sha256 == sha256(path.read_bytes())


async def test_a_file_edited_in_place_is_never_served_under_its_old_hash(rig: Rig, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    first = await rig.pull(str(path))
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"other")
    os.utime(path, ns=(1, 1))
    second = await rig.pull(str(path))
    assert second.sha256 == sha256(path.read_bytes()) != first.sha256
    assert not rig.store.blob_path(first.sha256).exists()


async def test_a_home_that_cannot_be_written_is_said_before_anything_is_asked(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rig.store = Store(tmp_path / "file" / "home")
    with pytest.raises(StoreError, match="models cannot be kept in") as raised:
        await rig.pull("hf:org/m")
    assert "BETHINK_HOME" in raised.value.hint
    assert rig.peer.asked == []


async def test_a_piece_of_a_model_is_refused_with_what_to_do(rig: Rig, tmp_path: Path) -> None:
    path = a_file(tmp_path, "m-00001-of-00003.gguf", gguf({"split.count": 3, "split.no": 0}))
    with pytest.raises(InvalidModelFile, match="one of 3 pieces") as raised:
        await rig.pull(str(path))
    assert "llama-gguf-split --merge" in raised.value.hint
    assert rig.store.list() == ()


async def test_removing_a_linked_file_leaves_the_users_own(rig: Rig, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    await rig.pull(str(path))
    assert rig.store.remove(str(path)).freed_bytes == 0
    assert path.read_bytes() == TINY
    assert rig.store.list() == ()


async def test_an_openvino_folder_of_the_users_is_taken(rig: Rig, tmp_path: Path) -> None:
    folder = tmp_path / "my-ov"
    names = {"openvino_model.xml", "openvino_model.bin", "tokenizer.json"}
    for name in names:
        a_file(folder, name, name.encode())
    a_file(folder / "cache", "junk.bin")
    local = await rig.pull(str(folder))
    assert (local.name, local.format) == ("my-ov", "openvino")
    assert {path.name for path in local.path.iterdir()} == {
        "openvino_model.xml",
        "openvino_model.bin",
        "tokenizer.json",
    }
    assert rig.store.get(str(folder)) == local


async def test_a_folder_without_a_model_is_refused(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidModelFile, match=r"openvino_model\.xml"):
        await rig.pull(str(tmp_path / "empty"))
    assert not rig.leftovers


async def test_a_path_to_nothing_is_unknown(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="does not exist"):
        await rig.pull(str(tmp_path / "none.gguf"))


async def test_a_file_that_is_no_model_is_refused(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(InvalidModelFile):
        await rig.pull(str(a_file(tmp_path, data=b"text")))
    assert not rig.leftovers


async def test_a_file_may_not_take_the_name_of_another_model(rig: Rig, tmp_path: Path) -> None:
    rig.know()
    await rig.pull(str(a_file(tmp_path / "a")))
    with pytest.raises(StoreError, match="is called mine already"):
        await rig.pull(str(a_file(tmp_path / "b")))
    with pytest.raises(StoreError, match="is called tiny:1b already"):
        await rig.pull(str(a_file(tmp_path, "tiny:1b.gguf")))


async def test_removing_frees_the_bytes_and_what_was_prepared_and_measured(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    local = await rig.pull("hf:org/m")
    prepared = rig.store.prepared_dir(local.sha256, "int8")
    prepared.mkdir(parents=True)
    (prepared / "openvino_model.bin").write_bytes(bytes(5000))
    (prepared / "how.json").write_text('{"precision": "int8"}')
    measured = rig.store.calibration_dir(local.sha256, "openvino", "int8")
    measured.mkdir(parents=True)
    assert rig.store.calibration_dirs(local.sha256) == (measured,)
    [form] = rig.store.prepared(local.sha256)
    assert (form.label, form.how["precision"], form.size) == ("int8", "int8", 5000 + 21)
    removed = rig.store.remove("hf:org/m")
    assert removed.freed_bytes == len(TINY) + 5021
    assert not prepared.exists()
    assert not measured.exists()
    assert not local.path.exists()
    with pytest.raises(UnknownModel):
        rig.store.get("hf:org/m")


async def test_an_unfinished_download_is_removed_by_its_name(rig: Rig) -> None:
    folder = rig.store.partial / "0123"
    a_file(folder, "data", bytes(100))
    (folder / "name").write_text("hf:org/m")
    assert rig.store.remove("hf:org/m").freed_bytes == 108
    assert not folder.exists()


async def test_removing_what_is_not_here_is_told(rig: Rig) -> None:
    with pytest.raises(UnknownModel, match="is not on this machine"):
        rig.store.remove("hf:org/m")


async def test_a_known_model_that_is_not_here_says_how_to_get_it(rig: Rig) -> None:
    rig.know()
    with pytest.raises(UnknownModel, match="not on this machine yet") as raised:
        rig.store.get("tiny:1b")
    assert "bethink pull tiny:1b" in raised.value.hint
    with pytest.raises(UnknownModel, match="no model is called"):
        rig.store.get("nonsense")


async def test_lost_bytes_are_an_error_and_pulled_again(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    local = await rig.pull("hf:org/m")
    local.path.write_bytes(b"short")
    with pytest.raises(InvalidModelFile, match="5 bytes"):
        rig.store.get("hf:org/m")
    local.path.unlink()
    with pytest.raises(InvalidModelFile, match="are missing"):
        rig.store.get("hf:org/m")
    assert (await rig.pull("hf:org/m")).path.read_bytes() == TINY


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"sha256": "zz"}'])
async def test_a_record_that_cannot_be_read_is_named_and_can_be_removed(rig: Rig, text: str) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    await rig.pull("hf:org/m")
    [record] = rig.store.manifests.glob("*.json")
    record.write_text(text)
    with pytest.raises(StoreError, match="hf:org/m"):
        rig.store.list()
    rig.store.remove("hf:org/m")
    assert rig.store.list() == ()


async def test_a_record_of_a_later_version_is_still_read(rig: Rig) -> None:
    rig.peer.repos["org/m"] = {"m.gguf": TINY}
    local = await rig.pull("hf:org/m")
    [record] = rig.store.manifests.glob("*.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"later": 1}))
    assert rig.store.get("hf:org/m") == local


def test_looking_creates_nothing(home: Path) -> None:
    store = Store(home)
    assert store.list() == ()
    with pytest.raises(UnknownModel):
        store.get("smollm2:135m")
    assert not home.exists()
