"""Families are recognised by what is known of a model, and a data file says nothing that is not understood."""

from __future__ import annotations

import pytest

from bethink.errors import UsageError
from bethink.profiles import choose, load_profiles
from bethink.profiles.profile import parse_profile


@pytest.mark.parametrize(
    ("family", "name", "template", "expected"),
    [
        ("qwen2.5-coder", "anything", "", "qwen2.5"),
        (None, "hf:Qwen/QwQ-32B-GGUF", "", "qwq"),
        (None, "DeepSeek R1 Distill Qwen 1.5B", "", "r1"),
        (None, "Qwen3-4B", "", "qwen3"),
        (None, "SmolLM2 135M Instruct", "", "smollm2"),
        (None, "Mystery 7B", "{{ '<think>' }}", "generic-native"),
        (None, "Mystery 7B", "{{ messages }}", "generic-prompted"),
        ("of nobody", "Mystery 7B", "", "generic-prompted"),
    ],
)
def test_a_family_is_known_by_catalogue_name_or_template(
    family: str | None, name: str, template: str, expected: str
) -> None:
    assert choose(family=family, name=name, template=template).name == expected


def test_native_profiles_have_markers_and_prompted_ones_a_lead() -> None:
    for profile in load_profiles():
        assert bool(profile.open_marker and profile.close_marker) == profile.is_native
        assert profile.close_marker in profile.close_text
        assert bool(profile.answer_lead and profile.instruction) != profile.is_native
        assert profile.handoff


def test_an_unknown_key_in_a_profile_is_an_error_that_names_it() -> None:
    with pytest.raises(UsageError, match="handofff"):
        parse_profile('name = "x"\nkind = "native"\nhandofff = "y"', "x.toml")


def test_a_broken_profile_is_an_error_that_names_the_file() -> None:
    with pytest.raises(UsageError, match=r"x\.toml"):
        parse_profile("name = ", "x.toml")
