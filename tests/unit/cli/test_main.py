from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from bethink.cli import main as door

HEAVY = (
    "openvino", "openvino_genai", "nncf", "gguf", "xllamacpp", "numpy", "scipy", "sympy", "math_verify", "tokenizers",
    "jinja2", "httpx", "rich", "asyncio", "anyio", "pebble", "pydantic",
)  # fmt: skip


def with_json(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that has `--json`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from with_json(command, (*words, name))
        if command and any("--json" in parameter.opts for parameter in command.params):
            yield (*words, name)


@pytest.fixture
def failing_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(door.COMMANDS, "fail", "tests.unit.cli.failing_commands:fail")
    monkeypatch.setitem(door.COMMANDS, "answer", "tests.unit.cli.failing_commands:answer")


def bethink(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bethink", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})


def test_every_command_has_one_line_under_a_heading_and_every_line_a_command() -> None:
    listed = [name for commands in door.SECTIONS.values() for name in commands]
    assert sorted(listed) == sorted(door.COMMANDS)


@pytest.mark.parametrize("name", door.COMMANDS)
def test_a_command_says_of_itself_what_the_list_says_of_it(name: str) -> None:
    command = door.cli.get_command(click.Context(door.cli), name)
    assert command is not None
    line = next(commands[name] for commands in door.SECTIONS.values() if name in commands)
    assert (command.short_help or command.help or "").startswith(line)


@pytest.mark.parametrize("name", door.COMMANDS)
def test_what_a_command_says_of_its_own_commands_is_not_cut_short(name: str) -> None:
    group = door.cli.get_command(click.Context(door.cli), name)
    if isinstance(group, click.Group):
        context = click.Context(group)
        commands = [group.get_command(context, inner) for inner in group.list_commands(context)]
        assert not [c.name for c in commands if c and not c.hidden and c.get_short_help_str(57).endswith("...")]


def test_help_shows_every_command_and_loads_none_of_what_they_need() -> None:
    script = (
        "import sys; from bethink.cli.main import main; main(['--help']);"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "loaded: []" in shown
    for heading, commands in door.SECTIONS.items():
        assert f"{heading}:\n" in shown
        for name, line in commands.items():
            assert any(row.split(maxsplit=1) == [name, line] for row in shown.splitlines())


def test_help_answers_in_three_tenths_of_a_second() -> None:
    def cpu_seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert bethink("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The processor's time, not the clock's: other work on the machine must not decide.
    assert min(cpu_seconds() for _ in range(3)) < 0.3


def test_the_version_is_the_packages() -> None:
    assert bethink("--version").stdout == f"bethink {version('bethink')}\n"


@pytest.mark.usefixtures("failing_commands")
@pytest.mark.parametrize(
    ("failure", "code", "stderr"),
    [
        ("usage", 2, "error: a budget of -3 tokens\nhint: give 0 or more\n"),
        ("store", 3, "error: 4.2 GB are needed, 1.1 GB are free\nhint: `bethink models rm NAME` frees space\n"),
        ("engine", 4, "error: llamacpp gives no JSON schema\n"),
        ("file", 2, "error: Could not open file 'notes.txt': no such file\n"),
        ("grouped", 3, "error: the disk is full\nhint: free some\n"),
    ],
)
def test_a_failure_is_words_on_stderr_and_its_exit_code(
    failure: str, code: int, stderr: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.main(["fail", failure]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == stderr


@pytest.mark.usefixtures("failing_commands")
@pytest.mark.parametrize("failure", ["fault", "several"])
def test_a_fault_of_our_own_says_so_and_how_to_see_more(failure: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["fail", failure]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: bethink itself failed: ")
    assert "bethink --debug" in shown
    assert "Traceback" not in shown


@pytest.mark.usefixtures("failing_commands")
def test_debug_shows_the_traceback_and_then_the_same_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["--debug", "fail", "store"]) == 3
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert shown.endswith("hint: `bethink models rm NAME` frees space\n")


@pytest.mark.usefixtures("failing_commands")
def test_an_interrupt_ends_with_130_and_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["fail", "interrupt"]) == 130
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.usefixtures("failing_commands")
def test_a_command_may_choose_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["answer", "0"]) == 0
    assert door.main(["answer", "3"]) == 3
    assert capsys.readouterr().out == "forty-two\n" * 2


def test_an_unknown_command_is_wrong_usage_with_the_way_to_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["aks"]) == 2
    assert capsys.readouterr().err == (
        "error: there is no command 'aks'\nhint: did you mean `bethink ask`? `bethink --help` shows all\n"
    )


def test_bethink_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main([]) == 0
    assert "Usage: bethink" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "bethink", "completion", "zsh"]
    finished = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (finished.returncode, finished.stderr) == (141, "")


@pytest.mark.parametrize("shell", door.SHELLS)
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    printed = bethink("completion", shell)
    assert printed.returncode == 0
    assert "_BETHINK_COMPLETE" in printed.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_takes_a_name_with_a_colon_for_one_word(tmp_path: Path) -> None:
    script = tmp_path / "complete.sh"
    script.write_text(bethink("completion", "bash").stdout + 'printf %s "$COMP_WORDBREAKS"\n')
    shown = subprocess.run(
        ["bash", "--norc", "-c", f"COMP_WORDBREAKS=' =:'; . {script}"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == " ="


def test_a_shell_completes_the_commands_from_the_list() -> None:
    words = bethink(_BETHINK_COMPLETE="zsh_complete", COMP_WORDS="bethink co", COMP_CWORD="1").stdout
    assert words.splitlines()[:3] == ["plain", "completion", "Print the completion script of a shell."]


def test_a_command_of_commands_shows_its_help_without_calling_it_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["check"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: bethink check")
    assert "error:" not in shown


def every_command(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield context.command_path, command, context
    if not isinstance(command, click.Group):
        return
    group: click.Group = command
    for name in group.list_commands(context):
        child = group.get_command(context, name)
        if child is not None:
            yield from every_command(child, click.Context(child, info_name=name, parent=context))


TOP = click.Context(door.cli, info_name="bethink", help_option_names=["-h", "--help"])
ALL = {path: (command, context) for path, command, context in every_command(door.cli, TOP)}


@pytest.mark.parametrize("path", ALL)
def test_the_help_of_every_command_shows_how_it_is_typed(path: str) -> None:
    command, context = ALL[path]
    typed = path.replace("bethink eval run", "bethink eval")  # its name is left out where a task is named
    words = command.get_help(context).partition("\n\n")[2]  # less the line of its usage
    assert any(line.strip().startswith(typed) or f"  {typed}" in line for line in words.splitlines())


@pytest.mark.parametrize("path", [path for path, (command, _) in ALL.items() if isinstance(command, click.Group)])
def test_a_group_by_itself_shows_what_it_holds_and_is_no_fault(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(path.split()[1:]) == 0
    shown = capsys.readouterr()
    assert shown.out + shown.err


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("ask --modle x", "did you mean --model?"),
        ("ask --bugdet 3", "did you mean --budget?"),
        ("modles list", "did you mean `bethink models`?"),
        ("run smollm2:135m", "bethink chat --model NAME"),
        ("list", "bethink models list"),
        ("workspaces", "bethink keys workspaces list"),
        ("xyzzy", "`bethink --help` shows all"),
    ],
)
def test_a_word_that_is_mistyped_or_of_another_program_leads_to_ours(
    typed: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.main(typed.split()) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("name", door.ELSEWHERE)
def test_what_another_word_leads_to_is_there(name: str) -> None:
    words = door.ELSEWHERE[name].replace(" NAME", "").partition(" --")[0]
    assert words in ALL


@pytest.mark.parametrize("command", [*with_json(door.cli)], ids=" ".join)
def test_with_json_what_fails_is_one_object_on_stdout_too(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.main([*command, "--json", "--nonsense"]) == 2
    told = capsys.readouterr()
    assert set(json.loads(told.out)["error"]) == {"code", "message", "hint"}
    assert told.err == ""


def test_a_question_about_json_is_no_wish_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main(["ask", "--nonsense", "--", "--json"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "--nonsense" in told.err


def test_with_json_a_closed_stdout_and_an_odd_word_are_no_fault() -> None:
    shell = f"{sys.executable} -m bethink ask --json --nonsense >&-"
    closed = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (2, "")
    odd = subprocess.run(
        [sys.executable, "-m", "bethink", "ask", "--json", b"--\xff"], capture_output=True, check=False
    )
    assert (odd.returncode, odd.stderr) == (2, b"")
    assert "no option" in json.loads(odd.stdout)["error"]["message"]
