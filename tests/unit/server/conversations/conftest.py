"""A whole server in this process over the scripted engine, and a page that speaks to it over its own wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from bethink.config import Settings
from bethink.engine.scripted import Said, Script
from bethink.model import Model
from bethink.profiles import Profile
from bethink.server.accounts.database import open_database
from bethink.server.app import create_app
from bethink.server.page.page import Page
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from tests.unit.scripted_models import NATIVE, scripted_model

CLOSED = NATIVE.close_text
SIMPLE: dict[str, Said] = {"assistant\n": "<think>\ntwo and two</think>It is 4.", CLOSED: "It is 4."}


def make_model(script: Script = SIMPLE, *, profile: Profile = NATIVE, **settings: Any) -> Model:
    return scripted_model(script, profile=profile, **settings)


@dataclass
class Display:
    """What a page shows that does with events what the contract says."""

    thinking: dict[int, str] = field(default_factory=dict[int, str])
    answer: dict[int, str] = field(default_factory=dict[int, str])
    last: dict[str, Any] | None = None
    at: int = 0
    n_events: int = 0

    def take(self, number: int, event: dict[str, Any]) -> None:
        assert number > self.at or event["type"] == "snapshot"
        self.at, self.n_events = number, self.n_events + 1
        match event["type"]:
            case "delta":
                texts = self.thinking if event["phase"] == "thinking" else self.answer
                texts[event["path"]] = texts.get(event["path"], "") + event["text"]
            case "rolled_back":
                self.thinking[event["path"]] = self.thinking.get(event["path"], "")[: event["keep_chars"]]
            case "path":
                self.answer[event["index"]] = event["answer"]
            case "snapshot":
                self.thinking = {path["index"]: path["thinking"] for path in event["paths"]}
                self.answer = {path["index"]: path["answer"] for path in event["paths"]}
            case "finished" | "failed":
                self.last = event
                if "node" in event and set(self.thinking) | set(self.answer) <= {0}:
                    self.thinking = {0: event["node"]["thinking"] or ""}
                    self.answer = {0: event["node"]["content"]}
            case _:
                pass


@dataclass
class Client:
    """Speaks to a server as the page does."""

    http: httpx.AsyncClient
    page: Page

    async def get(self, path: str, **query: Any) -> Any:
        return self._read(await self.http.get(path, params=query))

    async def post(self, path: str, body: object = None) -> Any:
        return self._read(await self.http.post(path, json=body))

    async def new(self) -> str:
        return (await self.post("/api/conversations", {}))["id"]

    async def ask(self, conversation: str, content: str, parent: str | None = None, **settings: Any) -> dict[str, Any]:
        body = {"parent": parent, "content": content, "settings": settings}
        return await self.post(f"/api/conversations/{conversation}/ask", body)

    async def answer(self, conversation: str, content: str, parent: str | None = None, **settings: Any) -> Any:
        """Ask and wait; the answer as the conversation has it then."""
        asked = await self.ask(conversation, content, parent, **settings)
        await self.watch(asked["assistant"]["id"])
        return await self.node(conversation, asked["assistant"]["id"])

    async def node(self, conversation: str, node_id: str) -> Any:
        found = await self.get(f"/api/conversations/{conversation}")
        return next(node for node in found["nodes"] if node["id"] == node_id)

    async def watch(self, node_id: str) -> Display:
        """Follow an answer to its end."""
        display = Display()
        text = (await self.http.get(f"/api/nodes/{node_id}/events")).text
        for block in text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if lines:
                display.take(int(lines["id"]), json.loads(lines["data"]))
        return display

    def _read(self, response: httpx.Response) -> Any:
        assert response.status_code < 300, response.text
        return response.json() if response.content else None


Serve = Callable[..., "contextlib.AbstractAsyncContextManager[Client]"]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a database that nobody has used: bringing one up takes half a second."""
    home = tmp_path_factory.mktemp("migrated")
    open_database(None, home).dispose()
    return home


@pytest.fixture
def serve(tmp_path: Path, migrated: Path) -> Serve:
    """Starts a server over the same database each time."""
    shutil.copytree(migrated, tmp_path, dirs_exist_ok=True)

    @contextlib.asynccontextmanager
    async def started(model: Model | None = None, **pool: Any) -> AsyncGenerator[Client]:
        loaded = model or make_model()
        service = Service(Pool(load=lambda _: loaded, known=lambda: ("scripted",), default="scripted", **pool))
        database = open_database(None, tmp_path)
        page = Page.of(service, database, Settings(tmp_path))
        app = create_app(service, None, page)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                yield Client(http, page)
        database.dispose()

    return started


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.005)
