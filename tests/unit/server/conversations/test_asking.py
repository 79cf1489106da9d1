"""A conversation over the page's own API: asked, followed, branched, hurried, stopped, taken up after a crash."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import select

from bethink.engine.scripted import Fault, Line, Said, ScriptedEngine
from bethink.server.conversations.progress import Progress
from bethink.server.conversations.tables import runs
from bethink.server.conversations.values import Pending
from tests.unit.server.conversations.conftest import CLOSED, SIMPLE, Serve, make_model, until

pytestmark = pytest.mark.anyio

LONG = " ".join(f"word{n}" for n in range(200))
SLOW: dict[str, Said] = {"assistant\n": f"<think>\n{LONG}</think>It is 4.", CLOSED: "It is 4."}


async def test_a_question_gets_its_answer_with_its_evidence(serve: Serve) -> None:
    async with serve() as client:
        node = await client.answer(await client.new(), "What is 2 + 2?", paths=1)
    assert node["error"] is None
    assert (node["status"], node["content"], node["thinking"]) == ("done", "It is 4.", "two and two")
    assert node["result"]["closed_by"] == "natural"
    assert node["result"]["usage"]["thinking_tokens"] > 0
    assert [path["answer"] for path in node["result"]["paths"]] == ["It is 4."]


async def test_what_is_streamed_is_what_is_kept(serve: Serve) -> None:
    async with serve() as client:
        asked = await client.ask(await client.new(), "What is 2 + 2?", paths=1)
        shown = await client.watch(asked["assistant"]["id"])
    assert shown.last is not None
    assert shown.last["type"] == "finished"
    assert (shown.thinking[0], shown.answer[0]) == (
        shown.last["node"]["thinking"],
        shown.last["node"]["content"],
    )


async def test_an_answer_is_made_whether_or_not_anybody_follows_it(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        asked = await client.ask(conversation, "What is 2 + 2?", paths=1)
        assert asked["assistant"]["status"] == "queued"
        answers = client.page.detached
        await until(lambda: not answers.n_running)
        node = await client.node(conversation, asked["assistant"]["id"])
    assert node["content"] == "It is 4."


async def test_the_model_is_told_the_branch_and_nothing_else(serve: Serve) -> None:
    model = make_model()
    async with serve(model) as client:
        conversation = await client.new()
        first = await client.answer(conversation, "First question", paths=1)
        await client.answer(conversation, "Another beginning", paths=1)
        await client.answer(conversation, "Second question", first["id"], paths=1, system="Be brief.")
        found = await client.get(f"/api/conversations/{conversation}")
    assert isinstance(model.engine, ScriptedEngine)
    told = model.engine.starts[-1].text
    assert [line for line in told.splitlines() if "question" in line or "beginning" in line or "brief" in line] == [
        "Be brief.<|im_end|>",
        "First question<|im_end|>",
        "Second question<|im_end|>",
    ]
    assert found["title"] == "First question"
    assert [node["parent"] for node in found["nodes"] if node["role"] == "user"] == [None, None, first["id"]]


async def test_a_conversation_longer_than_the_context_goes_on_and_the_answer_says_what_was_left_out(
    serve: Serve,
) -> None:
    model = make_model(context_length=3000)
    notes: list[list[str]] = []
    async with serve(model) as client:
        conversation, parent = await client.new(), None
        for n in range(8):
            node = await client.answer(
                conversation, f"Question {n}, " + "which is long " * 25, parent, paths=1, budget=50
            )
            parent = node["id"]
            notes.append(node["result"]["notes"])
    assert isinstance(model.engine, ScriptedEngine)
    assert "Question 0," not in model.engine.starts[-1].text
    assert not any("left out" in note for note in notes[0])
    assert any("at the beginning left out" in note for note in notes[-1])


async def test_another_answer_is_a_sibling_with_the_settings_that_were_changed(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1, budget=50)
        body = {"settings": {"budget": 0}}
        again = (await client.post(f"/api/conversations/{conversation}/nodes/{first['id']}/again", body))["assistant"]
        await client.watch(again["id"])
        second = await client.node(conversation, again["id"])
        found = await client.get(f"/api/conversations/{conversation}")
    assert second["parent"] == first["parent"]
    assert (second["settings"]["budget"], second["settings"]["paths"]) == (0, 1)
    assert second["result"]["closed_by"] == "budget"
    assert found["leaf"] == second["id"]


async def test_an_edited_thought_is_gone_on_from_in_words(serve: Serve) -> None:
    model = make_model({"assistant\n": SIMPLE["assistant\n"], "three and": " one</think>It is four."})
    async with serve(model) as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1)
        body = {"thought": "three and", "settings": {"programs": 1}}
        again = (await client.post(f"/api/conversations/{conversation}/nodes/{first['id']}/again", body))["assistant"]
        await client.watch(again["id"])
        second = await client.node(conversation, again["id"])
    assert (second["thinking"], second["content"]) == ("three and one", "It is four.")


async def test_answer_now_closes_the_thought(serve: Serve) -> None:
    async with serve(make_model(SLOW, token_delay_s=0.001)) as client:
        conversation = await client.new()
        node_id = (await client.ask(conversation, "What is 2 + 2?", paths=1))["assistant"]["id"]
        await until(lambda: client.page.detached.find(node_id).log.last > 3)
        await client.post(f"/api/nodes/{node_id}/answer_now")
        await client.watch(node_id)
        node = await client.node(conversation, node_id)
    assert (node["result"]["closed_by"], node["content"]) == ("user", "It is 4.")
    assert len(node["thinking"]) < len(LONG)


async def test_what_is_stopped_keeps_what_was_said(serve: Serve) -> None:
    async with serve(make_model(SLOW, token_delay_s=0.001)) as client:
        conversation = await client.new()
        node_id = (await client.ask(conversation, "What is 2 + 2?", paths=1))["assistant"]["id"]
        await until(lambda: client.page.detached.find(node_id).log.last > 3)
        await client.post(f"/api/nodes/{node_id}/stop")
        shown = await client.watch(node_id)
        node = await client.node(conversation, node_id)
        assert await client.post(f"/api/nodes/{node_id}/stop") == {"id": node_id, "action": "stop"}
    assert node["status"] == "stopped"
    assert LONG.startswith(node["thinking"])
    assert node["thinking"]
    assert shown.last is not None
    assert shown.last["type"] == "finished"


async def test_an_engine_that_dies_costs_nothing_but_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bethink.server.running.pool.BROKEN_S", (0.1,))
    models = [
        make_model(SLOW, faults=[Fault("kills_engine", after=200)]),
        make_model({**SLOW, "word10": Line(LONG.partition("word10")[2] + "</think>It is 4.")}),
    ]
    async with serve(None) as client:
        client.page.service.pool.load = lambda _: models.pop(0)
        conversation = await client.new()
        node = await client.answer(conversation, "What is 2 + 2?", paths=1)
    assert (node["status"], node["content"], node["thinking"]) == ("done", "It is 4.", LONG)
    assert node["result"]["resumed"]["times"] == 1


async def test_an_error_is_kept_with_what_was_said(serve: Serve) -> None:
    async with serve(make_model(SLOW, faults=[Fault("dies", after=100)])) as client:
        conversation = await client.new()
        asked = await client.ask(conversation, "What is 2 + 2?", paths=1)
        shown = await client.watch(asked["assistant"]["id"])
        node = await client.node(conversation, asked["assistant"]["id"])
    assert shown.last is not None
    assert (shown.last["type"], shown.last["error"]["code"]) == ("failed", "engine")
    assert node["status"] == "failed"
    assert node["thinking"]


@pytest.mark.parametrize("moment_s", [0.0, 0.05, 0.3, 1.2])
async def test_a_server_that_ends_in_the_middle_hands_its_answers_on(serve: Serve, moment_s: float) -> None:
    def model() -> Any:
        return make_model(SLOW, token_delay_s=0.001)

    async with serve(model()) as client:
        conversation = await client.new()
        node_id = (await client.ask(conversation, "What is 2 + 2?", paths=1))["assistant"]["id"]
        await asyncio.sleep(moment_s)
    async with serve(model()) as client:
        shown = await client.watch(node_id)
        node = await client.node(conversation, node_id)
    assert (node["status"], node["content"], node["thinking"]) == ("done", "It is 4.", LONG)
    assert (shown.thinking[0], shown.answer[0]) == (LONG, "It is 4.")


async def test_a_server_that_looks_for_answers_while_it_ends_claims_none_that_it_released(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_up = Progress.take_up

    def late(self: Progress) -> list[Pending]:
        time.sleep(0.5)
        return take_up(self)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "take_up", late)
        async with serve(make_model(SLOW, token_delay_s=0.001)) as client:
            conversation = await client.new()
            node_id = (await client.ask(conversation, "What is 2 + 2?", paths=1))["assistant"]["id"]
        await asyncio.sleep(0.6)
    async with serve() as client, asyncio.timeout(10):
        await client.watch(node_id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": " "}, "invalid_request"),
        ({"content": "x", "settings": {"check": "cmd:rm"}}, "invalid_value"),
        ({"content": "x", "settings": {"effrt": "low"}}, "unknown_field"),
        ({"content": "x", "settings": {"model": "nope"}}, "unknown_model"),
        ({"content": "x", "parent": "nope"}, "no_such_node"),
        ({"content": "x", "files": ["nope"]}, "invalid_request"),
    ],
)
async def test_what_cannot_be_asked_is_refused_and_leaves_nothing(
    serve: Serve, body: dict[str, Any], code: str
) -> None:
    async with serve() as client:
        conversation = await client.new()
        response = await client.http.post(f"/api/conversations/{conversation}/ask", json=body)
        assert response.status_code in (400, 404)
        assert response.json()["error"]["code"] == code
        assert (await client.get(f"/api/conversations/{conversation}"))["nodes"] == []


async def test_a_question_cannot_follow_an_answer_that_is_not_there_yet(serve: Serve) -> None:
    async with serve(make_model(SLOW, token_delay_s=0.01)) as client:
        conversation = await client.new()
        open_node = (await client.ask(conversation, "What is 2 + 2?", paths=1))["assistant"]["id"]
        body = {"content": "And now?", "parent": open_node}
        response = await client.http.post(f"/api/conversations/{conversation}/ask", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (409, "still_answering")
        await client.post(f"/api/nodes/{open_node}/stop")


async def test_an_answer_that_is_stopped_again_and_again_before_its_turn_is_let_go(serve: Serve) -> None:
    async with serve(make_model(SLOW, token_delay_s=0.005)) as client:
        client.page.service.admission.parallel = 1
        first = (await client.ask(await client.new(), "What is 2 + 2?", paths=1))["assistant"]["id"]
        await until(lambda: client.page.detached.find(first).log.last > 3)
        conversation = await client.new()
        second = (await client.ask(conversation, "What is 2 + 2?", paths=1))["assistant"]["id"]
        answer = client.page.detached.find(second)
        await until(lambda: answer.answering is not None and answer.answering.waiting is not None)
        for _ in range(10):
            answer.stop()
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            shown = await client.watch(second)
        assert shown.last is not None
        assert shown.last["type"] == "finished"
        assert (await client.node(conversation, second))["status"] == "stopped"
        with client.page.conversations.reading() as db:
            assert [*db.execute(select(runs.c.node_id)).scalars()] == [first]
        await client.post(f"/api/nodes/{first}/stop")
        await client.watch(first)
        await until(lambda: not client.page.detached.n_running)
        with client.page.conversations.reading() as db:
            assert not db.execute(select(runs.c.node_id)).all()
        (queue,) = client.page.service.admission.queues.values()
        assert (queue.n_running, queue.n_waiting) == (0, 0)
        assert [entry.n_held for entry in client.page.service.pool.loaded.values()] == [0]


async def test_a_conversation_that_is_deleted_takes_its_running_answer_with_it(serve: Serve) -> None:
    async with serve(make_model(SLOW, token_delay_s=0.01)) as client:
        conversation = await client.new()
        await client.ask(conversation, "What is 2 + 2?", paths=1)
        assert (await client.http.delete(f"/api/conversations/{conversation}")).status_code == 204
        await until(lambda: not client.page.detached.n_running)
        assert (await client.http.get(f"/api/conversations/{conversation}")).status_code == 404
        assert (await client.get("/api/conversations"))["conversations"] == []
