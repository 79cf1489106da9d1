"""An answer whose text a person changes: it stands beside the model's, goes on as the branch's own, and claims nothing
that only a model's answer has."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from bethink.engine.scripted import ScriptedEngine
from bethink.errors import UsageError
from bethink.server.accounts.database import open_database
from bethink.server.accounts.migrating import downgrade
from bethink.server.conversations.progress import Outcome, Progress
from bethink.server.conversations.storage import MAX_NODES, Conversations
from bethink.server.conversations.values import (
    MAX_CONTENT,
    NoSuchConversation,
    NoSuchNode,
    StillAnswering,
    TurnSettings,
)
from tests.unit.scripted_models import NATIVE
from tests.unit.server.conversations.conftest import Client, Serve, make_model
from tests.unit.server.conversations.test_page import line

pytestmark = pytest.mark.anyio

OURS = ("id", "role", "parent", "created", "content", "edited_from", "status", "files")
"""What a text of a person has; everything else in its record is a model's."""


async def edit(client: Client, conversation: str, node: str, content: str) -> Any:
    return (await client.post(f"/api/conversations/{conversation}/nodes/{node}/edit", {"content": content}))[
        "assistant"
    ]


async def test_an_edited_answer_stands_beside_the_models_and_claims_nothing_of_it(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1)
        edited = await edit(client, conversation, first["id"], "It is **five**.")
        found = await client.get(f"/api/conversations/{conversation}")
        told = await client.watch(edited["id"])
    assert (edited["content"], edited["status"], edited["files"]) == ("It is **five**.", "done", [])
    assert (edited["parent"], edited["edited_from"]) == (first["parent"], first["id"])
    assert {value for name, value in edited.items() if name not in OURS} == {None}
    assert found["nodes"][-2:] == [first, edited]
    assert (found["leaf"], found["n_turns"]) == (edited["id"], 1)
    assert told.last == {"type": "finished", "node": edited}


@pytest.mark.parametrize("keeps_thinking", [False, True])
async def test_the_next_question_goes_on_from_the_edited_text_without_the_thought(
    serve: Serve, keeps_thinking: bool
) -> None:
    model = make_model(profile=replace(NATIVE, keeps_thinking=keeps_thinking))
    async with serve(model) as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1)
        edited = await edit(client, conversation, first["id"], "It is **five**.")
        await client.answer(conversation, "Sure?", edited["id"], paths=1)
        await client.answer(conversation, "Sure?", first["id"], paths=1)
    assert isinstance(model.engine, ScriptedEngine)
    from_edited, from_first = [start.text for start in model.engine.starts if "Sure?" in start.text]
    assert "assistant\nIt is **five**.<|im_end|>" in from_edited
    assert "two and two" not in from_edited
    assert "It is 4." not in from_edited
    assert "It is 4.<|im_end|>" in from_first
    assert ("two and two" in from_first) == keeps_thinking


async def test_answering_again_beside_an_edited_answer_asks_as_the_models_was_asked(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1, budget=50, model="scripted")
        once = await edit(client, conversation, first["id"], "five")
        twice = await edit(client, conversation, once["id"], "six")
        body = {"settings": {"budget": 7}}
        again = (await client.post(f"/api/conversations/{conversation}/nodes/{twice['id']}/again", body))["assistant"]
        await client.watch(again["id"])
    assert twice["edited_from"] == once["edited_from"] == first["id"]
    assert (again["parent"], again["edited_from"]) == (first["parent"], None)
    assert again["settings"] == first["settings"] | {"budget": 7}


async def test_a_text_that_is_there_already_is_shown_and_not_kept_twice(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1)
        unchanged = await edit(client, conversation, first["id"], first["content"])
        edited = await edit(client, conversation, first["id"], "one\r\ntwo\n")
        as_a_browser_has_it = await edit(client, conversation, edited["id"], "one\ntwo\n")
        later = await client.answer(conversation, "And now?", edited["id"], paths=1)
        changed_back = await edit(client, conversation, edited["id"], first["content"])
        back = await client.get(f"/api/conversations/{conversation}")
        sent_twice = await edit(client, conversation, first["id"], "one\ntwo\n")
        found = await client.get(f"/api/conversations/{conversation}")
        shown_again = await edit(client, conversation, first["id"], first["content"])
        again = await client.get(f"/api/conversations/{conversation}")
    assert (shown_again, again["leaf"]) == (first, first["id"])
    assert unchanged == changed_back == first
    assert as_a_browser_has_it == sent_twice == edited
    assert (len(found["nodes"]), back["leaf"], found["leaf"]) == (5, first["id"], later["id"])


