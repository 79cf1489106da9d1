"""What Ollama's clients ask beside questions: which models there are, what one is like, which are loaded; to load one
and to let it go.

A question without words loads the model (or, with `keep_alive: 0`, unloads it), as Ollama has it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pydantic_core
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.types import Message, Receive

from bethink.errors import BethinkError
from bethink.server.accounts import Principal
from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import Strict, read_body
from bethink.server.limits import beside, read_limited
from bethink.server.record import Record
from bethink.server.running.cards import Card
from bethink.server.running.keeping import allowed_keep
from bethink.server.running.pool import Loaded
from bethink.server.running.service import Service, json_response
from bethink.server.wire.ollama.words import ollama_error, seconds_of

API_VERSION = "0.12.11"
"""The version of Ollama's API that is spoken here; clients compare it."""
FOREVER = "9999-12-31T23:59:59Z"
UNKNOWN_TIME = "1970-01-01T00:00:00Z"
BILLION, MILLION = 10**9, 10**6


class ShowBody(Strict):
    model: str = ""
    name: str = ""
    verbose: bool | None = None
    system: str | None = None
    template: str | None = None
    options: dict[str, Any] | None = None


async def list_tags(http: Http) -> Response:
    pool, who = Service.of(http).pool, Record.of(http).asker
    names = [(name, meant) for name, meant in pool.names().items() if who.may_use(meant)]
    return json_response({"models": [_tag(name, pool.card(meant)) for name, meant in names]})


async def show(http: Http) -> Response:
    service = Service.of(http)
    try:
        body = await beside(partial(read_body, ShowBody), await read_limited(http, service.limits))
        who = Record.of(http).asker
        name = service.pool.resolve(body.model or body.name, who.may_use)
        who.require_model(name)
    except BethinkError as error:
        return json_response(ollama_error(error), status=error.http_status)
    card, loaded = service.pool.card(name), service.pool.loaded.get(name)
    family = card.family or "unknown"
    info: dict[str, Any] = {"general.architecture": family, "general.basename": name}
    if card.parameters is not None:
        info["general.parameter_count"] = card.parameters
    context = card.context_length if loaded is None else loaded.model.engine.info.context_length
    if context is not None:
        info[f"{family}.context_length"] = context
    return json_response(
        {
            "modelfile": f"FROM {name}\n",
            "parameters": "",
            "template": "" if loaded is None else loaded.model.template.source,
            "license": card.licence or "",
            "details": _details(card),
            "model_info": info,
            "capabilities": ["completion", "tools", "thinking"],
            "modified_at": card.pulled_at or UNKNOWN_TIME,
        }
    )


async def version(_: Http) -> Response:
    return json_response({"version": API_VERSION})


async def list_loaded(http: Http) -> Response:
    pool, who = Service.of(http).pool, Record.of(http).asker
    loaded = [(name, entry) for name, entry in pool.loaded.items() if who.may_use(name)]
    return json_response({"models": [_running(pool.card(name), entry) for name, entry in loaded]})


def loading(field: str, ask: Callable[[Http], Awaitable[Response]]) -> Callable[[Http], Awaitable[Response]]:
    """The route that asks, unless there is nothing in `field` to ask: then the model is loaded or unloaded."""

    async def route(http: Http) -> Response:
        service = Service.of(http)
        try:
            body = await read_limited(http, service.limits)
            given = await beside(_object, body)
            if given is None or given.get(field) or given.get("suffix") or not isinstance(given.get("model"), str):
                return await ask(Http(http.scope, _again(body, http.receive)))
            return await _load(service, Record.of(http).asker, given)
        except BethinkError as error:
            return json_response(ollama_error(error), status=error.http_status)

    return route


async def _load(service: Service, who: Principal, given: dict[str, Any]) -> Response:
    """Raises: BethinkError."""
    asked = str(given["model"])
    name = service.pool.resolve(asked, who.may_use)
    who.require("inference")
    who.require_model(name)
    keep = given.get("keep_alive")
    keep_s = seconds_of(keep if isinstance(keep, str | int | float) else None)
    reason, notes = "load", tuple[str, ...]()
    if keep_s == 0:
        reason = "unload"
        who.require("admin")
        if name in service.pool.kept:
            raise BadField("keep_alive", f"{name} is kept in memory by who runs this server", "leave keep_alive away")
        await service.pool.unload(name)
    else:
        keep_s, notes = allowed_keep(keep_s, who)
        async with service.pool.hold(name, keep_s=keep_s, may_shorten=who.has("admin")):
            pass
    said: dict[str, Any] = {"model": asked, "created_at": _iso(datetime.now(UTC)), "done": True, "done_reason": reason}
    if notes:
        said["bethink"] = {"notes": list(notes)}
    content: dict[str, Any] = {"response": ""} if "messages" not in given else {"message": _NOTHING}
    return json_response(said | content)


_NOTHING = {"role": "assistant", "content": ""}


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value: Any = pydantic_core.from_json(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]  # keys of JSON are text


def _again(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, and then what comes after it."""
    unread = [body]

    async def again() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return again


def _tag(name: str, card: Card) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": card.pulled_at or UNKNOWN_TIME,
        "size": card.size,
        "digest": card.sha256,
        "details": _details(card),
    }


def _running(card: Card, entry: Loaded) -> dict[str, Any]:
    expires = FOREVER
    if entry.keep_s is not None:
        expires = _iso(datetime.now(UTC) + timedelta(seconds=min(entry.keep_s, 1e9)))
    return {
        "name": card.name,
        "model": card.name,
        "size": card.size,
        "size_vram": 0,
        "digest": card.sha256,
        "details": _details(card),
        "expires_at": expires,
        "context_length": entry.model.engine.info.context_length,
    }


def _details(card: Card) -> dict[str, Any]:
    n = card.parameters
    shown = "" if n is None else f"{n / BILLION:.1f}B" if n >= BILLION else f"{n / MILLION:.0f}M"
    return {
        "parent_model": "",
        "format": card.format,
        "family": card.family or "",
        "families": [card.family] if card.family else [],
        "parameter_size": shown,
        "quantization_level": card.quantisation,
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
