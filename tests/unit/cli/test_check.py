"""`bethink check` from a shell: words, JSON, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bethink.cli.main import main
from bethink.errors import SandboxMissing
from bethink.verify import sandbox as rooms

PROGRAM = "def double(n):\n    return n * 2\n"
RIGHT = "def test_two():\n    assert double(2) == 4\n"
WRONG = RIGHT + "def test_three():\n    assert double(3) == 7\n"


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["check", *words])
    return code, capsys.readouterr().out


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "program.py": PROGRAM,
        "answer.md": f"Here you are:\n\n```python\n{PROGRAM}```\nIt doubles.",
        "prose.md": "I do not know.",
        "right.py": RIGHT,
        "wrong.py": WRONG,
        "unclear.py": "assert 1 == 1",
        "stdio.py": "print(int(input()) * 2)",
        "cases.json": '[{"stdin": "2\\n", "stdout": "4\\n"}]',
        "no-cases.json": "[1, 2]",
        "schema.json": '{"type": "object", "required": ["age"]}',
        "good.json": '{"age": 7}',
        "bad.json": "{}",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def needs_sandbox() -> None:
    try:
        rooms.open_sandbox().close()
    except SandboxMissing as error:
        if os.environ.get("BETHINK_TEST_SANDBOX") == "required":
            pytest.fail(f"a sandbox is required here: {error}")
        pytest.skip(f"no sandbox here: {error}")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["math", "1/2", "0.5"], 0, "passed: equals 1/2\n"),
        (["math", "3", "4"], 1, "failed: is not 3\n"),
        (["math", "-5", "-5"], 0, "passed: equals -5\n"),
        (["math", "72", "So the answer is \\boxed{72}."], 0, "passed: equals 72\n"),
        (["math", "72", "I think there are 72 of them"], 0, "passed: equals 72\n"),
        (["math", "7 apples", "7 apples"], 0, "passed: equals 7 apples\n"),
        (["schema", "schema.json", "good.json"], 0, "passed: holds to the schema\n"),
        (["schema", "schema.json", "bad.json"], 1, "failed: $: 'age' is a required property\n"),
        (["cmd", "grep -q age", "good.json"], 0, "passed: the verifier passed it\n"),
        (["cmd", "grep -q age", "bad.json"], 1, "failed: exit code 1\n"),
        (["cmd", "sh -c 'exit 5'", "bad.json"], 5, "unsure: the verifier is unsure\n"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_exit_code_and_the_words_agree(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(capsys, *words) == (code, said)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["program.py", "--tests", "right.py"], 0, "passed: all tests passed\n"),
        (["answer.md", "--tests", "right.py"], 0, "passed: all tests passed\n"),
        (["program.py", "--tests", "wrong.py"], 1, "failed: test_three: assert double(3) == 7: got 6, expected 7\n"),
        (["prose.md", "--tests", "right.py"], 1, "failed: no program was found in the answer\n"),
        (
            ["program.py", "--tests", "unclear.py"],
            5,
            "unsure: cannot be checked: the tests use nothing of the program\n",
        ),
        (["stdio.py", "--tests", "cases.json"], 0, "passed: all cases passed\n"),
    ],
)
@pytest.mark.usefixtures("folder", "needs_sandbox")
def test_programs_are_checked(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys, "code", *words) == (code, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["math", "", ""], "GOLD is empty"),
        (["math", " ", "72"], "GOLD is empty"),
        (["schema", "no-schema.json", "prose.md"], "the schema cannot be used"),
        (["schema", "schema.json", "bytes"], "bytes is not a text file"),
        (["code", "bytes", "--tests", "right.py"], "bytes is not a text file"),
    ],
)
def test_what_can_prove_nothing_is_wrong_usage_and_no_verdict(
    words: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "no-schema.json").write_text('{"type": 3}')
    (folder / "bytes").write_bytes(b"\x7fELF\0\1")
    assert main(["check", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("folder", "needs_sandbox")
def test_json_is_exactly_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    for words, code, passed in (
        (["code", "program.py", "--tests", "right.py"], 0, True),
        (["code", "program.py", "--tests", "wrong.py"], 1, False),
        (["code", "program.py", "--tests", "unclear.py"], 5, None),
        (["math", "1/2", "0.5"], 0, True),
        (["schema", "schema.json", "bad.json"], 1, False),
        (["cmd", "sh -c 'exit 5'", "bad.json"], 5, None),
    ):
        returned, out = check(capsys, *words, "--json")
        verdict = json.loads(out)
        assert list(verdict) == ["kind", "passed", "extracted", "why", "seconds"]
        assert (returned, verdict["passed"], verdict["kind"]) == (code, passed, words[0])
        assert isinstance(verdict["seconds"], float)


@pytest.mark.usefixtures("folder")
def test_without_a_sandbox_code_is_refused_unless_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    words = ["code", "program.py", "--tests", "right.py"]
    assert main(["check", *words]) == 5
    error = capsys.readouterr().err
    assert "bwrap (bubblewrap) is not installed" in error
    assert "--unsafe-local" in error
    code, out = check(capsys, *words, "--json")
    assert (code, json.loads(out)["passed"], json.loads(out)["why"][:8]) == (5, None, "refused:")
    assert check(capsys, *words, "--unsafe-local") == (0, "passed: all tests passed (run without a sandbox)\n")
    words[3] = "wrong.py"
    assert check(capsys, *words, "--unsafe-local")[0] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["code", "program.py"],
        ["code", "missing.py", "--tests", "right.py"],
        ["code", "program.py", "--tests", "no-cases.json"],
        ["schema", "program.py", "good.json"],
        ["cmd", "echo 'unclosed", "good.json"],
        ["math", "1"],
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_is_code_two(words: list[str]) -> None:
    assert main(["check", *words]) == 2


@pytest.mark.usefixtures("folder")
def test_a_dash_reads_standard_input() -> None:
    def piped(text: str, *words: str) -> int:
        command = [sys.executable, "-m", "bethink", "check", *words]
        return subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode

    assert piped('{"age": 1}', "schema", "schema.json", "-") == 0
    assert piped("The answer is \\boxed{72}.\n", "math", "72", "-") == 0
    assert piped("nothing", "cmd", "grep -q age", "-") == 1
