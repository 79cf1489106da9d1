"""`/api/conversations`: listed, made, read, renamed, deleted, exported, imported."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import quote

from pydantic import Field
from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import read_body
from bethink.server.asking.knobs import Strict
from bethink.server.conversations.exporting import json_of, markdown_of
from bethink.server.conversations.importing import ImportBody, nodes_of_import, title_of_import
from bethink.server.conversations.records import conversation_record, node_record
from bethink.server.conversations.rows import new_id
from bethink.server.conversations.searching import listed
from bethink.server.conversations.tree import branch
from bethink.server.limits import read_limited
from bethink.server.routes.page.answering import body_of, page_of
from bethink.server.routes.page.person import person_of
from bethink.server.routes.page.traces import trace_file
from bethink.server.running.service import json_response
from bethink.trace import remove_traces

MOST_LISTED = 200


class NewBody(Strict):
    title: str | None = None


class ChangeBody(Strict):
    title: str | None = None
    leaf: Annotated[str, Field(min_length=1)] | None = None


async def list_conversations(http: Http) -> Response:
    query = http.query_params
    found = await asyncio.to_thread(
        listed,
        page_of(http).conversations,
        person_of(http).owner,
        query=query.get("query", ""),
        limit=number(http, "limit", 50, 1, MOST_LISTED),
        before=query.get("before") or None,
    )
    records = [conversation_record(one.conversation) | {"snippet": one.snippet} for one in found.conversations]
    return json_response({"conversations": records, "more": found.more})


async def create_conversation(http: Http) -> Response:
    body = await body_of(http, NewBody)
    made = await asyncio.to_thread(page_of(http).conversations.create, person_of(http).owner, body.title)
    return json_response({**conversation_record(made), "nodes": list[object]()}, status=201)


async def show_conversation(http: Http) -> Response:
    here, owner, which = page_of(http).conversations, person_of(http).owner, str(http.path_params["id"])

    def written() -> Response:
        found, nodes = here.get(owner, which)
        return json_response(conversation_record(found) | {"nodes": [node_record(node) for node in nodes]})

    return await asyncio.to_thread(written)  # five thousand messages take a moment


async def change_conversation(http: Http) -> Response:
    body = await body_of(http, ChangeBody)
    owner, which, here = person_of(http).owner, str(http.path_params["id"]), page_of(http).conversations
    if body.title is not None:
        await asyncio.to_thread(here.rename, owner, which, body.title)
    if body.leaf is not None:
        await asyncio.to_thread(here.show, owner, which, body.leaf)
    found = await asyncio.to_thread(here.find_conversation, owner, which)
    return json_response(conversation_record(found))


async def delete_conversation(http: Http) -> Response:
    page, owner, which = page_of(http), person_of(http).owner, str(http.path_params["id"])
    open_ids = await asyncio.to_thread(page.conversations.open_answers, owner, which)
    traces = await asyncio.to_thread(page.conversations.delete, owner, which)
    page.detached.drop(open_ids)
    await asyncio.to_thread(remove_traces, [trace_file(page.settings.home, trace_id) for trace_id in traces])
    return Response(status_code=204)


async def export_conversation(http: Http) -> Response:
    """As a file to save: `format` markdown (the branch that is shown) or json (all of it)."""
    form = http.query_params.get("format", "markdown")
    if form not in ("markdown", "json"):
        raise BadField("format", f"format is {form[:40]!r}", "markdown or json")
    found, nodes = await asyncio.to_thread(
        page_of(http).conversations.get, person_of(http).owner, str(http.path_params["id"])
    )
    suffix, media_type = ("md", "text/markdown") if form == "markdown" else ("json", "application/json")
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(found.title[:80], safe='')}.{suffix}"}
    if form == "json":
        return json_response(json_of(found, nodes), headers=headers)
    text = markdown_of(found, branch(nodes, found.leaf) if found.leaf else [])
    return Response(text, media_type=media_type, headers=headers)


async def import_conversation(http: Http) -> Response:
    page, owner = page_of(http), person_of(http).owner
    body = read_body(ImportBody, await read_limited(http, page.service.limits))
    made, leaf = nodes_of_import(body, new_id("c"), page.conversations.now_us())
    taken = await asyncio.to_thread(page.conversations.take_in, owner, title_of_import(body), made, leaf)
    return json_response(conversation_record(taken), status=201)


def number(http: Http, name: str, usual: int, least: int, most: int) -> int:
    """A number of the query. Raises: BadField."""
    given = http.query_params.get(name, "")
    if not given:
        return usual
    if not (given.isascii() and given.isdecimal() and len(given) < 20 and least <= int(given) <= most):
        raise BadField(name, f"{name} is {given[:40]!r}", f"a number from {least} to {most}")
    return int(given)
