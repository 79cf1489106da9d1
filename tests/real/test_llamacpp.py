"""What only the llama.cpp engine has: a server process, which may fail to load, die, or be asked by strangers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil
import pytest

from bethink.config import Settings
from bethink.engine.llamacpp import LlamaCppEngine, LlamaCppSettings
from bethink.errors import EngineClosed, EngineError, InvalidModelFile, UsageError
from bethink.store import LocalModel, Store
from bethink.store.pull import pull
from bethink.types import Sampling

pytestmark = [pytest.mark.real, pytest.mark.anyio]
SMALL = LlamaCppSettings(kv_tokens=512, n_parallel=4)
IDS = [504, 2365, 28]


@pytest.fixture(scope="module")
def local() -> LocalModel:
    return anyio.run(pull, Store(Settings.from_env().home), "smollm2:135m")


@pytest.fixture
def engine(local: LocalModel) -> Iterator[LlamaCppEngine]:
    engine = LlamaCppEngine(local.path, local.sha256, settings=SMALL)
    yield engine
    engine.close()


async def read(engine: LlamaCppEngine, n_tokens: int) -> list[int]:
    return [token.id async for token in engine.start(IDS, Sampling(max_tokens=n_tokens))]


async def test_a_start_need_not_wait_for_the_load(engine: LlamaCppEngine) -> None:
    assert len(await read(engine, 3)) == 3


async def test_a_server_that_dies_is_told_to_every_reader(engine: LlamaCppEngine) -> None:
    readers = [asyncio.ensure_future(read(engine, 400)), asyncio.ensure_future(read(engine, 100))]
    await asyncio.to_thread(engine.wait_until_loaded)
    await asyncio.sleep(0.3)
    os.kill(engine.server_pid, signal.SIGKILL)
    ends = await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), 30)
    assert {type(end) for end in ends} == {EngineClosed}
    assert "the llama.cpp process died" in str(ends[0])
    with pytest.raises(EngineClosed, match="died"):
        engine.start(IDS, Sampling(max_tokens=1))


async def test_a_model_that_llama_cpp_does_not_know_is_a_clear_error(local: LocalModel, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(local.path.read_bytes().replace(b"llama", b"alpca"))
    engine = LlamaCppEngine(odd, local.sha256, settings=SMALL)
    stream = engine.start(IDS, Sampling(max_tokens=1))
    with pytest.raises(EngineError, match=r"cannot load the model.*alpca"):
        await asyncio.to_thread(engine.wait_until_loaded)
    with pytest.raises(EngineError, match="cannot load the model"):
        await anext(aiter(stream))
    engine.close()


def test_a_file_that_is_no_model_is_refused_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 64)
    with pytest.raises(InvalidModelFile):
        LlamaCppEngine(path, "0" * 64)


async def test_strangers_are_not_answered(engine: LlamaCppEngine) -> None:
    engine.wait_until_loaded()
    listening = [c for c in psutil.Process(engine.server_pid).net_connections("tcp") if c.status == "LISTEN"]
    assert [c.laddr.ip for c in listening] == ["127.0.0.1"]
    reader, writer = await asyncio.open_connection("127.0.0.1", listening[0].laddr.port)
    writer.write(b"POST /completion HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert b" 401 " in await reader.readline()
    writer.close()


def test_closing_leaves_no_process_behind(engine: LlamaCppEngine) -> None:
    engine.wait_until_loaded()
    assert psutil.pid_exists(engine.server_pid)
    engine.close()
    assert not psutil.pid_exists(engine.server_pid)


def test_ctrl_c_stays_with_the_program(engine: LlamaCppEngine) -> None:
    handler = signal.getsignal(signal.SIGINT)
    engine.wait_until_loaded()
    assert signal.getsignal(signal.SIGINT) is handler
    assert os.getpgid(engine.server_pid) != os.getpgid(0)


def test_a_program_that_is_killed_takes_its_server_along(local: LocalModel) -> None:
    program = f"""
        import sys, time
        from pathlib import Path
        from bethink.engine.llamacpp import LlamaCppEngine, LlamaCppSettings
        engine = LlamaCppEngine(Path({str(local.path)!r}), "0" * 64, settings=LlamaCppSettings(512, n_parallel=2))
        engine.wait_until_loaded()
        print(engine.server_pid, flush=True)
        time.sleep(600)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        server_pid = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 20
    while psutil.pid_exists(server_pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not psutil.pid_exists(server_pid)


async def test_a_schema_that_llama_cpp_cannot_read_is_an_error_of_its_stream(engine: LlamaCppEngine) -> None:
    odd = '{"$ref": "#/definitions/nowhere"}'
    stream = engine.start(IDS, Sampling(max_tokens=4, json_schema=odd))
    with pytest.raises((EngineError, UsageError), match="cannot hold an answer to this JSON schema: Pointer"):
        await anext(aiter(stream))
    assert len(await read(engine, 2)) == 2
