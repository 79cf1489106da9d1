"""OpenAI's Responses: items both ways, what is kept for the next request, and who may read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bethink.server.asking.asks import BadField
from bethink.server.wire.openai.response_items import ReasoningItem, messages_of, packed, thought_of, unpacked
from bethink.server.wire.openai.response_store import Kept, NoSuchResponse, ResponseStore
from bethink.types import Message, ToolCall
from tests.unit.server.wire.served import ANSWER, THOUGHT, says, serving

pytestmark = pytest.mark.anyio

PATH = "/v1/responses"
ASKED: dict[str, Any] = {"input": "2 and 2?", "seed": 1}
TOOL = {"type": "function", "name": "add", "parameters": {"type": "object"}}


async def test_items_of_an_answer_come_back_as_history() -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED | {"include": ["reasoning.encrypted_content"], "store": False})
        asked = {"role": "user", "content": "2 and 2?"}
        await served.post(PATH, {"input": [asked, *told["output"], {"role": "user", "content": "So?"}]})
    assert [item["type"] for item in told["output"]] == ["reasoning", "message"]
    assert f"<|im_start|>assistant\n{ANSWER}<|im_end|>\n<|im_start|>user\nSo?" in served.prompt


async def test_a_response_is_gone_on_from_and_its_instructions_are_not() -> None:
    async with serving() as served:
        first = await served.post(PATH, ASKED | {"instructions": "Be brief."})
        second = await served.post(PATH, {"input": "And 3?", "previous_response_id": first["id"]})
        assert "Be brief." not in served.prompt
        await served.post(PATH, {"input": "And 4?", "previous_response_id": second["id"]})
    said = [line for line in served.prompt.splitlines() if line and not line.startswith("<|im_start|>assistant")]
    assert [text.removesuffix("<|im_end|>") for text in said if "im_start" not in text] == [
        "2 and 2?", ANSWER, "And 3?", ANSWER, "And 4?", "<think>"
    ]  # fmt: skip


async def test_a_call_is_answered_by_its_id_in_the_next_request() -> None:
    call = '<tool_call>\n{"name": "add", "arguments": {"a": 2}}\n</tool_call>'
    async with serving(says(call)) as served:
        first = await served.post(PATH, ASKED | {"tools": [TOOL]})
        made = first["output"][-1]
        result = {"type": "function_call_output", "call_id": made["call_id"], "output": "four"}
        await served.post(PATH, {"input": [result], "previous_response_id": first["id"], "tools": [TOOL]})
    assert made["type"] == "function_call"
    assert "<tool_response>\nfour\n</tool_response>" in served.prompt


async def test_a_summary_is_the_thought_itself_where_one_is_asked_for() -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED | {"reasoning": {"summary": "auto"}})
        events = await served.events(PATH, ASKED | {"reasoning": {"summary": "auto"}})
        refused = await served.post(PATH, ASKED | {"reasoning": {"summary": "concise"}}, status=400)
    assert told["output"][0]["summary"] == [{"type": "summary_text", "text": THOUGHT}]
    deltas = [e["delta"] for e in events if e["type"] == "response.reasoning_summary_text.delta"]
    assert "".join(deltas) == THOUGHT
    assert refused["error"]["param"] == "reasoning.summary"


async def test_the_last_event_is_the_response_that_is_kept() -> None:
    async with serving() as served:
        events = await served.events(PATH, ASKED)
        last = events[-1]["response"]
        kept = (await served.client.get(f"{PATH}/{last['id']}")).json()
    assert [events[0]["type"], events[1]["type"], events[-1]["type"]] == [
        "response.created", "response.in_progress", "response.completed"
    ]  # fmt: skip
    assert kept == last
    added = [e["item"]["id"] for e in events if e["type"] == "response.output_item.added"]
    assert added == [item["id"] for item in last["output"]]


async def test_an_answer_that_was_cut_is_incomplete() -> None:
    async with serving(says("So it goes. " * 50)) as served:
        told = await served.post(PATH, ASKED | {"max_output_tokens": 60, "reasoning": {"effort": "none"}})
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert told["output"][-1]["status"] == "incomplete"


async def test_a_response_is_read_listed_and_deleted() -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED)
        items = (await served.client.get(f"{PATH}/{told['id']}/input_items")).json()
        assert items["data"][0]["content"] == [{"type": "input_text", "text": "2 and 2?"}]
        assert (await served.client.delete(f"{PATH}/{told['id']}")).json()["deleted"] is True
        gone = await served.client.get(f"{PATH}/{told['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "response_not_found")


async def test_what_is_not_to_be_stored_is_not_found() -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED | {"store": False})
        body = ASKED | {"previous_response_id": told["id"]}
        assert (await served.post(PATH, body, status=404))["error"]["code"] == "response_not_found"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input.0.content.0.type",
        ),
        ({"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "nope"}]}, "input.0.arguments"),
        (
            {"input": [{"type": "reasoning", "encrypted_content": "bethink1.!"}, {"role": "user", "content": "x"}]},
            "input",
        ),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"truncation": "yes"}, "truncation"),
        ({"truncation": "auto", "bethink": {"truncation": "disabled"}}, "truncation"),
        ({"background": True}, "background"),
        ({"conversation": "c"}, "conversation"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"reasoning_format": "none"}, "reasoning_format"),
        ({"include": ["file_search_call.results"]}, "include.0"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED | change, status=400)
    assert told["error"]["param"] == field


def test_a_thought_is_packed_and_unpacked_and_a_strangers_is_left_out() -> None:
    assert unpacked(packed("Größe 😀")) == "Größe 😀"
    assert unpacked("gAAAAABo") is None
    foreign = ReasoningItem(type="reasoning", summary=[], encrypted_content="gAAAAABo")
    assert list(messages_of([foreign])) == []
    assert thought_of(ReasoningItem(type="reasoning", encrypted_content=packed("I add."))) == "I add."
    with pytest.raises(BadField):
        unpacked("bethink1.***")


def kept(owner: str = "", text: str = "hi") -> Kept:
    call = ToolCall("c", "f", "{}")
    messages = (
        Message("user", text),
        Message("assistant", "", "I think", (call,)),
        Message("tool", "x", None, (), "c"),
    )
    return Kept(owner, {"id": "r", "n": 1}, [{"id": "i"}], messages)


def name(n: int) -> str:
    return f"resp_{n:024x}"


@pytest.mark.parametrize("is_on_disk", [False, True], ids=["memory", "disk"])
def test_the_oldest_response_makes_room(tmp_path: Path, is_on_disk: bool) -> None:
    store = ResponseStore(tmp_path / "responses" if is_on_disk else None, most=3)
    for n in range(5):
        store.keep(name(n), kept(text=str(n)))
    for n in range(2):
        with pytest.raises(NoSuchResponse):
            store.find(name(n), "")
    assert [store.find(name(n), "").messages[0].content for n in range(2, 5)] == ["2", "3", "4"]
    assert not is_on_disk or len(list((tmp_path / "responses").glob("*/*"))) == 3


@pytest.mark.parametrize("is_on_disk", [False, True], ids=["memory", "disk"])
def test_what_one_owner_keeps_is_bounded_in_bytes_and_pushes_out_nobody_elses(tmp_path: Path, is_on_disk: bool) -> None:
    store = ResponseStore(tmp_path if is_on_disk else None, most=3, most_bytes=5000)
    store.keep(name(1), kept("theirs"))
    for n in range(2, 12):
        store.keep(name(n), kept("ours", "x" * 2000))
    assert store.find(name(1), "theirs")
    assert [n for n in range(2, 12) if is_there(store, name(n), "ours")] == [10, 11]
    store.keep(name(20), kept("ours", "x" * 10_000))
    assert not is_there(store, name(20), "ours")
    if is_on_disk:
        again = ResponseStore(tmp_path, most=1)
        again.keep(name(30), kept("ours"))
        assert is_there(again, name(1), "theirs")


def is_there(store: ResponseStore, response_id: str, owner: str) -> bool:
    try:
        return bool(store.find(response_id, owner))
    except NoSuchResponse:
        return False


def test_files_are_for_nobody_elses_eyes(tmp_path: Path) -> None:
    folder = tmp_path / "responses"
    folder.mkdir(mode=0o755)
    ResponseStore(folder).keep(name(1), kept())
    (file,) = folder.glob("*/*")
    assert [path.stat().st_mode & 0o777 for path in (folder, file.parent, file)] == [0o700, 0o700, 0o600]


def test_what_may_not_be_written_down_stands_in_memory_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / f"{name(9)}.json").write_text("{}")
    store = ResponseStore(tmp_path)
    store.keep(name(1), kept("ours"))
    store.keep(name(2), kept("theirs"))
    store.keep(name(3), kept("ours"), may_write=False)
    assert (is_there(store, name(1), "ours"), is_there(store, name(3), "ours")) == (False, True)
    assert is_there(store, name(2), "theirs")
    assert len(list(tmp_path.glob("**/*.json"))) == 1
    store.delete(name(3), "ours")
    assert not is_there(store, name(3), "ours")


async def test_a_workspace_that_logs_nothing_leaves_no_response_on_the_disk(tmp_path: Path) -> None:
    async with serving(home=tmp_path) as served:
        told = await served.post("/v1/responses", {"input": "2 and 2?"})
        assert (await served.client.get(f"/v1/responses/{told['id']}")).status_code == 200
        assert not list(tmp_path.glob("responses/**/*.json"))
        unstored = await served.post("/v1/responses", {"input": "2 and 2?", "store": False})
        assert (await served.client.get(f"/v1/responses/{unstored['id']}")).status_code == 404


def test_a_response_outlives_its_server(tmp_path: Path) -> None:
    ResponseStore(tmp_path).keep(name(1), kept())
    again = ResponseStore(tmp_path, most=1)
    assert again.find(name(1), "") == Kept("", {"id": "r", "n": 1}, [{"id": "i"}], list(kept().messages))
    again.keep(name(2), kept())
    with pytest.raises(NoSuchResponse):
        again.find(name(1), "")


def test_nobody_reads_or_deletes_what_is_anothers(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path)
    store.keep(name(1), kept("ours"))
    for attempt in (store.find, store.delete):
        with pytest.raises(NoSuchResponse):
            attempt(name(1), "theirs")
    assert store.find(name(1), "ours")


@pytest.mark.parametrize("hostile", ["", "resp_", "../secret", "resp_" + "0" * 24 + "/..", "resp_" + "g" * 24])
def test_an_id_that_is_none_reaches_no_file(tmp_path: Path, hostile: str) -> None:
    (tmp_path / "secret.json").write_text("{}")
    with pytest.raises(NoSuchResponse):
        ResponseStore(tmp_path / "responses").find(hostile, "")


def test_a_broken_file_is_a_response_that_is_not_there(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path)
    store.keep(name(1), kept())
    (file,) = tmp_path.glob("*/*.json")
    file.write_text('{"owner": ""')
    with pytest.raises(NoSuchResponse):
        store.find(name(1), "")


async def test_the_oldest_turns_may_be_left_out_and_that_is_said_again() -> None:
    async with serving() as served:
        told = await served.post(PATH, ASKED | {"truncation": "auto"})
        assert served.read(PATH, ASKED | {"model": "scripted", "truncation": "auto"}).truncation == "auto"
        assert served.read(PATH, ASKED | {"model": "scripted"}).truncation == "disabled"
    assert told["truncation"] == "auto"
