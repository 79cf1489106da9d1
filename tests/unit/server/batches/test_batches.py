"""Files and batches: every request gets one line, whatever happens to the server in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from bethink.engine.scripted import Context, Line
from bethink.server.batches.store import Batch, BatchStore
from tests.unit.server.wire.served import ANSWER, SIMPLE, THOUGHT, Served, serving

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
OVER = {"completed", "failed", "cancelled", "expired"}


def line(custom_id: str, *, url: str = CHAT, **body: Any) -> dict[str, Any]:
    asked = {"messages": [{"role": "user", "content": "2 and 2?"}], "seed": 1, **body}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": asked}


async def upload(served: Served, lines: list[Any]) -> str:
    data = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    files = {"file": ("in.jsonl", data.encode(), "application/jsonl")}
    answer = await served.client.post("/v1/files", files=files, data={"purpose": "batch"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def create(served: Served, lines: list[Any], *, endpoint: str = CHAT) -> dict[str, Any]:
    body = {"input_file_id": await upload(served, lines), "endpoint": endpoint, "completion_window": "24h"}
    return await served.post("/v1/batches", body)


async def ended(served: Served, batch_id: str) -> dict[str, Any]:
    for _ in range(2000):
        batch = (await served.client.get(f"/v1/batches/{batch_id}")).json()
        if batch["status"] in OVER:
            return batch
        await asyncio.sleep(0.005)
    raise AssertionError(f"{batch_id} goes on and on")


async def results(served: Served, file_id: str | None) -> dict[str, Any]:
    if file_id is None:
        return {}
    text = (await served.client.get(f"/v1/files/{file_id}/content")).text
    told = [json.loads(one) for one in text.splitlines()]
    assert len({one["custom_id"] for one in told}) == len(told)
    return {one["custom_id"]: one for one in told}


async def test_every_request_gets_its_line_and_errors_stand_apart(tmp_path: Path) -> None:
    lines = [line("a"), line("b", temperature=9), line("c", model="nope"), line("d"), line("e", stream=True)]
    async with serving(home=tmp_path) as served:
        batch = await ended(served, (await create(served, lines))["id"])
        output = await results(served, batch["output_file_id"])
        errors = await results(served, batch["error_file_id"])
    assert (batch["status"], batch["request_counts"]) == ("completed", {"total": 5, "completed": 2, "failed": 3})
    assert {one["response"]["body"]["choices"][0]["message"]["content"] for one in output.values()} == {ANSWER}
    assert [errors[name]["response"]["status_code"] for name in "bce"] == [400, 404, 400]
    assert errors["b"]["response"]["body"]["error"]["param"] == "temperature"


async def test_a_batch_speaks_any_dialect(tmp_path: Path) -> None:
    asked = line("a", url="/v1/messages", max_tokens=600, thinking={"type": "adaptive"})
    async with serving(home=tmp_path) as served:
        batch = await ended(served, (await create(served, [asked], endpoint="/v1/messages"))["id"])
        output = await results(served, batch["output_file_id"])
    assert output["a"]["response"]["body"]["content"][0]["thinking"] == THOUGHT


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([], "empty_file", 1),
        ([line("a"), "{"], "invalid_request", 2),
        ([line("a"), line("a")], "duplicate", 2),
        ([line("a", url="/v1/responses")], "invalid_value", 1),
        ([{"custom_id": "a"}], "missing_field", 1),
    ],
)
async def test_a_file_that_cannot_be_read_fails_before_anything_runs(
    tmp_path: Path, lines: list[Any], code: str, number: int
) -> None:
    async with serving(home=tmp_path) as served:
        batch = await ended(served, (await create(served, lines))["id"])
        assert served.engine.starts == []
    assert batch["status"] == "failed"
    assert (batch["errors"]["data"][0]["code"], batch["errors"]["data"][0]["line"]) == (code, number)


async def test_a_batch_is_finished_by_the_next_server_and_asks_nothing_twice(tmp_path: Path) -> None:
    """The first server stops, as a kill does, with one line whole and one half."""
    lines = [line(str(n)) for n in range(6)]
    async with serving(home=tmp_path, first_token_s=60.0) as served:
        batch = await create(served, lines)
        while (await served.client.get(f"/v1/batches/{batch['id']}")).json()["status"] != "in_progress":
            await asyncio.sleep(0.005)
    store = BatchStore(tmp_path / "batches")
    whole = {"id": "r", "custom_id": "3", "response": {"status_code": 200, "body": {"marked": True}}, "error": None}
    output = store.result_path(store.all()[0], "output")
    output.write_text(json.dumps(whole) + '\n{"id": "r", "custom_id": "4", "resp')
    async with serving(home=tmp_path) as served:
        done = await ended(served, batch["id"])
        told = await results(served, done["output_file_id"])
        n_starts = sum("</think>" not in start.text for start in served.engine.starts)
    assert sorted(told) == ["0", "1", "2", "3", "4", "5"]
    assert told["3"]["response"]["body"] == {"marked": True}
    assert n_starts == 5
    assert done["request_counts"] == {"total": 6, "completed": 6, "failed": 0}


async def cut_off(served: Served) -> None:
    """The time to drain is over."""
    served.service.stopping.next()
    while served.service.n_running:
        served.service.running.stop_all()
        await asyncio.sleep(0.005)


async def test_a_server_that_ends_leaves_what_it_cut_off_to_the_next(tmp_path: Path) -> None:
    """The time to drain is over: one line runs, the others wait for their turn."""
    lines = [line(str(n), thinking_budget=0, max_tokens=20_000) for n in range(4)]
    async with serving(lambda _: Line("On and on", loop="."), home=tmp_path, token_delay_s=0.001) as served:
        served.service.admission.parallel = 1
        batch = await create(served, lines)
        while not served.engine.starts:
            await asyncio.sleep(0.005)
        await cut_off(served)
    left = BatchStore(tmp_path / "batches").all()[0]
    assert (left.status, left.n_completed, left.n_failed) == ("in_progress", 0, 0)
    async with serving(home=tmp_path) as served:
        done = await ended(served, batch["id"])
        told = await results(served, done["output_file_id"])
    assert sorted(told) == ["0", "1", "2", "3"]
    assert {one["response"]["body"]["choices"][0]["finish_reason"] for one in told.values()} == {"stop"}


async def test_a_vote_that_the_end_of_the_server_cut_short_is_no_result(tmp_path: Path) -> None:
    """One path of four has answered when the time to drain is over: what it says is not what the vote would have."""

    def script(context: Context) -> Line:
        return Line("The answer is 4.", loop="" if context.n_start == 0 else ".")

    asked = line("0", thinking_budget=0, max_tokens=20_000, bethink={"paths": 4})
    async with serving(script, home=tmp_path, token_delay_s=0.001) as served:
        batch = await create(served, [asked])
        while len(served.engine.starts) < 4:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        await cut_off(served)
    left = BatchStore(tmp_path / "batches").all()[0]
    assert (left.status, left.n_completed, left.n_failed) == ("in_progress", 0, 0)
    async with serving(home=tmp_path) as served:
        done = await ended(served, batch["id"])
    assert done["request_counts"] == {"total": 1, "completed": 1, "failed": 0}


@contextlib.contextmanager
def files_of_at_most(n_bytes: int) -> Generator[None]:
    """As on a disk without room: what would be longer fails, or is cut, where it is written."""
    resource = pytest.importorskip("resource")
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


async def test_a_disk_without_room_is_waited_for_and_spoils_no_line(tmp_path: Path) -> None:
    async with serving(home=tmp_path) as served:
        served.batches.patience_s = 0.05
        batch = await create(served, [line(str(n)) for n in range(5)])
        store = BatchStore(tmp_path / "batches")
        output = store.result_path(store.all()[0], "output")
        with files_of_at_most(2500):
            while not output.exists():
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.3)
            full = output.read_bytes()
            refused = await served.client.post(
                "/v1/files", files={"file": ("in.jsonl", b"x" * 4000)}, data={"purpose": "batch"}
            )
        done = await ended(served, batch["id"])
        told = await results(served, done["output_file_id"])
    assert full.endswith(b"}\n")
    assert 0 < full.count(b"\n") < 5
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
    assert str(tmp_path) not in refused.text
    assert not list(tmp_path.rglob("*.part"))
    assert (done["status"], sorted(told)) == ("completed", ["0", "1", "2", "3", "4"])


async def test_a_cancelled_batch_keeps_what_was_answered(tmp_path: Path) -> None:
    def script(context: Context) -> Line:
        return Line(ANSWER, loop="." if "slow" in context.text else "")

    slow: dict[str, Any] = {"messages": [{"role": "user", "content": "slow"}], "thinking_budget": 0}
    slow["max_tokens"] = 20_000
    async with serving(script, home=tmp_path, token_delay_s=0.001) as served:
        batch = await create(served, [line("quick", thinking_budget=0), line("slow", **slow)])
        while (await served.client.get(f"/v1/batches/{batch['id']}")).json()["request_counts"]["completed"] < 1:
            await asyncio.sleep(0.005)
        await served.post(f"/v1/batches/{batch['id']}/cancel", {})
        done = await ended(served, batch["id"])
        output, errors = await results(served, done["output_file_id"]), await results(served, done["error_file_id"])
        again = await served.post(f"/v1/batches/{batch['id']}/cancel", {}, status=400)
        async with asyncio.timeout(5):
            while served.service.n_running:  # it is settled a moment after its batch has ended
                await asyncio.sleep(0.005)
    assert (done["status"], list(output), list(errors)) == ("cancelled", ["quick"], ["slow"])
    assert errors["slow"]["error"]["code"] == "batch_cancelled"
    assert "cancelled already" in again["error"]["message"]


async def test_a_batch_whose_time_is_over_ends(tmp_path: Path) -> None:
    async with serving(SIMPLE, home=tmp_path) as served:
        file_id = await upload(served, [line("a")])
        batches = served.batches
        batch = Batch("batch_" + "0" * 24, "local", "", CHAT, file_id, "24h", created_at=1, expires_at=2)
        batches.add(batch)
        done = await ended(served, batch.id)
        errors = await results(served, done["error_file_id"])
    assert (done["status"], errors["a"]["error"]["code"]) == ("expired", "batch_expired")


async def test_files_are_listed_shown_and_deleted(tmp_path: Path) -> None:
    async with serving(home=tmp_path) as served:
        first, second = await upload(served, [line("a")]), await upload(served, [line("b")])
        listed = (await served.client.get("/v1/files?limit=1")).json()
        assert (len(listed["data"]), listed["has_more"]) == (1, True)
        rest = (await served.client.get(f"/v1/files?after={listed['last_id']}")).json()
        assert {listed["data"][0]["id"], rest["data"][0]["id"]} == {first, second}
        assert (await served.client.delete(f"/v1/files/{first}")).json()["deleted"] is True
        for path in (f"/v1/files/{first}", f"/v1/files/{first}/content", "/v1/files/..%2fx", "/v1/batches/batch_1"):
            assert (await served.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    "form", [{}, {"data": {"purpose": "batch"}}, {"files": {"file": ("a", b"x")}, "data": {"purpose": "fine-tune"}}]
)
async def test_a_form_without_what_is_needed_is_refused(tmp_path: Path, form: dict[str, Any]) -> None:
    async with serving(home=tmp_path) as served:
        answer = await served.client.post("/v1/files", **form)
    assert answer.status_code == 400, answer.text


async def test_an_endpoint_that_is_no_dialect_is_refused(tmp_path: Path) -> None:
    async with serving(home=tmp_path) as served:
        body = {"input_file_id": await upload(served, [line("a")]), "endpoint": "/v1/embeddings"}
        told = await served.post("/v1/batches", body | {"completion_window": "24h"}, status=400)
    assert told["error"]["param"] == "endpoint"
