"""The shipped catalogue is what it should be, and a wrong one is refused."""

from __future__ import annotations

import re

import pytest

from bethink.errors import StoreError, UnknownModel
from bethink.store import Catalogue
from bethink.store.catalogue import parse_catalogue
from bethink.store.reference import HubRef, PathRef, WheelRef, parse_reference

ENTRIES = list(Catalogue.load().entries.values())


def test_every_source_can_be_read_and_every_hash_is_one() -> None:
    for entry in ENTRIES:
        assert entry.sources, entry.name
        for source in entry.sources:
            assert isinstance(parse_reference(source), HubRef | WheelRef), source
        assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert (entry.sha256 is None) == (entry.size is None), entry.name
        assert entry.approx_size
        assert entry.parameters


def test_names_say_family_and_size_and_are_no_references() -> None:
    for entry in ENTRIES:
        assert re.fullmatch(r"[a-z0-9.-]+:[0-9.]+[bm](-q\d_\w+)?", entry.name)
        assert parse_reference(entry.name) is None


@pytest.mark.parametrize(
    "name",
    [
        *("qwen2.5-coder:0.5b", "qwen2.5-coder:1.5b", "smollm2:135m", "qwq:32b", "qwen3:0.6b", "qwen3:4b", "qwen3:32b"),
        *("deepseek-r1:1.5b", "deepseek-r1:8b", "qwen2.5:7b", "qwen2.5:7b-q8_0", "qwen3:4b-q8_0"),
    ],
)
def test_the_families_users_want_are_known(name: str) -> None:
    assert Catalogue.load().get(name).name == name


def test_the_default_quantisation_may_be_said_too_and_case_does_not_matter() -> None:
    catalogue = Catalogue.load()
    assert catalogue.get("Qwen3:4B-Q4_K_M").name == "qwen3:4b"
    assert catalogue.get("QWQ:32b") is catalogue.get("qwq:32b")


def test_an_unknown_name_is_told_its_neighbours() -> None:
    with pytest.raises(UnknownModel) as raised:
        Catalogue.load().get("qwen3")
    assert "qwen3:" in raised.value.hint


MODEL = 'name = "m:1b"\nfamily = "f"\nlicence = "MIT"\ndefault_precision = "int8"\nsources = ["hf:a/b"]\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[model]", "TOML"),
        (f'[[model]]\n{MODEL}quantisations = ["q4_k_m"]\ncolour = "red"', "unknown keys: colour"),
        (f'[[model]]\n{MODEL}quantisations = ["q9"]', "unknown quantisation 'q9'"),
        (f'[[model]]\n{MODEL}quantisations = ["q8_0"]\n[model.exact.q4_0]\nsize = 1', "does not list: q4_0"),
        (f'[[model]]\n{MODEL}quantisations = ["q8_0"]\n[[model]]\n{MODEL}quantisations = ["q8_0"]', "twice"),
    ],
)
def test_a_catalogue_with_a_mistake_is_refused(text: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        parse_catalogue(text)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("hf:org/repo", HubRef("hf", "org/repo")),
        ("ms:org/repo:a/b.gguf", HubRef("ms", "org/repo", None, "a/b.gguf")),
        ("hf:org/re.po@refs/pr/1:*q4_0.gguf", HubRef("hf", "org/re.po", "refs/pr/1", "*q4_0.gguf")),
        ("wheel:a-b==1.0", WheelRef("wheel:a-b==1.0", ("a-b",), "1.0")),
        ("wheel:p{9..11}x==2", WheelRef("wheel:p{9..11}x==2", ("p9x", "p10x", "p11x"), "2")),
        ("qwen3:4b", None),
        ("nonsense", None),
    ],
)
def test_references_are_read_and_written_alike(text: str, reference: object) -> None:
    found = parse_reference(text)
    assert found == reference
    assert found is None or str(found) == text


@pytest.mark.parametrize("text", ["/m/a.gguf", "./a", "../a", "~/a.gguf", "a.gguf", "C:\\models\\a.gguf"])
def test_paths_look_like_paths(text: str) -> None:
    assert isinstance(parse_reference(text), PathRef)


@pytest.mark.parametrize(
    "text", ["hf:", "hf:repo", "hf:a/b/c", "wheel:x", "wheel:x==", "wheel:p{3..1}==1", "wheel:p{x}==1"]
)
def test_a_reference_with_a_mistake_shows_how_to_write_it(text: str) -> None:
    with pytest.raises(UnknownModel) as raised:
        parse_reference(text)
    assert "write" in raised.value.hint
