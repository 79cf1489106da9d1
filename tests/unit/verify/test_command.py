"""A user's command judges, and ends with all it started."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from bethink.errors import UsageError
from bethink.verify.command import check_command


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


@pytest.mark.parametrize(("code", "passed"), [(0, True), (1, False), (2, False), (5, None)])
def test_the_exit_code_is_the_verdict(code: int, passed: bool | None) -> None:
    verdict = check_command(python(f"import sys; print('seen', sys.stdin.read()); sys.exit({code})"), "äh")
    assert (verdict.kind, verdict.passed, verdict.extracted) == ("cmd", passed, "äh")
    assert verdict.why.endswith(": seen äh")


def test_there_is_no_shell_in_between(tmp_path: Path) -> None:
    made = tmp_path / "made"
    verdict = check_command(f"echo '$HOME' ; touch {made}", "x")
    assert "$HOME ; touch" in verdict.why
    assert not made.exists()


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    start = "import subprocess, time; p = subprocess.Popen(['sleep', '60'])"
    code = f"{start}; open({str(note)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    began = time.monotonic()
    verdict = check_command(python(code), "x", timeout_s=2)
    assert (verdict.passed, time.monotonic() - began < 40) == (None, True)
    assert "took longer than 2 s" in verdict.why
    time.sleep(0.3)
    state = Path(f"/proc/{note.read_text()}/stat")
    assert not state.exists() or ") Z " in state.read_text()


def test_output_without_end_is_cut() -> None:
    verdict = check_command(python("while True: print('x' * 1000)"), "x", timeout_s=1)
    assert verdict.passed is None
    assert len(verdict.why) < 3000


def test_an_answer_that_nobody_reads_is_no_trouble() -> None:
    assert check_command("true", "x" * 5_000_000).passed is True


def test_control_characters_are_not_shown() -> None:
    verdict = check_command(python(r"print('\x1b[31mred\x1b[0m\x07')"), "x")
    assert verdict.why.endswith(": red")


def test_what_cannot_be_started_or_dies_is_unsure(tmp_path: Path) -> None:
    script = tmp_path / "not-executable"
    script.write_text("")
    for command in ("no-such-command-anywhere", str(script), str(tmp_path), python("import os; os.abort()")):
        assert check_command(command, "x").passed is None


@pytest.mark.parametrize("command", ["", "   ", "echo 'unclosed"])
def test_a_command_that_is_none_is_a_usage_error(command: str) -> None:
    with pytest.raises(UsageError):
        check_command(command, "x")


def test_it_runs_as_the_user_with_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_USER", "seen")
    assert check_command(python("import os; print(os.environ['OF_THE_USER'], os.getuid())"), "").why.endswith(
        f"seen {os.getuid()}"
    )
