"""A measurement on a real small model: it is killed, goes on, and its numbers are those of its lines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bethink.cli.main import main

pytestmark = pytest.mark.real

N = 8


def command(folder: Path) -> list[str]:
    path = folder / "sums.jsonl"
    rows = [{"question": f"What is {n} + {n + 1}?", "answer": 2 * n + 1} for n in range(N)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = ["--model", "smollm2:135m", "--arms", "plain, fixed:2, budget:32", "--max-tokens", "160"]
    return ["eval", str(path), *options, "--parallel", "4", "--seed", "7", "--out", str(folder / "out")]


def n_lines(results: Path) -> int:
    return results.read_bytes().count(b"\n") if results.exists() else 0


def test_a_measurement_survives_a_kill_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, results = command(tmp_path), tmp_path / "out" / "results.jsonl"
    process = subprocess.Popen([sys.executable, "-m", "bethink", *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while n_lines(results) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = results.read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    assert whole

    assert main([*arguments, "--json"]) == 0
    assert results.read_bytes().startswith(whole)
    lines = [json.loads(line) for line in results.read_bytes().splitlines()]
    assert sorted((line["id"], line["arm"]) for line in lines) == sorted(
        (str(n + 1), arm) for n in range(N) for arm in ("plain", "fixed:2", "budget:32")
    )
    assert all(line["error"] is None and line["tokens"] > 0 and line["answer"].strip() for line in lines)
    assert all(line["thinking_tokens"] <= 32 for line in lines if line["arm"] == "budget:32")
    summary = json.loads(capsys.readouterr().out)
    for name, arm in summary["arms"].items():
        rights = [line["lenient"] is True for line in lines if line["arm"] == name]
        assert arm["lenient"]["value"] == pytest.approx(sum(rights) / N)
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
