"""Starts `scripted_service.py` in a process of its own, and looks at what that process holds."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil


@dataclass(frozen=True, slots=True)
class Held:
    """`rss_mb` of memory, open files, and requests under way."""

    rss_mb: float
    n_files: int
    n_under_way: int


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    process: psutil.Process
    home: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def held(self) -> Held:
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        found = re.search(r"^bethink_under_way ([0-9.]+)$", text, re.MULTILINE)
        assert found is not None
        return Held(self.process.memory_info().rss / 1e6, self.process.num_fds(), int(float(found[1])))


@contextmanager
def scripted_server(*options: str) -> Generator[Server]:
    with tempfile.TemporaryDirectory() as home, (Path(home) / "log").open("wb") as log:
        command = [sys.executable, str(Path(__file__).with_name("scripted_service.py")), "0", home, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout is not None
            try:
                url = process.stdout.readline().strip()
                assert url, (Path(home) / "log").read_text()
                yield Server(url, psutil.Process(process.pid), Path(home))
            finally:
                process.terminate()
