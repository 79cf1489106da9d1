"""`bethink pull` and `bethink models` as a shell sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from bethink.cli.main import cli, main
from bethink.cli.pull import amount
from bethink.store.progress import PullProgress
from tests.unit.store.peer import Peer, start
from tests.unit.store.small_files import gguf, sha256

TINY = gguf({"general.name": "tiny \x1b[31mred", "general.license": "mit", "tokens": [str(i) for i in range(40)]})


pytestmark = pytest.mark.usefixtures("hub")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Peer]:
    """A hub with one model, and the environment that names it."""
    peer = Peer(repos={"org/m": {"m.gguf": TINY}})
    stop = start(peer)
    for name, value in {"HF_ENDPOINT": peer.url, "BETHINK_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    yield peer
    stop()


def run(*arguments: str) -> int:
    return main(arguments)


def test_a_pull_says_what_came_on_stdout_and_how_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "--no-prepare", "hf:org/m") == 0
    shown = capsys.readouterr()
    name, _, path = shown.out.strip().partition("\t")
    assert name == "hf:org/m"
    assert Path(path).read_bytes() == TINY
    assert "asking Hugging Face (org/m)" in shown.err
    assert "is the one its source states" in shown.err


def test_a_pull_as_json_is_one_object_a_model_also_for_failures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "--no-prepare", "--json", "hf:org/m", "hf:org/none") == 3
    good, bad = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (good["name"], good["sha256"], good["size"]) == ("hf:org/m", sha256(TINY), len(TINY))
    assert (bad["name"], bad["error"]["code"]) == ("hf:org/none", "unknown_model")


def test_one_model_that_fails_does_not_keep_the_others_from_coming(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "--no-prepare", "hf:org/none", "nonsense", "hf:org/m") == 3
    shown = capsys.readouterr()
    assert "hf:org/m" in shown.out
    assert "2 of 3 models could not be pulled" in shown.err


def test_an_unknown_name_is_an_error_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "qwen3:5b") == 3
    shown = capsys.readouterr()
    assert "no model is called 'qwen3:5b'" in shown.err
    assert "did you mean qwen3:" in shown.err


def test_the_list_of_nothing_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "list") == 0
    assert "bethink models list --all" in capsys.readouterr().out


def test_models_alone_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    run("pull", "--no-prepare", "hf:org/m")
    capsys.readouterr()
    assert run("models", "list") == 0
    listed = capsys.readouterr().out
    assert run("models") == 0
    assert capsys.readouterr().out == listed
    assert "hf:org/m" in listed


def test_the_list_shows_what_is_here_and_all_of_it_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    run("pull", "--no-prepare", "hf:org/m")
    capsys.readouterr()
    assert run("models", "list") == 0
    here = capsys.readouterr().out
    assert "hf:org/m" in here
    assert "mit" in here
    assert "qwen3:4b" not in here
    assert run("models", "list", "--all") == 0
    known = capsys.readouterr().out
    for text in ("hf:org/m", "qwen3:4b", "q8_0", "~2.4 GB", "deepseek-r1:1.5b", "Apache-2.0"):
        assert text in known


def test_the_list_as_json_has_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    run("pull", "--no-prepare", "hf:org/m")
    capsys.readouterr()
    assert run("models", "list", "--json", "--all") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["hf:org/m"]["pulled"] is True
    assert rows["qwen3:4b-q8_0"]["pulled"] is False
    assert rows["smollm2:135m"]["sha256"]


def test_show_tells_everything_and_nothing_that_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    run("pull", "--no-prepare", "hf:org/m")
    capsys.readouterr()
    assert run("models", "show", "hf:org/m") == 0
    shown = capsys.readouterr().out
    for text in (sha256(TINY), "stated by its source", "general.name", "40 items", "{{ messages }}", "not yet"):
        assert text in shown
    assert "\x1b" not in shown
    assert run("models", "show", "--json", "hf:org/m") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["chat_template"], row["metadata"]["general.architecture"]) == ("{{ messages }}", "llama")


def test_show_of_a_known_model_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "show", "qwen3:4b") == 0
    shown = capsys.readouterr().out
    assert "bethink pull qwen3:4b" in shown
    assert "hf:Qwen/Qwen3-4B-GGUF" in shown
    assert run("models", "show", "--json", "qwen3:4b") == 0
    assert json.loads(capsys.readouterr().out)["n_layers"] == 36


def test_rm_asks_unless_told_not_to(capsys: pytest.CaptureFixture[str]) -> None:
    run("pull", "--no-prepare", "hf:org/m")
    assert run("models", "rm", "hf:org/m") == 2
    assert "rm -y hf:org/m" in capsys.readouterr().err
    assert run("models", "rm", "-y", "hf:org/m") == 0
    assert "removed hf:org/m" in capsys.readouterr().out
    assert run("models", "rm", "-y", "hf:org/m") == 3


def test_rm_does_not_ask_about_what_is_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "rm", "hf:org/nothing") == 3
    assert "is not on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["pull"], ["models", "list"], ["models", "show"], ["models", "rm"], ["models"]])
def test_every_help_text_has_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command, "--help") == 0
    assert "Examples:" in capsys.readouterr().out


def test_names_are_completed() -> None:
    run("pull", "--no-prepare", "hf:org/m")
    shell = ShellComplete(cli, {}, "bethink", "_BETHINK_COMPLETE")

    def offered(command: list[str], text: str) -> list[str]:
        return [item.value for item in shell.get_completions(command, text)]

    assert offered(["pull"], "qwen3:4b") == ["qwen3:4b", "qwen3:4b-q5_k_m", "qwen3:4b-q6_k", "qwen3:4b-q8_0"]
    assert offered(["pull"], "w") == ["wheel:"]
    assert offered(["models", "rm"], "") == ["hf:org/m"]
    assert offered(["ask", "-m"], "smollm2:1") == offered(["chat", "--model"], "smollm2:1") == ["smollm2:135m"]
    assert offered(["ask", "--engine"], "o") == ["openvino"]
    assert [item.type for item in shell.get_completions(["pull"], "./x")] == ["file"]


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        ((12_300_000, 98_362_432, 35e6, 2.46), "12 MB of 98 MB, 35 MB/s, 0:02 left"),
        ((4_600_000_000, None, None, None), "4.6 GB"),
        ((0, 44_000_000_000, 1e6, 44_000.0), "0 kB of 44.0 GB, 1 MB/s, 12:13:20 left"),
    ],
)
def test_amounts_are_told_in_few_digits(
    progress: tuple[int, int | None, float | None, float | None], text: str
) -> None:
    assert amount(PullProgress("m", "downloading", "", *progress)) == text


def test_a_model_that_cannot_be_prepared_is_here_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "hf:org/m") == 0
    assert "is here, and not prepared" in capsys.readouterr().err
    assert run("pull", "--precision", "int8", "hf:org/m") != 0