async def test_edits_from_two_tabs_are_both_kept(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1)
        texts = [f"version {n}" for n in range(8)]
        made = await asyncio.gather(*(edit(client, conversation, first["id"], one) for one in texts))
        found = await client.get(f"/api/conversations/{conversation}")
    assert {node["content"] for node in found["nodes"] if node["edited_from"]} == set(texts)
    assert found["leaf"] in {node["id"] for node in made}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"content": ""}, 400, "invalid_request"),
        ({"content": " \n\t"}, 400, "invalid_request"),
        ({"content": "x" * (MAX_CONTENT + 1)}, 400, "invalid_request"),
        ({"content": None}, 400, "invalid_value"),
        ({}, 400, "missing_field"),
        ({"content": "x", "result": {}}, 400, "unknown_field"),
        ({"content": "x", "thinking": "mine"}, 400, "unknown_field"),
    ],
)
async def test_what_no_answer_can_say_is_refused_and_leaves_nothing(
    serve: Serve, body: dict[str, Any], status: int, code: str
) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1)
        before = await client.get(f"/api/conversations/{conversation}")
        response = await client.http.post(f"/api/conversations/{conversation}/nodes/{first['id']}/edit", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
        assert await client.get(f"/api/conversations/{conversation}") == before


async def test_the_longest_text_is_kept_whole_and_what_no_database_holds_is_replaced(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1)
        longest = await edit(client, conversation, first["id"], "é" * MAX_CONTENT)
        odd = await edit(client, conversation, first["id"], "a\x00b")
        kept = await client.node(conversation, longest["id"])
    assert kept["content"] == "é" * MAX_CONTENT
    assert odd["content"] == "a\N{REPLACEMENT CHARACTER}b"


async def test_an_export_says_that_a_person_wrote_it_and_comes_back_as_it_was(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "What is 2 + 2?", paths=1)
        edited = await edit(client, conversation, first["id"], "It is five.")
        markdown = (await client.http.get(f"/api/conversations/{conversation}/export")).text
        exported = await client.get(f"/api/conversations/{conversation}/export", format="json")
        imported = await client.post("/api/conversations/import", exported)
        _, model_s, ours = (await client.get(f"/api/conversations/{imported['id']}"))["nodes"]
    assert markdown.endswith("## Question\n\nWhat is 2 + 2?\n\n## Answer · edited by hand\n\nIt is five.\n")
    assert exported["nodes"][-1] == edited
    assert (ours["content"], ours["edited_from"], ours["parent"]) == ("It is five.", model_s["id"], model_s["parent"])
    assert {value for name, value in ours.items() if name not in OURS} == {None}


QUESTION: dict[str, Any] = {"id": "q", "parent": None, "role": "user", "content": "x"}
ANSWER: dict[str, Any] = {"id": "a", "parent": "q", "role": "assistant", "content": "y"}
EDITED: dict[str, Any] = {**ANSWER, "id": "e", "content": "z", "edited_from": "a"}
RESULT: dict[str, Any] = {
    "closed_by": "natural",
    "finish_reason": "stop",
    "verdict": {"kind": "math", "passed": True},
    "usage": {},
    "timing": {"total_s": 1, "tokens_per_s": 1},
    "model": {"name": "m"},
    "paths": [],
}


@pytest.mark.parametrize(
    ("nodes", "field"),
    [
        ([QUESTION, EDITED], "nodes.1.edited_from"),
        ([QUESTION, EDITED, ANSWER], "nodes.1.edited_from"),
        ([QUESTION | {"edited_from": "q"}], "nodes.0.edited_from"),
        ([QUESTION, EDITED | {"edited_from": "e"}], "nodes.1.edited_from"),
        ([QUESTION, EDITED | {"edited_from": "q"}], "nodes.1.edited_from"),
        ([QUESTION, ANSWER, EDITED, EDITED | {"id": "f", "edited_from": "e"}], "nodes.3.edited_from"),
        ([QUESTION, ANSWER, QUESTION | {"id": "r"}, EDITED | {"parent": "r"}], "nodes.3.edited_from"),
        ([QUESTION, ANSWER, QUESTION | {"id": "r", "parent": "a", "edited_from": "a"}], "nodes.2.edited_from"),
        ([QUESTION, ANSWER, EDITED | {"content": " "}], "nodes.2.edited_from"),
        ([QUESTION, ANSWER, EDITED | {"status": "running"}], "nodes.2.edited_from"),
        ([QUESTION, ANSWER, EDITED | {"thinking": "hm"}], "nodes.2.thinking"),
        ([QUESTION, ANSWER, EDITED | {"settings": TurnSettings().model_dump()}], "nodes.2.settings"),
        ([QUESTION, ANSWER, EDITED | {"result": RESULT}], "nodes.2.result"),
        ([QUESTION, ANSWER, EDITED | {"error": {"code": "x", "message": "y"}}], "nodes.2.error"),
    ],
)
async def test_a_file_cannot_bring_a_persons_text_with_a_models_evidence(
    serve: Serve, nodes: list[dict[str, Any]], field: str
) -> None:
    async with serve() as client:
        body = {"format": "bethink-conversation-1", "nodes": nodes}
        response = await client.http.post("/api/conversations/import", content=json.dumps(body))
        assert (response.status_code, response.json()["error"]["field"]) == (400, field)
        assert (await client.get("/api/conversations"))["conversations"] == []


async def test_the_same_evidence_on_a_models_answer_is_imported(serve: Serve) -> None:
    async with serve() as client:
        body = {"format": "bethink-conversation-1", "nodes": [QUESTION, ANSWER | {"result": RESULT}, EDITED]}
        made = await client.post("/api/conversations/import", body)
        _, answer, edited = (await client.get(f"/api/conversations/{made['id']}"))["nodes"]
    assert (answer["result"]["verdict"]["passed"], edited["result"]) == (True, None)


def test_edits_are_refused_to_others_and_where_nothing_can_be_edited(url: str, tmp_path: Path) -> None:
    here = Conversations(open_database(url, tmp_path))
    made, other = here.create("me"), here.create("me")
    asked = here.ask("me", made.id, None, "Eins?", TurnSettings(), seed=1)
    answer = asked.pending.node.id
    with pytest.raises(StillAnswering):
        here.edit("me", made.id, answer, "Ja!")
    Progress(here).end(answer, Outcome("failed", "", None, None, {"code": "engine", "message": "it died"}))
    with pytest.raises(NoSuchConversation):
        here.edit("you", made.id, answer, "Ja!")
    with pytest.raises(NoSuchNode):
        here.edit("me", other.id, answer, "Ja!")
    with pytest.raises(UsageError, match="is a question"):
        here.edit("me", made.id, asked.user.id, "Zwei?")
    edited = here.edit("me", made.id, answer, "Ja!")
    with pytest.raises(NoSuchNode):
        here.settings_of("you", edited.id)
    assert (edited.status, edited.error) == ("done", None)
    assert [node.id for node in here.line(edited.id)] == [asked.user.id, edited.id]
    assert here.delete("me", made.id) == []
    here.engine.dispose()


def test_a_full_conversation_takes_no_edit(tmp_path: Path) -> None:
    here = Conversations(open_database(None, tmp_path))
    full = line("c1", MAX_NODES, "message ")
    here.take_in("me", "long", full, full[-1].id)
    with pytest.raises(UsageError, match="most it can hold"):
        here.edit("me", "c1", full[-1].id, "another")
    here.engine.dispose()


def test_a_database_from_before_edited_answers_is_brought_up_with_all_that_it_holds(url: str, tmp_path: Path) -> None:
    engine = open_database(url, tmp_path)
    here = Conversations(engine)
    made = here.create("me")
    answer = here.ask("me", made.id, None, "Eins?", TurnSettings(), seed=1).pending.node.id
    Progress(here).end(answer, Outcome("done", "Ja.", "hm", None))
    with engine.begin() as connection:
        downgrade(connection, "0003")
        assert "edited_from" not in {column["name"] for column in inspect(connection).get_columns("bt_nodes")}
    engine.dispose()
    here = Conversations(open_database(url, tmp_path))
    _, nodes = here.get("me", made.id)
    assert [(node.content, node.edited_from) for node in nodes] == [("Eins?", None), ("Ja.", None)]
    assert here.edit("me", made.id, answer, "Nein.").edited_from == answer
    here.engine.dispose()
