"""Models over the page's API: listed with what fits, fetched as a job that anybody may watch, cancelled, removed."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from bethink.errors import SourceUnreachable
from bethink.server.page.jobs import Cancelling, JobCancelled, Jobs, Tell
from tests.unit.server.conversations.conftest import Client, Serve

pytestmark = pytest.mark.anyio


async def test_what_is_known_is_listed_with_whether_it_fits(serve: Serve) -> None:
    async with serve() as client:
        models = {model["name"]: model for model in (await client.get("/api/models"))["models"]}
    small = models["smollm2:135m"]
    assert (small["is_pulled"], small["is_loaded"], small["licence"]) == (False, False, "Apache-2.0")
    assert small["needs_bytes"] > 10**8
    assert any(model["fits"] for model in models.values())


@pytest.mark.parametrize(
    ("name", "status"), [("nope:1b", 404), ("./a.gguf", 400), ("/etc/passwd", 400), ("../x.gguf", 400), ("", 400)]
)
async def test_what_is_no_model_of_a_hub_is_not_fetched(serve: Serve, name: str, status: int) -> None:
    async with serve() as client:
        response = await client.http.post("/api/models/pull", json={"name": name})
    assert (response.status_code, set(response.json())) == (status, {"error"})


async def test_a_model_that_is_not_here_is_not_removed(serve: Serve) -> None:
    async with serve() as client:
        response = await client.http.delete("/api/models/smollm2:135m")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_model")


async def test_a_job_is_told_to_every_reader_to_its_end(serve: Serve) -> None:
    may_go = threading.Event()

    def work(tell: Tell, _: Cancelling) -> str:
        tell({"stage": "downloading", "done_bytes": 1, "total_bytes": 2})
        may_go.wait(10)
        return "m"

    async with serve() as client:
        job = client.page.jobs.begin("m", "local", work)
        assert client.page.jobs.begin("m", "local", work) is job
        early = asyncio.create_task(events(client, job.id))
        await asyncio.sleep(0.3)
        may_go.set()
        late_events = await events(client, job.id)
        early_events = await early
    assert early_events[-1] == late_events[-1] == {"type": "done", "name": "m"}
    assert {"type": "progress", "stage": "downloading", "done_bytes": 1, "total_bytes": 2} in early_events


async def test_a_job_that_fails_says_why() -> None:
    def work(_tell: Tell, _: Cancelling) -> str:
        raise SourceUnreachable("no source answers", "check the network")

    def surprises(_tell: Tell, _: Cancelling) -> str:
        raise RuntimeError("a secret of the inside")

    jobs = Jobs()
    last = [
        [event async for event in jobs.begin(name, "", job).follow()][-1]
        for name, job in (("a", work), ("b", surprises))
    ]
    assert last[0]["error"]["code"] == "source_unreachable"
    assert last[1]["error"]["code"] == "job_failed"
    assert "secret" not in json.dumps(last[1])


async def test_a_job_is_cancelled_while_it_waits_and_between_steps(serve: Serve) -> None:
    def waits(_tell: Tell, cancelling: Cancelling) -> str:
        wanted = threading.Event()
        with cancelling.calls(wanted.set):
            assert wanted.wait(10)
        cancelling.check()
        return "never"

    async with serve() as client:
        job = client.page.jobs.begin("m", "local", waits)
        await asyncio.sleep(0.1)
        assert (await client.http.delete(f"/api/jobs/{job.id}")).status_code == 204
        told = await events(client, job.id)
        assert (await client.http.delete("/api/jobs/nope")).status_code == 404
    assert (told[-1]["type"], told[-1]["error"]["code"]) == ("failed", "cancelled")
    with pytest.raises(JobCancelled), job.cancelling.calls(lambda: None):
        pass


async def events(client: Client, job: str) -> list[dict[str, Any]]:
    text = (await client.http.get(f"/api/jobs/{job}/events")).text
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
