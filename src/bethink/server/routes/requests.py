"""What can be done to a request while it runs: have it answer now, or stop. Ours, and llama.cpp's control call."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import BethinkError, UsageError
from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import read_body
from bethink.server.asking.knobs import Strict
from bethink.server.limits import read_limited
from bethink.server.record import Record
from bethink.server.running.answering import Answering
from bethink.server.running.service import Service, json_response
from bethink.server.wire.openai.words import openai_error


class NoSuchRequest(UsageError):
    code = "no_such_request"
    http_status = 404


class ControlBody(Strict):
    action: Literal["reasoning_end", "stop"]


async def control_chat(http: Http) -> Response:
    """llama.cpp's: `{"action": "reasoning_end"}`."""
    service = Service.of(http)
    try:
        body = read_body(ControlBody, await read_limited(http, service.limits))
        return _done(_running(http), "answer_now" if body.action == "reasoning_end" else "stop")
    except BethinkError as error:
        return json_response(openai_error(error), status=error.http_status)


async def control_request(http: Http) -> Response:
    """Ours: `POST /v1/requests/{id}/answer_now` and `…/stop`."""
    try:
        return _done(_running(http), str(http.path_params["action"]))
    except BethinkError as error:
        return json_response(openai_error(error), status=error.http_status)


def _done(answering: Answering, action: str) -> Response:
    if action == "answer_now":
        answering.answer_now()
    elif action == "stop":
        answering.stop()
    else:
        raise BadField("action", f"unknown action {action[:200]!r}", "answer_now or stop")
    return json_response({"id": answering.id, "action": action})


def _may_control(http: Http, answering: Answering) -> bool:
    """Whoever asked, and whoever administers; for all others the request is not there."""
    who = Record.of(http).principal
    return who is not None and (who.key_id == answering.principal.key_id or who.has("admin"))


def _running(http: Http) -> Answering:
    service = Service.of(http)
    request_id = str(http.path_params["id"])
    answering = service.running.find(request_id)
    if answering is None or not _may_control(http, answering):
        raise NoSuchRequest(f"no request {request_id[:200]!r} is running", "its id stands in the header x-request-id")
    return answering
