"""A whole server over the scripted engine, in process: tests ask it as clients do, through ASGI."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from bethink.engine.scripted import Context, Line, Script, ScriptedEngine
from bethink.model import Model
from bethink.profiles import Profile
from bethink.server.app import Surroundings, create_app
from bethink.server.batches.runner import Batches
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from bethink.server.wire.dialects import dialects_of
from bethink.server.wire.openai.response_store import ResponseStore
from bethink.types import Request
from tests.unit import scripted_models
from tests.unit.scripted_models import NATIVE

THOUGHT, ANSWER = "Two and two are four.", "It is 4."
SIMPLE: Script = {"assistant\n<think>\n": f"{THOUGHT}\n</think>\n\n{ANSWER}", "</think>\n\n": ANSWER}


def scripted_model(script: Script, *, profile: Profile = NATIVE, **settings: Any) -> Model:
    return scripted_models.scripted_model(script, profile=profile, **settings)


@dataclass(slots=True)
class Served:
    """The server and its model; `client` asks it."""

    client: httpx.AsyncClient
    model: Model
    service: Service
    app: Starlette

    @property
    def batches(self) -> Batches:
        return self.app.state.batches

    @property
    def engine(self) -> ScriptedEngine:
        assert isinstance(self.model.engine, ScriptedEngine)
        return self.model.engine

    @property
    def prompt(self) -> str:
        """What the model read last."""
        return self.engine.starts[-1].text

    def read(self, path: str, body: Mapping[str, Any]) -> Request:
        """What the dialect at that path makes of a body."""
        dialect = next(d for p, d, _ in dialects_of(ResponseStore()) if p == path)
        request = dialect.read(json.dumps(body).encode())[0].request
        assert isinstance(request, Request)
        return request

    async def post(self, path: str, body: Mapping[str, Any], *, status: int = 200) -> Any:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def events(self, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The data of a stream of events; each with its name under `event` where it has one."""
        answer = await self.client.post(path, json={**body, "stream": True})
        assert answer.status_code == 200, answer.text
        events = list[dict[str, Any]]()
        for block in answer.text.strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if fields.get("data", "[DONE]") != "[DONE]":
                events.append({"event": fields.get("event"), **json.loads(fields["data"])})
        return events

    async def lines(self, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]


@asynccontextmanager
async def serving(
    script: Script = SIMPLE, *, profile: Profile = NATIVE, home: Path | None = None, **settings: Any
) -> AsyncGenerator[Served]:
    model = scripted_model(script, profile=profile, **settings)
    pool = Pool(load=lambda _: model, known=lambda: ("scripted",), default="scripted")
    service = Service(pool)
    app = create_app(service, Surroundings(home=home))
    async with app.router.lifespan_context(app), _asking(app) as client:
        yield Served(client, model, service, app)


@asynccontextmanager
async def serving_model(model: Model) -> AsyncGenerator[Served]:
    """The server over a model that stays open afterwards."""
    pool = Pool(load=lambda _: model, known=lambda: ("scripted",), default="scripted")
    pool.add("scripted", model)
    service = Service(pool)
    app = create_app(service)
    async with _asking(app) as client:
        yield Served(client, model, service, app)


def _asking(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")


def says(*answers: str) -> Script:
    """A model that thinks, and then gives one of the answers, by its seed."""

    def script(context: Context) -> Line:
        answer = answers[context.sampling.seed % len(answers)]
        if "</think>" in context.text.rsplit("assistant\n", 1)[1]:
            return Line(answer)
        return Line(f"{THOUGHT}\n</think>\n\n{answer}")

    return script
