"""A server on a port of its own over the scripted engine, for clients as they are installed.

Every client is imported inside its own test file and skipped where it is not there (`pip install bethink[clients]`), or
fails when `BETHINK_TEST_CLIENTS=required`, as CI sets it.
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from types import ModuleType

import pytest
import uvicorn

from bethink.engine.scripted import Context, Line
from bethink.server.app import Surroundings, create_app
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from tests.unit.server.wire.served import THOUGHT, scripted_model

ANSWER = "It is 4."


def script(context: Context) -> Line:
    """A model that thinks; that calls the first tool it is shown, and answers when it has its result."""
    turn = context.text.rsplit("assistant\n", 1)[-1]
    if "<|im_start|>" not in context.text:
        return Line(" return a + b")
    said = _said(context)
    return Line(said if "</think>" in turn else f"{THOUGHT}\n</think>\n\n{said}")


def _said(context: Context) -> str:
    tool = re.search(r'"name": "(\w+)"', context.text) if "<tools>" in context.text else None
    if context.text.endswith('"arguments": '):
        return '{"a": 2, "b": 2}'
    if context.sampling.json_schema is not None:
        return '{"sum": 4}'
    if tool is not None and "<tool_response>" not in context.text:
        return f'<tool_call>\n{{"name": "{tool[1]}", "arguments": {{"a": 2, "b": 2}}}}\n</tool_call>'
    result = re.search(r"<tool_response>\s*(.*?)\s*</tool_response>", context.text, re.DOTALL)
    return f"The tool says {result[1]}." if result else ANSWER


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server listens."""
    model = scripted_model(script, capabilities=frozenset({"json_schema", "logprobs", "top_logprobs"}))
    pool = Pool(load=lambda _: model, known=lambda: ("scripted",), default="scripted")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_app(Service(pool), Surroundings(home=tmp_path_factory.mktemp("home"))),
            log_level="warning",
            lifespan="on",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What clients leave open is theirs to close, and is no failure of a test here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def client(name: str) -> ModuleType:
    """An installed client, or a skipped test."""
    if os.environ.get("BETHINK_TEST_CLIENTS") == "required":
        return importlib.import_module(name)
    return pytest.importorskip(name, reason="pip install bethink[clients]")
