"""The environment is read once, with the precedence of the tools whose settings it holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bethink.config import HUGGING_FACE, PackageIndexes, Settings
from bethink.errors import UsageError


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is set and nobody has configured pip."""
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CONFIG_DIRS": str(tmp_path / "etc"),
    }


def configure_pip(folder: Path, text: str) -> None:
    (folder / "pip").mkdir(parents=True)
    (folder / "pip" / "pip.conf").write_text(text)


def test_bethink_home_moves_the_home(env: dict[str, str], tmp_path: Path) -> None:
    assert Settings.from_env(env | {"BETHINK_HOME": str(tmp_path / "b")}).home == tmp_path / "b"
    assert Settings.from_env(env).home.is_absolute()


@pytest.mark.parametrize(
    ("value", "limit"),
    [("", 500_000_000), ("20", 20_000_000), (" 0.5 ", 500_000), ("0", 0), ("none", 0), ("ALL", None)],
)
def test_traces_keep_to_a_limit_that_can_be_set(env: dict[str, str], value: str, limit: int | None) -> None:
    assert Settings.from_env(env | {"BETHINK_TRACES_MB": value}).traces_bytes == limit


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "many", "5 GB"])
def test_a_limit_of_traces_that_is_none_is_refused(env: dict[str, str], value: str) -> None:
    with pytest.raises(UsageError, match="BETHINK_TRACES_MB"):
        Settings.from_env(env | {"BETHINK_TRACES_MB": value})


def test_the_hubs_are_where_their_own_tools_look(env: dict[str, str]) -> None:
    assert Settings.from_env(env).hf_endpoint == HUGGING_FACE
    moved = Settings.from_env(env | {"HF_ENDPOINT": "https://mirror.example/", "HF_TOKEN": "t"})
    assert (moved.hf_endpoint, moved.hf_token) == ("https://mirror.example", "t")


def test_pips_files_are_read_later_over_earlier(env: dict[str, str], tmp_path: Path) -> None:
    configure_pip(tmp_path / "etc", "[global]\nindex-url = https://a.example/simple\n")
    configure_pip(
        tmp_path / "config",
        "[global]\nindex_url = https://b.example/simple\n[install]\nfind-links = /w\ncert = /a.pem\n",
    )
    indexes = Settings.from_env(env).indexes
    assert indexes.urls == ("https://b.example/simple",)
    assert (indexes.find_links, indexes.ca_file) == (("/w",), "/a.pem")


def test_several_extra_indexes_may_stand_on_lines(env: dict[str, str], tmp_path: Path) -> None:
    configure_pip(tmp_path / "config", "[global]\nextra-index-url =\n  https://a.example/s\n  https://b.example/s\n")
    assert Settings.from_env(env).indexes.extra_urls == ("https://a.example/s", "https://b.example/s")


def test_the_environment_stands_above_the_files(env: dict[str, str], tmp_path: Path) -> None:
    configure_pip(tmp_path / "config", "[global]\nindex-url = https://file.example/simple\n")
    uv = env | {"UV_INDEX_URL": "https://uv.example/simple", "UV_INDEX": "mine=https://x.example/s"}
    assert Settings.from_env(uv).indexes.urls == ("https://uv.example/simple",)
    assert Settings.from_env(uv).indexes.extra_urls == ("https://x.example/s",)
    pip = uv | {"PIP_INDEX_URL": "https://pip.example/simple"}
    assert Settings.from_env(pip).indexes.urls == ("https://pip.example/simple",)


def test_a_file_that_cannot_be_read_says_nothing(env: dict[str, str], tmp_path: Path) -> None:
    without = Settings.from_env(env)
    configure_pip(tmp_path / "config", "index-url without a section")
    assert Settings.from_env(env) == without
    assert Settings.from_env(env | {"PIP_CONFIG_FILE": os.devnull}).indexes == PackageIndexes()


def test_certificates_are_those_of_the_environment(env: dict[str, str]) -> None:
    assert Settings.from_env(env | {"SSL_CERT_FILE": "/c.pem", "PIP_CERT": "/p.pem"}).ca_file == "/c.pem"
    assert Settings.from_env(env | {"PIP_CERT": "/p.pem"}).ca_file == "/p.pem"


def test_how_sure_to_be_is_a_probability() -> None:
    assert Settings.from_env({"BETHINK_SURE": "0.9"}).sure == 0.9
    assert Settings.from_env({}).sure == 0.8
    for wrong in ("0", "1.1", "nan", "very", "-1"):
        with pytest.raises(UsageError, match="BETHINK_SURE"):
            Settings.from_env({"BETHINK_SURE": wrong})
