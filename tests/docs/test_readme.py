"""README and the guide do what they say: their commands run, their options exist, their links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from bethink.cli.main import cli
from tests.docs.pages import PAGES, Block, blocks

SHELL = [*blocks("bash")]
PYTHON = [*blocks("python")]


def marked(found: Sequence[Block], how: str) -> list[Block]:
    return [block for block in found if block.how.partition(" ")[0].rstrip(",") == how]


def run(command: Sequence[str], folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path}
    finished = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"{command[-1]}\n{finished.stdout}\n{finished.stderr}"


@pytest.mark.parametrize("block", [*SHELL, *PYTHON], ids=str)
def test_every_block_says_how_it_is_tested(block: Block) -> None:
    assert block.how.partition(" ")[0] in ("run", "help", "no,"), f"no `<!-- test: … -->` above {block}"


@pytest.mark.real
@pytest.mark.parametrize("block", marked(SHELL, "run"), ids=str)
def test_the_commands_shown_run(block: Block, tmp_path: Path) -> None:
    if "bethink check code" in block.code and not shutil.which("bwrap") and not os.environ.get("BETHINK_TEST_SANDBOX"):
        pytest.skip("bubblewrap is not installed here")
    options = block.how.removeprefix("run").strip()
    commands = [line.replace("bethink ask", f"bethink ask {options}") for line in block.commands]
    run(["bash", "-euo", "pipefail", "-c", "\n".join(commands)], tmp_path)


@pytest.mark.real
@pytest.mark.parametrize("block", marked(PYTHON, "run"), ids=str)
def test_the_programs_shown_run(block: Block, tmp_path: Path) -> None:
    run([sys.executable, "-W", "error", "-c", block.code], tmp_path)


@pytest.mark.parametrize(
    ("block", "line"), [(block, line) for block in marked(SHELL, "help") for line in block.commands], ids=str
)
def test_the_commands_shown_parse(block: Block, line: str) -> None:
    del block
    words = shlex.split(line, comments=True)
    starts = [place for place, word in enumerate(words) if word == "bethink"]
    assert starts, f"no bethink in: {line}"
    for start in starts:
        ends = [place for place in range(start, len(words)) if words[place] in ("|", "&&", ">", ";")]
        parse(words[start + 1 : ends[0] if ends else None])


def parse(words: list[str]) -> None:
    """Fails where the command line would be refused before anything is done."""
    context: click.Context | None = None
    command: click.Command = cli
    while isinstance(command, click.Group):
        context = command.context_class(command, info_name=command.name, parent=context)
        assert words, f"{command.name} needs a command"
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]}"
        command, words = found, words[1:]
    if "--help" not in words:
        with command.make_context(command.name, words, parent=context, resilient_parsing=False):
            pass


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [target.partition("#")[0] for target in targets if "://" not in target]
    missing = [target for target in local if target and not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_place_is_left_to_be_filled_in(page: Path) -> None:
    assert not re.findall(r"TODO|TBD|FILL|XXX", page.read_text(encoding="utf-8"))
