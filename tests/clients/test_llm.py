"""The `llm` command with a model of ours in its extra-openai-models.yaml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import ANSWER, client

llm = client("llm")


@pytest.fixture
def user_path(tmp_path: Path, url: str) -> Path:
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: ours\n  model_name: scripted\n  api_base: {url}/v1\n  api_key_name: ours\n"
    )
    (tmp_path / "keys.json").write_text('{"ours": "none"}')
    return tmp_path


@pytest.mark.parametrize("options", [[], ["--no-stream"], ["-o", "temperature", "0.5"]], ids=" ".join)
def test_the_command_answers(user_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "llm", "prompt", "-m", "ours", *options, "Tell me about two and two."]
    environment = os.environ | {"LLM_USER_PATH": str(user_path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ANSWER
