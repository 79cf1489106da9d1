"""The rest of a conversation's life: listed, searched, renamed, shown, exported, imported, with files; and its size."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from sqlalchemy import insert

from bethink.engine.scripted import ScriptedEngine
from bethink.server.conversations import tables
from bethink.server.conversations.values import Node
from tests.unit.server.conversations.conftest import Client, Serve, make_model
from tests.unit.server.files.pdfs import pdf

pytestmark = pytest.mark.anyio


async def test_a_page_learns_who_it_is_and_what_there_is(serve: Serve) -> None:
    async with serve() as client:
        me = await client.get("/api/me")
    assert (me["is_local"], me["default_model"]) == (True, "scripted")
    assert me["models"] == [{"name": "scripted", "is_loaded": False}]


async def test_conversations_are_listed_newest_first_and_page_by_page(serve: Serve) -> None:
    async with serve() as client:
        made = [await client.post("/api/conversations", {"title": f"number {n}"}) for n in range(5)]
        await client.answer(made[1]["id"], "What is 2 + 2?", paths=1)
        first = await client.get("/api/conversations", limit=3)
        rest = await client.get("/api/conversations", limit=3, before=first["conversations"][-1]["id"])
    titles = [one["title"] for one in first["conversations"] + rest["conversations"]]
    assert titles == ["number 1", "number 4", "number 3", "number 2", "number 0"]
    assert (first["more"], rest["more"]) == (True, False)
    assert (first["conversations"][0]["n_turns"], first["conversations"][0]["model"]) == (1, "scripted")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("2 + 2", True),
        ("QUESTION about", True),
        ("uesti", True),
        ("日本", True),
        ("is 4", True),
        ('"', False),
        ("100%", False),
        ("question nowhere", False),
        ("OR NOT AND * ^", False),
    ],
)
async def test_a_search_finds_parts_of_words_in_titles_and_messages(serve: Serve, query: str, found: bool) -> None:
    async with serve() as client:
        await client.post("/api/conversations", {"title": "another"})
        conversation = await client.new()
        await client.answer(conversation, "My question about 日本: what is 2 + 2?", paths=1)
        listed = (await client.get("/api/conversations", query=query))["conversations"]
    assert [one["id"] for one in listed] == ([conversation] if found else [])
    if query == "uesti":
        assert listed[0]["snippet"] == "My question about 日本: what is 2 + 2?"


async def test_what_is_deleted_or_renamed_is_not_found_any_more(serve: Serve) -> None:
    async with serve() as client:
        gone, named = await client.new(), await client.new()
        for conversation in (gone, named):
            await client.answer(conversation, "Where is Atlantis?", paths=1)
        await client.http.delete(f"/api/conversations/{gone}")
        await client.http.patch(f"/api/conversations/{named}", json={"title": "Sunken  cities"})
        by_content = (await client.get("/api/conversations", query="atlantis"))["conversations"]
        by_title = (await client.get("/api/conversations", query="sunken"))["conversations"]
    assert [one["id"] for one in by_content] == [named]
    assert [(one["id"], one["title"], one["snippet"]) for one in by_title] == [(named, "Sunken cities", None)]


async def test_a_branch_is_shown_as_far_as_it_goes(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "First?", paths=1)
        last = await client.answer(conversation, "Second?", first["id"], paths=1)
        await client.answer(conversation, "Another first?", paths=1)
        shown = await client.http.patch(f"/api/conversations/{conversation}", json={"leaf": first["parent"]})
    assert shown.json()["leaf"] == last["id"]


async def test_an_export_is_imported_as_the_same_tree(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        first = await client.answer(conversation, "First?", paths=1)
        await client.answer(conversation, "Second?", first["id"], paths=1)
        await client.answer(conversation, "Another first?", paths=1)
        exported = await client.get(f"/api/conversations/{conversation}/export", format="json")
        imported = await client.post("/api/conversations/import", exported)
        again = await client.get(f"/api/conversations/{imported['id']}/export", format="json")
    assert again["id"] != exported["id"]
    assert shape(again) == shape(exported)
    evidence = [[node["result"] for node in tree["nodes"] if node["result"]] for tree in (exported, again)]
    assert [result | {"tool_calls": []} for result in evidence[1]] == [r | {"trace_id": ""} for r in evidence[0]]


def shape(exported: dict[str, Any]) -> list[object]:
    """A tree without the names of its nodes."""
    places = {node["id"]: place for place, node in enumerate(exported["nodes"])}
    kept = ("role", "content", "thinking", "status", "settings", "error")
    return [
        (exported["title"], places.get(exported["leaf"])),
        *[(places.get(node["parent"]), [node[name] for name in kept]) for node in exported["nodes"]],
    ]


async def test_markdown_holds_the_branch_that_is_shown_with_its_thoughts_folded(serve: Serve) -> None:
    async with serve() as client:
        conversation = await client.new()
        await client.answer(conversation, "Not this?", paths=1)
        await client.answer(conversation, "What is 2 + 2?", paths=1)
        response = await client.http.get(f"/api/conversations/{conversation}/export")
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''Not%20this%3F.md"
    assert response.text == (
        "# Not this?\n\n## Question\n\nWhat is 2 + 2?\n\n## Answer · scripted\n\n"
        "<details><summary>Thought</summary>\n\ntwo and two\n\n</details>\n\nIt is 4.\n"
    )


async def test_what_bethink_chat_saved_is_imported(serve: Serve) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "never answered"},
        {"role": "user", "content": "hello", "thinking": None},
        {"role": "assistant", "content": "hi", "thinking": "a greeting"},
    ]
    async with serve() as client:
        body = {"format": 1, "model": "m", "messages": messages, "id": "x", "created": "y"}
        made = await client.post("/api/conversations/import", body)
        nodes = (await client.get(f"/api/conversations/{made['id']}"))["nodes"]
    assert [(node["role"], node["content"]) for node in nodes] == [
        ("user", "never answered"),
        ("user", "hello"),
        ("assistant", "hi"),
    ]
    assert [node["parent"] for node in nodes] == [None, None, nodes[1]["id"]]
    assert (nodes[2]["thinking"], nodes[2]["settings"]["system"]) == ("a greeting", "Be brief.")


JSON = {"content-type": "application/json"}
NO_RESULTS: tuple[Any, ...] = ({"model": "x"}, {"model": {"name": 7}}, {"model": []}, "x")
NODE: dict[str, Any] = {"id": "a", "parent": None, "role": "user", "content": "x"}


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"format": 2, "messages": []},
        {"format": "bethink-conversation-1", "nodes": []},
        {"format": "bethink-conversation-1", "nodes": [NODE, NODE]},
        {"format": "bethink-conversation-1", "nodes": [NODE | {"parent": "a"}]},
        {"format": "bethink-conversation-1", "nodes": [NODE | {"role": "assistant"}]},
        {"format": "bethink-conversation-1", "nodes": [NODE, NODE | {"id": "b", "parent": "a"}]},
        {"format": 1, "messages": [{"role": "assistant", "content": "out of nowhere"}]},
        {"format": "bethink-conversation-1", "nodes": [NODE | {"result": {"model": "x"}}]},
        {"format": "bethink-conversation-1", "nodes": [NODE | {"error": {"code": 1}}]},
        *(
            {
                "format": "bethink-conversation-1",
                "nodes": [NODE, {"id": "b", "parent": "a", "role": "assistant", "content": "y", "result": result}],
            }
            for result in NO_RESULTS
        ),
    ],
)
async def test_what_is_no_conversation_is_not_imported(serve: Serve, body: Any) -> None:
    async with serve() as client:
        response = await client.http.post("/api/conversations/import", content=json.dumps(body), headers=JSON)
        assert response.status_code == 400
        assert response.json()["error"]["code"]
        assert (await client.get("/api/conversations"))["conversations"] == []


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_dates_at_the_edge_of_the_calendar_are_no_reason_to_fail(serve: Serve, date: str) -> None:
    async with serve() as client:
        body = {"format": "bethink-conversation-1", "nodes": [NODE | {"created": date}]}
        made = await client.post("/api/conversations/import", body)
        (node,) = (await client.get(f"/api/conversations/{made['id']}"))["nodes"]
    assert node["content"] == "x"


async def test_a_file_is_told_to_the_model_before_the_question(serve: Serve) -> None:
    model = make_model()
    async with serve(model) as client:
        sent = await send(client, "table.csv", b"a,b\n1,2\n")
        conversation = await client.new()
        body = {"content": "What is b?", "files": [sent["id"]], "settings": {"paths": 1}}
        asked = await client.post(f"/api/conversations/{conversation}/ask", body)
        await client.watch(asked["assistant"]["id"])
    assert sent == asked["user"]["files"][0]
    assert (sent["name"], sent["kind"], sent["chars"], sent["cut"]) == ("table.csv", "csv", 8, None)
    assert isinstance(model.engine, ScriptedEngine)
    assert "File `table.csv`:\n```\na,b\n1,2\n```\n\nWhat is b?<|im_end|>" in model.engine.starts[0].text


async def test_a_pdf_is_read_on_the_way_in(serve: Serve) -> None:
    async with serve() as client:
        sent = await send(client, "paper.pdf", pdf("On thinking"))
    assert (sent["kind"], sent["chars"]) == ("pdf", len("[page 1]\nOn thinking"))


async def test_what_is_no_file_is_refused_in_words(serve: Serve) -> None:
    async with serve() as client:
        binary = await client.http.post("/api/files", files={"file": ("a.bin", b"\x00\x01\x02")})
        none = await client.http.post("/api/files", data={"x": "y"}, files={"other": ("a.txt", b"x")})
        no_form = await client.http.post("/api/files", json={})
        broken = await client.http.post("/api/files", content=b"x", headers={"content-type": "multipart/form-data"})
    assert [r.status_code for r in (binary, none, no_form, broken)] == [415, 400, 400, 400]
    assert all(r.json()["error"]["hint"] for r in (binary, none, no_form, broken))


async def send(client: Client, name: str, data: bytes) -> dict[str, Any]:
    response = await client.http.post("/api/files", files={"file": (name, data)})
    assert response.status_code == 201, response.text
    return response.json()


MOMENT_S = 4.0
"""Of the processor: far more than it takes, far less than if every message looked at every other."""


@pytest.mark.slow
async def test_five_thousand_conversations_are_listed_and_searched_in_a_moment(serve: Serve) -> None:
    async with serve() as client:
        with client.page.conversations.writing() as db:
            owned = {"owner": "local", "is_titled": True, "n_turns": 1, "created_us": 1}
            db.execute(
                insert(tables.conversations),
                [{**owned, "id": f"c{n:04}", "title": f"conversation {n}", "updated_us": n} for n in range(5000)],
            )
            asked = {"role": "user", "status": "done", "created_us": 1}
            db.execute(
                insert(tables.nodes),
                [
                    {
                        **asked,
                        "id": f"n{n}",
                        "conversation_id": f"c{n:04}",
                        "content": f"subject{n:04} and things " * 20,
                    }
                    for n in range(5000)
                ],
            )
        seconds = dict[str, float]()
        for query in ("", "subject2345", "things", "versation 77", "ab"):
            began = time.process_time()
            await client.get("/api/conversations", query=query)
            seconds[query] = time.process_time() - began
    assert all(taken < MOMENT_S for taken in seconds.values()), seconds


@pytest.mark.slow
async def test_five_thousand_messages_are_read_and_asked_on_in_a_moment(serve: Serve) -> None:
    async with serve(make_model(context_length=10_000_000, kv_tokens=10_000_000)) as client:
        nodes = line("c1", 5000, "a message of some length " * 20)
        client.page.conversations.take_in("local", "long", nodes, nodes[-1].id)
        began = time.process_time()
        found = await client.get("/api/conversations/c1")
        read_s = time.process_time() - began
        began = time.process_time()
        await client.ask("c1", "And now?", nodes[-1].id, paths=1)
        asked_s = time.process_time() - began
        assert len(found["nodes"]) == 5000
        assert max(read_s, asked_s) < MOMENT_S


def line(conversation: str, n: int, content: str) -> list[Node]:
    """One branch of `n` messages."""
    return [
        Node(
            f"{conversation}-{i}",
            conversation,
            f"{conversation}-{i - 1}" if i else None,
            "assistant" if i % 2 else "user",
            f"{content}{i}",
            i,
        )
        for i in range(n)
    ]
