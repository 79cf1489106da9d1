"""A worker that was started before anybody knew what to load: taken once, ended when nobody needs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bethink.engine.openvino import wire
from bethink.engine.openvino.process import WorkerProcess, dismiss, stand_by

LOAD = wire.Load("/nowhere", 16, 64)


def workers() -> set[int]:
    found = psutil.Process().children()
    return {child.pid for child in found if "bethink.engine.openvino.worker" in child.cmdline()}


@pytest.fixture
def standing() -> Iterator[int]:
    """The process that stands by."""
    before = workers()
    stand_by()
    (pid,) = workers() - before
    yield pid
    dismiss()


def told(worker: WorkerProcess) -> str:
    """What it says when it is to load what is not there."""
    heard = worker.receive()
    worker.kill()
    worker.free()
    assert heard is not None
    return str(heard[0])


def test_who_stands_by_becomes_the_next_worker_and_nobody_elses(standing: int) -> None:
    first, second = WorkerProcess(LOAD), WorkerProcess(LOAD)
    assert (first.pid, second.pid != standing) == (standing, True)
    assert (told(first), told(second)) == ("failed", "failed")


def test_who_was_not_needed_is_ended(standing: int) -> None:
    dismiss()
    assert not psutil.pid_exists(standing)
    dismiss()


def test_who_died_while_standing_by_is_not_taken(standing: int) -> None:
    psutil.Process(standing).kill()
    psutil.wait_procs([psutil.Process(standing)], timeout=10)
    worker = WorkerProcess(LOAD)
    assert worker.pid != standing
    assert told(worker) == "failed"


def test_where_openvino_is_not_installed_nobody_stands_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "openvino_genai", raising=False)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    before = workers()
    stand_by()
    assert workers() == before
