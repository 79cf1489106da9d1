"""A whole server over the scripted engine: in process, or on a socket of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette

from bethink.engine.scripted import Context, Fault, Line, Script, ScriptedEngine
from bethink.model import Model
from bethink.server.accounts import Accounts
from bethink.server.app import Surroundings, create_app
from bethink.server.limits import Limits
from bethink.server.listening import Server, Serving, Stopping, bind
from bethink.server.record import Record
from bethink.server.running.admission import Admission
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from tests.unit import scripted_models
from tests.unit.scripted_models import PLAIN

NAME = "scripted:1b"
THOUGHT = "Six times seven is forty-two."


def thinks(context: Context) -> Line:
    """Whatever is asked: a short thought, and 42."""
    return Line("42") if context.text.endswith(PLAIN.answer_lead) else Line(THOUGHT)


def scripted_model(script: Script = thinks, **settings: Any) -> Model:
    return scripted_models.scripted_model(script, name=NAME, **settings)


@dataclass(slots=True)
class Rig:
    """A server with one scripted model, and what it told of its requests."""

    model: Model
    service: Service
    records: list[Record] = field(default_factory=list[Record])
    faults: list[BaseException] = field(default_factory=list[BaseException])

    @property
    def engine(self) -> ScriptedEngine:
        assert isinstance(self.model.engine, ScriptedEngine)
        return self.model.engine

    def app(self, around: Surroundings | None = None) -> Starlette:
        around = around or Surroundings()
        return create_app(self.service, Surroundings(around.doors, around.keys, around.metrics, self.records.append))


def rig(
    script: Script = thinks,
    *,
    accounts: Accounts | None = None,
    parallel: int = 32,
    limits: Limits | None = None,
    drain_s: float = 5.0,
    faults: Sequence[Fault | None] = (),
    **settings: Any,
) -> Rig:
    limits = limits or Limits()
    model = scripted_model(script, faults=faults, **settings)
    pool = Pool(load=lambda _: model, known=lambda: (NAME,), default=NAME)
    service = Service(pool, Admission(accounts, parallel, limits), limits, Stopping(drain_s))
    made = Rig(model, service)
    service.on_fault = lambda error, _record: made.faults.append(error)
    return made


@asynccontextmanager
async def in_process(made: Rig, around: Surroundings | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(made.app(around))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@dataclass(slots=True)
class Listening:
    """A server on a socket, and what it noted."""

    port: int
    server: Server
    task: asyncio.Task[None]
    notes: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def on_a_socket(
    made: Rig, around: Surroundings | None = None, *, trusts_proxy: bool = False
) -> AsyncGenerator[Listening]:
    sockets = bind("127.0.0.1", 0)
    service, started, notes = made.service, asyncio.Event(), list[str]()
    server = Server(
        Serving(
            made.app(around),
            sockets,
            service.stopping,
            limits=service.limits,
            trusts_proxy=trusts_proxy,
            n_running=lambda: service.n_running,
            stop_all=service.running.stop_all,
            on_started=started.set,
            on_note=notes.append,
        )
    )
    task = asyncio.create_task(server.serve(sockets))
    await started.wait()
    try:
        yield Listening(sockets[0].getsockname()[1], server, task, notes)
    finally:
        service.stopping.is_draining = service.stopping.is_forced = True
        await task


def asked(text: str = "What is 6 * 7?", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}
